/** Searching another process's memory (Linux, own children only). */
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';

/** How many of the needles are anywhere in the writable memory of a process; undefined where it can't be read. */
export function countInMemory(pid: number, needles: readonly Buffer[]): number | undefined {
  let memory: number;
  try {
    memory = openSync(`/proc/${pid}/mem`, 'r');
  } catch {
    return undefined;
  }
  const found = new Set<number>();
  for (const { start, end } of writableRegions(pid)) {
    const bytes = readRegion(memory, start, end);
    needles.forEach((needle, i) => {
      if (bytes.includes(needle)) found.add(i);
    });
  }
  closeSync(memory);
  return found.size;
}

function writableRegions(pid: number): { start: number; end: number }[] {
  const lines = readFileSync(`/proc/${pid}/maps`, 'latin1').split('\n');
  return lines.flatMap((line) => {
    const match = /^([0-9a-f]+)-([0-9a-f]+) rw/.exec(line);
    return match ? [{ start: Number.parseInt(match[1]!, 16), end: Number.parseInt(match[2]!, 16) }] : [];
  });
}

function readRegion(memory: number, start: number, end: number): Buffer {
  const bytes = Buffer.allocUnsafeSlow(end - start);
  try {
    return bytes.subarray(0, readSync(memory, bytes, 0, bytes.length, start));
  } catch {
    return bytes.subarray(0, 0); // reserved, or gone meanwhile
  }
}
