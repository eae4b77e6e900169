/** Which push goes when (design §5): every mode, class, budget and age, on a virtual clock. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Device } from '../../../../../services/subscriber/registry/device.js';
import {
  frameKind,
  lifeSeconds,
  type Mode,
  type PushKind,
} from '../../../../../services/subscriber/wake/policy.js';
import { loadCrypto } from '../../../../../shared/crypto/load.js';
import type { SignalClass } from '../../../../../shared/push/porchlight-profile.js';
import type { Frame } from '../../../../../shared/relay/batch.js';
import { PROFILES, type ProfileName } from '../../../../../shared/relay/constants.js';
import { seconds } from '../../../../../shared/run/clock.js';
import { ACCEPTED } from '../../../../support/fake-link.js';
import { type WakeRig, wakeRig } from '../../../../support/wake.js';

const crypto = await loadCrypto();
const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const MODES: readonly Mode[] = ['mutable', 'background', 'alert'];
const CLASSES: readonly SignalClass[] = ['message', 'update'];

const kindOf = ({ kind, urgent }: Frame): PushKind =>
  kind === 'check' || (kind === 'message' && !urgent) ? 'silent' : kind;

interface Scene extends WakeRig {
  readonly device: Device;
  /** `kind@minute` of every push. */
  readonly seen: readonly string[];
}

async function scene(profile: ProfileName, mode: Mode, signalClass: SignalClass): Promise<Scene> {
  const rig = wakeRig(crypto, { style: { profile, mode, class: signalClass }, chance: 0 });
  const device = await rig.active(1);
  const seen: string[] = [];
  const start = rig.clock.monotonic();
  rig.link.rule = (frame) => {
    seen.push(`${kindOf(frame)}@${Math.floor((rig.clock.monotonic() - start) / MINUTE)}`);
    return ACCEPTED;
  };
  return { ...rig, device, seen };
}

/** Uses up the budgets of these kinds, and leaves nothing to tell; the silent one first, as the engine does. */
async function spend(s: Scene, kinds: readonly PushKind[]): Promise<void> {
  if (kinds.includes('message')) {
    for (let n = 0; n < 60; n++) {
      s.signal(s.device, 1);
      await s.clock.advance(0);
    }
  }
  if (kinds.includes('silent')) {
    s.engine.maybeMissed(s.device);
    await s.clock.advance(0);
  }
  if (kinds.includes('alert')) {
    s.signal(s.device, 1);
    await s.clock.advance(0);
    s.engine.dropQueue(s.device, 1);
  }
  s.link.sent.length = 0;
}

type Expected = readonly [kind: PushKind, afterMs: number];
interface Case {
  readonly spent: readonly PushKind[];
  readonly expected: Readonly<Record<SignalClass, Readonly<Partial<Record<Mode, Expected>>>>>;
}

const SILENT_NOW = { mutable: ['silent', 0], background: ['silent', 0], alert: ['silent', 0] } as const;
const SILENT_LATER = {
  mutable: ['silent', 20 * MINUTE],
  background: ['silent', 20 * MINUTE],
  alert: ['silent', 20 * MINUTE],
} as const;

const CASES: readonly Case[] = [
  {
    spent: [],
    expected: {
      message: { mutable: ['message', 0], background: ['silent', 0], alert: ['silent', 0] },
      update: SILENT_NOW,
    },
  },
  {
    spent: ['silent'],
    expected: {
      message: { mutable: ['message', 0], background: ['silent', 20 * MINUTE], alert: ['alert', 0] },
      update: SILENT_LATER,
    },
  },
  {
    spent: ['message', 'silent', 'alert'],
    expected: {
      message: {
        mutable: ['message', SECOND],
        background: ['silent', 20 * MINUTE],
        alert: ['alert', 5 * MINUTE],
      },
      update: SILENT_LATER,
    },
  },
];

/** Kinds that a mode and class have at all. */
const used = (mode: Mode, signalClass: SignalClass): readonly PushKind[] => {
  if (signalClass === 'update') return ['silent'];
  return { mutable: ['message', 'silent'], background: ['silent'], alert: ['silent', 'alert'] }[
    mode
  ] as PushKind[];
};

