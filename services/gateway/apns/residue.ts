/**
 * What a push leaves behind. node:http2 takes the path, and so the device token, as a string and copies it; what it
 * frees, neither V8 nor malloc overwrites. While pushes go on, later ones overwrite it; when they pause, this does
 * (design §6: gone within a minute). To be loaded before much memory is in use.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Clock, Timer } from '../../../shared/run/clock.js';
import type { ApnsEngine } from './engine.js';

/** Pauses after which memory is swept; after the second, the deadline of a push that was under way is over too. */
const PAUSES_MS = [15_000, 40_000] as const;

/**
 * Blocks that are taken from malloc and filled, large ones first: sizes and bytes in all, more than it holds free. Then
 * some of each small size, for malloc keeps lists of those apart.
 */
const BLOCKS = [
  { size: 4096, bytes: 4 << 20 },
  { size: 512, bytes: 4 << 20 },
  { size: 128, bytes: 2 << 20 },
] as const;
const LISTED = { step: 16, largest: 1040, each: 8 } as const;
/** Blocks that are taken in one turn of the event loop, so that nobody waits. */
const BLOCKS_A_TURN = 2_000;
/** Frames of the stack that are used anew: more than node:http2 ever uses. */
const STACK_DEPTH = 1_500;

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;
// What is freed is overwritten in V8's own heap.
setFlagsFromString('--clear-free-memory');

/** The same engine; `sweep` is called when pushes have paused. */
export function sweptEngine(engine: ApnsEngine, clock: Clock, sweep: () => Promise<void>): ApnsEngine {
  let lastAt = 0;
  let timer: Timer | undefined;
  const look = (pauses: readonly number[]): void => {
    const [pause, ...rest] = pauses;
    if (pause === undefined) {
      timer = undefined;
      return;
    }
    const left = pause - (clock.monotonic() - lastAt);
    timer = clock.after(Math.max(left, 0), () => {
      if (clock.monotonic() - lastAt < pause) return look(PAUSES_MS);
      void sweep();
      look(rest);
    });
  };
  return {
    send(push) {
      lastAt = clock.monotonic();
      if (timer === undefined) look(PAUSES_MS);
      return engine.send(push);
    },
    ready: (target) => engine.ready(target),
    close(graceMs) {
      timer?.cancel();
      return engine.close(graceMs);
    },
  };
}

/** Overwrites what is free: V8's heap, malloc's, and the stack. No turn of the event loop takes long. */
export async function sweepMemory(): Promise<void> {
  collectGarbage();
  // What native objects held is freed in the turn after.
  await nextTurn();
  collectGarbage();
  await overwriteFreeBlocks();
  useStack(STACK_DEPTH);
}

async function overwriteFreeBlocks(): Promise<void> {
  const taken: Buffer[] = [];
  for (const size of blockSizes()) {
    taken.push(Buffer.allocUnsafeSlow(size).fill(0));
    if (taken.length % BLOCKS_A_TURN === 0) await nextTurn();
  }
}

function* blockSizes(): Generator<number> {
  for (const { size, bytes } of BLOCKS) for (let n = 0; n < bytes / size; n++) yield size;
  const { step, largest, each } = LISTED;
  for (let size = step; size <= largest; size += step) for (let n = 0; n < each; n++) yield size;
}

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Recursion that leaves frames of its own where others were. */
function useStack(depth: number): number {
  return depth === 0 ? 0 : 1 + useStack(depth - 1);
}
