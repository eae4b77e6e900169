/** What every gate must do, whoever counts: the same table for memory and for Redis. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import type { OpenCapability } from '../../services/gateway/capabilities/capability.js';
import type { FrameGate, GateAnswer } from '../../services/gateway/limits/frame-gate.js';
import type { FrameKind, Outcome } from '../../shared/relay/batch.js';

export interface GateUnderTest {
  readonly gate: FrameGate;
  /** Lets time pass. */
  advance(ms: number): Promise<void>;
  close(): Promise<void>;
}

/** A capability of a device that nobody else has. */
export const someDevice = (changes: Partial<OpenCapability> = {}): OpenCapability =>
  ({
    proven: true,
    environment: 'production',
    appTag: new Uint8Array(8),
    subscriberTag: new Uint8Array(16).fill(1),
    token: new Uint8Array(randomBytes(32)),
    ...changes,
  }) as OpenCapability;

export interface Asking {
  readonly id?: Uint8Array;
  readonly onNew?: () => void;
}

/** One frame through the gate. */
export const pass = (
  gate: FrameGate,
  open: OpenCapability,
  kind: FrameKind,
  { id = new Uint8Array(randomBytes(16)), onNew = () => {} }: Asking = {},
): Promise<GateAnswer> => new Promise((resolve) => gate.pass({ id, open, kind, onNew }, resolve));

export const goes = (answer: GateAnswer): boolean => typeof answer === 'function';

/** How many of 80 go at once, and what the first of the others is told. */
export async function drain(gate: FrameGate, open: OpenCapability, kind: FrameKind) {
  const answers = await Promise.all(Array.from({ length: 80 }, () => pass(gate, open, kind)));
  return { n: answers.filter(goes).length, ...answers.find((answer) => !goes(answer)) };
}

const later = (n: number, reason: string, after: number) => ({ n, kind: 'later', reason, after });

export function describeGate(name: string, open: () => Promise<GateUnderTest>): void {
  describe(`a gate that counts ${name}`, () => {
    let tested: GateUnderTest;
    before(async () => {
      tested = await open();
    });
    after(() => tested.close());

    for (const [kind, n, after] of [
      ['check', 4, 1200],
      ['alert', 12, 300],
      ['message', 60, 60],
      ['verification', 10, 1200],
    ] as const) {
      test(`${kind}: ${n} at once`, async () => {
        assert.deepEqual(await drain(tested.gate, someDevice(), kind), later(n, 'budget', after));
      });
    }

    test('subscribers of one device have budgets of their own, under a cap of the device', async () => {
      const device = someDevice();
      const of = (n: number) => ({ ...device, subscriberTag: new Uint8Array(16).fill(n) });
      assert.deepEqual(await drain(tested.gate, of(1), 'check'), later(4, 'budget', 1200));
      assert.deepEqual(await drain(tested.gate, of(2), 'check'), later(4, 'budget', 1200));
      assert.deepEqual(await drain(tested.gate, of(3), 'check'), later(0, 'device', 1200));
      assert.deepEqual(await drain(tested.gate, of(3), 'alert'), later(12, 'budget', 300));
    });

    test('strangers together have one verification push', async () => {
      const device = someDevice({ proven: false });
      assert.deepEqual(await drain(tested.gate, device, 'verification'), later(1, 'device', 1200));
      const another = { ...device, subscriberTag: new Uint8Array(16).fill(2) };
      assert.deepEqual(await drain(tested.gate, another, 'verification'), later(0, 'device', 1200));
      const proven = { ...device, proven: true };
      assert.deepEqual(await drain(tested.gate, proven, 'verification'), later(10, 'budget', 1200));
    });

    test('what is refused takes nothing from other buckets', async () => {
      const device = someDevice();
      await drain(tested.gate, device, 'check');
      assert.deepEqual(await drain(tested.gate, device, 'message'), later(60, 'budget', 60));
    });

    test('a batch of 256 frames for as many devices, and for one', async () => {
      const many = await Promise.all(
        Array.from({ length: 256 }, () => pass(tested.gate, someDevice(), 'message')),
      );
      assert.ok(many.every(goes));
      const device = someDevice();
      const one = await Promise.all(Array.from({ length: 256 }, () => pass(tested.gate, device, 'message')));
      assert.equal(one.filter(goes).length, 60);
    });

    test('a proven device is told as new once', async () => {
      const device = someDevice();
      let news = 0;
      const onNew = () => {
        news++;
      };
      for (let i = 0; i < 6; i++) await pass(tested.gate, device, 'check', { onNew });
      await pass(tested.gate, someDevice({ proven: false }), 'verification', { onNew });
      assert.equal(news, 1);
    });

    test('the wait is exact: a second later one more message may go', async () => {
      const device = someDevice();
      await drain(tested.gate, device, 'message');
      await tested.advance(1_050);
      assert.deepEqual(await drain(tested.gate, device, 'message'), later(1, 'budget', 60));
    });
  });
}

export const ACCEPTED: Outcome = { kind: 'accepted', reason: 'none', after: 0 };