for (const { spent, expected } of CASES) {
  const name = spent.length === 0 ? 'all budgets whole' : `used up: ${spent.join(', ')}`;
  describe(name, () => {
    for (const profile of PROFILES) {
      for (const mode of MODES) {
        for (const signalClass of CLASSES) {
          const [kind, afterMs] = expected[signalClass][mode]!;
          test(`${profile}, ${mode}, ${signalClass}: ${kind} after ${afterMs / SECOND} s`, async () => {
            const s = await scene(profile, mode, signalClass);
            await spend(
              s,
              spent.filter((k) => used(mode, signalClass).includes(k)),
            );
            s.signal(s.device, 7);
            if (afterMs > 0) {
              await s.clock.advance(afterMs - 1);
              assert.deepEqual(s.link.sent, []);
              await s.clock.advance(1);
            }
            const [push, ...more] = s.link.sent.map(({ frame }) => frame);
            assert.deepEqual([kindOf(push!), more.length], [kind, 0]);
            if (push!.kind === 'message') assert.ok(s.opened(s.device, push!).includes(7));
          });
        }
      }
    }
  });
}

describe('age: untold signals never age out, and their age changes nothing', () => {
  for (const profile of PROFILES) {
    for (const mode of MODES) {
      for (const signalClass of CLASSES) {
        for (const age of [MINUTE, HOUR, 7 * DAY]) {
          test(`${profile}, ${mode}, ${signalClass}, ${age / MINUTE} minutes old`, async () => {
            const s = await scene(profile, mode, signalClass);
            s.link.setAvailable(false);
            s.signal(s.device, 7);
            await s.clock.advance(age);
            s.link.setAvailable(true);
            await s.clock.advance(0);
            const [push, ...more] = s.link.sent.map(({ frame }) => frame);
            const [kind] = CASES[0]!.expected[signalClass][mode]!;
            assert.deepEqual([kindOf(push!), more.length], [kind, 0]);
            assert.equal(push!.kind, frameKind(kind, profile));
            assert.equal(push!.expiry, seconds(s.clock) + 21 * 86_400);
            if (push!.kind === 'message') assert.deepEqual(s.opened(s.device, push!), [7]);
            await s.clock.advance(DAY);
            assert.equal(s.link.sent.length, 1, 'told once');
          });
        }
      }
    }
  }
});

const SCHEDULES: Readonly<Record<Mode, readonly string[]>> = {
  mutable: Array.from({ length: 46 }, (_, minute) => `message@${minute}`),
  background: ['silent@0', 'silent@20', 'silent@40'],
  alert: [
    ...['silent@0', 'alert@1', 'alert@6', 'alert@11', 'alert@16'],
    ...['silent@20', 'alert@21', 'alert@26', 'alert@31', 'alert@36'],
    ...['silent@40', 'alert@41'],
  ],
};

/** One signal a minute, of changing queues, with something done to the clock after half an hour. */
async function minutely(s: Scene, disturb: (s: Scene) => void = () => {}): Promise<readonly string[]> {
  for (let minute = 0; minute <= 45; minute++) {
    if (minute === 30) disturb(s);
    s.signal(s.device, minute % 10);
    await s.clock.advance(minute === 45 ? 0 : MINUTE);
  }
  return s.seen;
}

describe('a signal every minute', () => {
  for (const profile of PROFILES) {
    for (const mode of MODES) {
      test(`${profile}, ${mode}`, async () => {
        const s = await scene(profile, mode, 'message');
        assert.deepEqual(await minutely(s), SCHEDULES[mode]);
      });

      test(`${profile}, ${mode}, with the clock set back and forth`, async () => {
        for (const jump of [-7 * DAY, -MINUTE, HOUR, 40 * DAY]) {
          const s = await scene(profile, mode, 'message');
          assert.deepEqual(await minutely(s, ({ clock }) => clock.jump(jump)), SCHEDULES[mode]);
        }
      });
    }
  }

  test('alerts replace each other, and end with the signals', async () => {
    const s = await scene('simplex', 'alert', 'message');
    s.signal(s.device, 1);
    await s.clock.advance(MINUTE);
    s.signal(s.device, 2);
    await s.clock.advance(2 * HOUR);
    assert.deepEqual(s.seen, ['silent@0', 'alert@1', 'silent@20']);
    const [, alert] = s.link.sent.map(({ frame }) => frame);
    assert.deepEqual([alert!.kind, alert!.urgent, alert!.slot], ['alert', true, 1]);
    assert.ok(alert!.payload.every((byte) => byte === 0));
  });
});

