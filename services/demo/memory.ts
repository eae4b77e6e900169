/**
 * Searches the memory of a process for secrets, from outside (Linux: /proc/PID/mem of a child of the same user). What
 * a party knows is what is in its memory, so the demo's table and the tests ask there rather than in our own words.
 */
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';

const CHUNK = 4 * 1024 * 1024;
/** Pages of files, and areas that the kernel does not let anybody read. */
const SKIPPED = /\[(vvar|vvar_vclock|vsyscall)\]$/;

interface Region {
  readonly start: number;
  readonly end: number;
}

function regions(pid: number): Region[] {
  const found: Region[] = [];
  for (const line of readFileSync(`/proc/${pid}/maps`, 'latin1').split('\n')) {
    const match = /^([0-9a-f]+)-([0-9a-f]+) (\S{4})/.exec(line);
    // A secret can only be where the process can write.
    if (match === null || !match[3]!.startsWith('rw') || SKIPPED.test(line)) continue;
    found.push({ start: Number.parseInt(match[1]!, 16), end: Number.parseInt(match[2]!, 16) });
  }
  return found;
}

/** Whether this machine lets a parent look into its children. */
export function canSearchMemory(pid: number): boolean {
  try {
    closeSync(openSync(`/proc/${pid}/mem`, 'r'));
    return true;
  } catch {
    return false;
  }
}

/** How often each needle stands in the process's writable memory. */
export function searchMemory(pid: number, needles: readonly Uint8Array[]): number[] {
  const counts = needles.map(() => 0);
  const overlap = Math.max(...needles.map((needle) => needle.length)) - 1;
  const chunk = Buffer.allocUnsafeSlow(CHUNK);
  const memory = openSync(`/proc/${pid}/mem`, 'r');
  try {
    for (const { start, end } of regions(pid)) {
      for (let at = start; at < end; at += CHUNK - overlap) {
        const read = readAt(memory, chunk, Math.min(CHUNK, end - at), at);
        needles.forEach((needle, i) => {
          counts[i]! += occurrences(chunk.subarray(0, read), needle);
        });
        if (read < CHUNK) break;
      }
    }
  } finally {
    closeSync(memory);
    chunk.fill(0);
  }
  return counts;
}

/** Bytes read; 0 where the region went away or can't be read. */
function readAt(file: number, into: Buffer, length: number, position: number): number {
  try {
    return readSync(file, into, 0, length, position);
  } catch {
    return 0;
  }
}

function occurrences(haystack: Buffer, needle: Uint8Array): number {
  let count = 0;
  for (let at = haystack.indexOf(needle); at >= 0; at = haystack.indexOf(needle, at + 1)) count++;
  return count;
}
