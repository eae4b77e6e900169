/** Row 5: subscriptions at a messaging server, each with its real signature. */
import { startParty } from '../children.js';
import { type Figure, median, type Row } from '../harness.js';
import type { Nsub } from '../parties/nsub.js';
import type { Smp } from '../parties/smp.js';

const QUEUES = 20_000;
const ROUNDS = 3;

export const nsub: Row = async () => {
  const smp = await startParty<Smp>('smp');
  const server = await smp.call('start');
  const source = await startParty<Nsub>('nsub');
  const perCore = async (algorithm: 'ed25519' | 'x25519'): Promise<Figure> => {
    const [cpu, wall]: [number[], number[]] = [[], []];
    for (let round = 0; round <= ROUNDS; round++) {
      const result = await source.call('run', server, QUEUES, algorithm);
      if (round === 0) continue;
      cpu.push((QUEUES / result.cpu) * 1e6);
      wall.push((QUEUES / result.wall) * 1e6);
    }
    return {
      row: `NSUB with ${algorithm} keys, per second and core`,
      value: median(cpu),
      unit: '/s',
      target: { atLeast: 20_000 },
      note: `${QUEUES} queues, one server over TLS; ${Math.round(median(wall))} a second by the clock`,
    };
  };
  return [await perCore('ed25519'), await perCore('x25519')];
};