describe('flags, periodic wake-ups and verification', () => {
  for (const profile of PROFILES) {
    for (const mode of MODES) {
      test(`${profile}, ${mode}: flags and wake-ups are silent and share that budget`, async () => {
        const s = await scene(profile, mode, 'message');
        s.engine.maybeMissed(s.device);
        s.registry.setCheckMinutes(s.device, 20);
        s.engine.checksChanged(s.device);
        await s.clock.advance(50 * MINUTE);
        assert.deepEqual(s.seen, ['silent@0', 'silent@20', 'silent@40']);
      });

      test(`${profile}, ${mode}: verification goes whatever has been used up`, async () => {
        const s = await scene(profile, mode, 'message');
        await spend(s, used(mode, 'message'));
        s.engine.verify(s.device);
        await s.clock.advance(0);
        assert.deepEqual(
          s.link.sent.map(({ frame }) => frame.kind),
          ['verification'],
        );
      });
    }
  }

  test('what tells something is kept for the phone for 21 days, a mere wake-up for an hour', () => {
    assert.deepEqual(
      (['verification', 'message', 'silent', 'alert'] as const).map((kind) => [
        lifeSeconds(kind, true) / 3600,
        lifeSeconds(kind, false) / 3600,
      ]),
      [
        [24, 24],
        [21 * 24, 1],
        [21 * 24, 1],
        [24, 24],
      ],
    );
  });
});

describe('a suspended machine', () => {
  for (const profile of PROFILES) {
    for (const mode of MODES) {
      test(`${profile}, ${mode}: one push when it wakes up, not one for each that was missed`, async () => {
        const s = await scene(profile, mode, 'message');
        s.registry.setCheckMinutes(s.device, 20);
        s.engine.checksChanged(s.device);
        await s.clock.advance(0);
        s.signal(s.device, 1);
        await s.clock.advance(0);
        const before = s.link.sent.length;
        s.clock.suspend(8 * HOUR);
        s.signal(s.device, 2);
        await s.clock.advance(0);
        const pushes = s.link.sent.slice(before).map(({ frame }) => frame);
        const [news, ...more] = pushes;
        assert.equal(kindOf(news!), mode === 'mutable' ? 'message' : 'silent');
        assert.deepEqual(more, []);
        if (news!.kind === 'message') assert.ok(s.opened(s.device, news!).includes(2));
      });
    }
  }
});

describe('records that expire', () => {
  for (const profile of PROFILES) {
    for (const mode of MODES) {
      test(`${profile}, ${mode}: after 30 days without its client nothing is left, nor pushed`, async () => {
        const s = await scene(profile, mode, 'message');
        s.link.setAvailable(false);
        s.signal(s.device, 1, 2, 3);
        s.engine.maybeMissed(s.device);
        await s.clock.advance(30 * DAY - 1);
        assert.equal(s.wake.count('wake_mailbox_entries'), 3);
        await s.clock.advance(1);
        assert.equal(s.registry.deviceById(s.device.tokenId), undefined);
        assert.equal(s.wake.count('wake_mailbox_entries'), 0);
        s.link.setAvailable(true);
        await s.clock.advance(DAY);
        assert.deepEqual(s.link.sent, []);
      });

      test(`${profile}, ${mode}: the answer to a push that was under way only counts`, async () => {
        const s = await scene(profile, mode, 'message');
        s.link.rule = undefined;
        s.signal(s.device, 1);
        await s.clock.advance(30 * DAY);
        assert.equal(s.registry.deviceById(s.device.tokenId), undefined);
        s.link.sent[0]!.answer(ACCEPTED);
        await s.clock.advance(DAY);
        assert.equal(s.wake.count('wake_outdated_total'), 1);
        assert.equal(s.link.sent.length, 1);
      });
    }
  }
});
