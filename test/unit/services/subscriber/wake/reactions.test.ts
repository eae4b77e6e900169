/** Every outcome of relay.md §6 against every standing of a device: what becomes of status, mailbox and waiting. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { GatewayRefusal } from '../../../../../services/subscriber/outbound/gateway-link.js';
import type { Device } from '../../../../../services/subscriber/registry/device.js';
import {
  REACTIONS,
  type Reaction,
  reactionTo,
  type Standing,
} from '../../../../../services/subscriber/wake/reactions.js';
import { loadCrypto } from '../../../../../shared/crypto/load.js';
import { OUTCOMES, type Outcome } from '../../../../../shared/relay/batch.js';
import { ACCEPTED, capability, type SentFrame } from '../../../../support/fake-link.js';
import { registration } from '../../../../support/registry.js';
import { CODE, type WakeRig, wakeRig } from '../../../../support/wake.js';

const crypto = await loadCrypto();
const SECOND = 1_000;
const HOUR = 3_600_000;
const STANDINGS = ['registered', 'confirmed', 'active', 'invalid'] as const satisfies readonly Standing[];
const sealed = (name: number) => new Uint8Array(229).fill(name);
const hash = (name: number) => new Uint8Array(32).fill(name);

/** All that a gateway can answer. */
const ALL: readonly Outcome[] = Object.entries(OUTCOMES).flatMap(([kind, reasons]) =>
  reasons.map((reason) => ({ kind, reason, after: kind === 'later' ? 300 : 0 }) as Outcome),
);

interface Scene {
  readonly rig: WakeRig;
  readonly device: Device;
  /** The push under way: a verification, or a message where the device is or was active. */
  readonly push: SentFrame;
}

/** A device with a push under way, in this standing. */
async function scene(standing: (typeof STANDINGS)[number]): Promise<Scene> {
  const rig = wakeRig(crypto, { chance: 0.5 });
  if (standing === 'active' || standing === 'invalid') {
    const device = await rig.active(1);
    rig.signal(device, 1);
    if (standing === 'invalid') {
      rig.link.judge = () => new GatewayRefusal('bad-capability');
      await rig.engine.prove(device, new Uint8Array(32));
    }
    assert.equal(device.status, standing);
    return { rig, device, push: rig.link.sent[0]! };
  }
  const device = rig.registry.register(registration(1, 1))!;
  rig.engine.verify(device);
  await rig.clock.advance(0);
  if (standing === 'confirmed') {
    rig.link.sent[0]!.answer(ACCEPTED);
    await rig.clock.advance(0);
    rig.engine.verify(device);
  }
  assert.equal(device.status, standing);
  return { rig, device, push: rig.link.sent.at(-1)! };
}

/** After how long the next push left, within two hours. */
async function nextPush({ rig }: Scene): Promise<number | undefined> {
  const before = rig.link.sent.length;
  const steps = [0, SECOND, 59 * SECOND, 240 * SECOND, HOUR - 300 * SECOND, HOUR];
  let passed = 0;
  for (const step of steps) {
    await rig.clock.advance(step);
    passed += step;
    if (rig.link.sent.length > before) return passed;
  }
  return undefined;
}

/** What is expected, in other words than the code's: status afterwards, and when the next push leaves. */
interface Cell {
  readonly status: Device['status'];
  readonly reason?: Device['invalidReason'];
  readonly next: number | undefined;
}

function expected({ kind, reason }: Outcome, standing: (typeof STANDINGS)[number]): Cell {
  if (standing === 'invalid') return { status: 'invalid', next: undefined };
  switch (kind) {
    case 'accepted':
      return { status: standing === 'registered' ? 'confirmed' : standing, next: undefined };
    case 'later':
      return { status: standing, next: 300 * SECOND };
    case 'dead':
      return { status: 'invalid', reason, next: undefined };
    case 'unavailable':
      return { status: standing, next: SECOND };
    case 'refused':
      if (reason === 'wrong-subscriber' || reason === 'malformed') return { status: standing, next: HOUR };
      return { status: 'invalid', next: undefined };
  }
}

for (const standing of STANDINGS) {
  describe(`a device that is ${standing}`, () => {
    for (const outcome of ALL) {
      const cell = expected(outcome, standing);
      const next =
        cell.next === undefined ? 'nothing more is sent' : `sent again after ${cell.next / SECOND} s`;
      test(`${outcome.kind}, ${outcome.reason}: ${cell.status}, ${next}`, async () => {
        const s = await scene(standing);
        const entries = s.rig.wake.count('wake_mailbox_entries');
        s.push.answer(outcome);
        await s.rig.clock.advance(0);
        assert.deepEqual([s.device.status, s.device.invalidReason], [cell.status, cell.reason]);
        assert.equal(s.rig.wake.count('wake_mailbox_entries'), entries, 'mailboxes are kept');
        assert.equal(await nextPush(s), cell.next);
        assert.equal(s.rig.wake.count('wake_outdated_total'), 0);
      });
    }
  });
}

describe('a token sealed since', () => {
  for (const outcome of ALL) {
    for (const standing of ['registered', 'confirmed', 'active'] as const) {
      const isTried =
        outcome.kind === 'refused' && ['expired', 'unknown-key', 'revoked'].includes(outcome.reason);
      const what = isTried ? 'is tried instead of the capability' : 'is not needed';
      test(`${outcome.kind}, ${outcome.reason}, ${standing}: it ${what}`, async () => {
        const s = await scene(standing);
        s.rig.registry.resealToken(s.device, sealed(7));
        s.push.answer(outcome);
        await s.rig.clock.advance(0);
        assert.deepEqual(s.rig.link.exchanged, isTried ? [1, 7] : [1]);
        if (!isTried) return;
        assert.equal(s.device.status, 'registered');
        assert.equal(s.rig.link.sent.at(-1)!.frame.kind, 'verification');
      });
    }
  }
});

/** What may happen to a device while a push to its token is under way; who has that token's place then. */
const REPLACED: readonly [string, (s: Scene) => Promise<Device | undefined>][] = [
  [
    'replaced by another token',
    async ({ rig, device }) => {
      const token = { tokenHash: hash(9), environment: 'production', sealedToken: sealed(9) } as const;
      rig.registry.replaceToken(device, token);
      rig.engine.verify(device);
      return device;
    },
  ],
  [
    'removed',
    async ({ rig, device }) => {
      rig.registry.remove(device);
      return undefined;
    },
  ],
  [
    'removed, its place taken by another device',
    async ({ rig, device }) => {
      rig.registry.remove(device);
      const next = await rig.active(2);
      assert.equal(next.slot, device.slot);
      return next;
    },
  ],
];

for (const [what, replace] of REPLACED) {
  describe(`a token that has been ${what}: the outcome only counts`, () => {
    for (const standing of STANDINGS) {
      for (const outcome of ALL) {
        test(`${standing}; ${outcome.kind}, ${outcome.reason}`, async () => {
          const s = await scene(standing);
          const present = await replace(s);
          await s.rig.clock.advance(0);
          const before = [present?.status, s.rig.link.sent.length, s.rig.link.exchanged.length];
          s.push.answer({ ...outcome, capability: capability(0xee) });
          await s.rig.clock.advance(0);
          assert.deepEqual([present?.status, s.rig.link.sent.length, s.rig.link.exchanged.length], before);
          assert.equal(s.rig.wake.count('wake_outdated_total'), 1);
          assert.ok(s.rig.link.sent.every(({ frame }) => frame.capability[0] !== 0xee));
        });
      }
    }
  });
}

describe('a renewed capability that comes with an outcome', () => {
  for (const outcome of ALL) {
    test(`${outcome.kind}, ${outcome.reason}`, async () => {
      const s = await scene('active');
      const renewed = capability(0xee);
      s.push.answer({ ...outcome, capability: renewed });
      await s.rig.clock.advance(0);
      assert.ok(
        renewed.every((byte) => byte === 0),
        'the copy that came is overwritten',
      );
      if (s.device.status !== 'active') return;
      await s.rig.clock.advance(2 * HOUR);
      s.rig.signal(s.device, 2);
      await s.rig.clock.advance(0);
      assert.equal(s.rig.link.sent.at(-1)!.frame.capability[0], 0xee);
    });
  }

  test('is of no use to a device that is INVALID: its client’s next token is sealed anew', async () => {
    const s = await scene('invalid');
    s.push.answer({ ...ACCEPTED, capability: capability(0xee) });
    await s.rig.clock.advance(0);
    s.rig.registry.resealToken(s.device, sealed(7));
    s.rig.engine.verify(s.device);
    await s.rig.clock.advance(0);
    assert.deepEqual(s.rig.link.exchanged, [1, 7]);
    assert.notEqual(s.rig.link.sent.at(-1)!.frame.capability[0], 0xee);
  });
});

test('an outcome never keeps a device that registers again waiting', async () => {
  for (const outcome of ALL) {
    const s = await scene('invalid');
    s.push.answer(outcome);
    await s.rig.clock.advance(0);
    s.rig.registry.resealToken(s.device, sealed(7));
    s.rig.engine.verify(s.device);
    await s.rig.clock.advance(0);
    const { frame, answer } = s.rig.link.sent.at(-1)!;
    assert.equal(frame.kind, 'verification');
    answer(ACCEPTED);
    s.rig.link.judge = () => 'good';
    await s.rig.clock.advance(0);
    assert.equal(await s.rig.engine.prove(s.device, CODE), 'proven');
    assert.equal(s.device.status, 'active');
  }
});

test('the table has a reaction for every outcome and standing, and only the current token’s are acted on', () => {
  const seen = new Set<Reaction>();
  for (const outcome of ALL) {
    for (const standing of [...STANDINGS, 'outdated'] as const) seen.add(reactionTo(outcome, standing));
    assert.equal(reactionTo(outcome, 'outdated'), 'count');
  }
  assert.deepEqual([...seen].sort(), ['count', 'hold', 'invalid', 'keep', 'pause', 'reseal', 'told', 'wait']);
  assert.deepEqual(Object.keys(REACTIONS), Object.keys(OUTCOMES));
});
