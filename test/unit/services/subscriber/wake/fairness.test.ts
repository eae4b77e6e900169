/** No messaging server uses up a device's pushes (design §5), and flags are told in both profiles. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Mode } from '../../../../../services/subscriber/wake/policy.js';
import { Shares } from '../../../../../services/subscriber/wake/shares.js';
import { loadCrypto } from '../../../../../shared/crypto/load.js';
import type { ProfileName } from '../../../../../shared/relay/constants.js';
import { ACCEPTED } from '../../../../support/fake-link.js';
import { wakeRig } from '../../../../support/wake.js';

const crypto = await loadCrypto();
const SECOND = 1_000;
const MINUTE = 60 * SECOND;

/** Queues below 100 are at a noisy server, those from 100 on at a quiet one. */
const NOISY = 1;
const QUIET = 101;

async function device(options: { profile?: ProfileName; mode?: Mode; onlyServer?: boolean } = {}) {
  const { onlyServer = false, ...style } = options;
  const rig = wakeRig(crypto, { style, onlyServer, chance: 0 });
  const active = await rig.active(1);
  rig.link.rule = () => ACCEPTED;
  /** A signal, and what was sent at once. */
  const signal = async (ref: number): Promise<number> => {
    const before = rig.link.sent.length;
    rig.signal(active, ref);
    await rig.clock.advance(0);
    return rig.link.sent.length - before;
  };
  return { ...rig, device: active, send: signal };
}

describe('one of several servers causes at most half of the pushes', () => {
  for (const profile of ['simplex', 'porchlight'] as const) {
    test(`${profile}: of a burst of 60 it gets 30, then one every two seconds`, async () => {
      const rig = await device({ profile });
      for (let n = 0; n < 50; n++) await rig.send(NOISY);
      assert.equal(rig.link.sent.length, 30);
      await rig.clock.advance(2 * SECOND);
      assert.equal(rig.link.sent.length, 31);
      for (let s = 0; s < 20; s++) {
        await rig.send(NOISY);
        await rig.clock.advance(SECOND);
      }
      assert.equal(rig.link.sent.length, 41);
      assert.ok(rig.wake.count('wake_stopped_total', 'server-share') > 0);
    });

    test(`${profile}: what another server says goes at once meanwhile, and takes the rest along`, async () => {
      const rig = await device({ profile });
      for (let n = 0; n < 40; n++) await rig.send(NOISY);
      assert.equal(await rig.send(QUIET), 1);
      const told = rig.opened(rig.device, rig.link.sent.at(-1)!.frame);
      assert.deepEqual(told.slice(-2), [NOISY, QUIET]);
      for (let n = 0; n < 29; n++) assert.equal(await rig.send(QUIET), 1);
      assert.equal(await rig.send(QUIET), 0, 'the device has had its 60');
    });
  }

  test('mode background: one silent push in forty minutes, the ones between are for the others', async () => {
    const rig = await device({ mode: 'background' });
    assert.equal(await rig.send(NOISY), 1);
    await rig.clock.advance(20 * MINUTE);
    assert.equal(await rig.send(NOISY), 0);
    await rig.clock.advance(MINUTE);
    assert.equal(await rig.send(QUIET), 1);
    await rig.clock.advance(20 * MINUTE);
    assert.equal(rig.link.sent.length, 2);
  });

  test('mode alert: silent first, then one alert in ten minutes', async () => {
    const rig = await device({ mode: 'alert' });
    const kinds = () => rig.link.sent.map(({ frame }) => frame.kind);
    await rig.send(NOISY);
    for (let minute = 0; minute < 15; minute++) {
      await rig.send(NOISY);
      await rig.clock.advance(MINUTE);
    }
    assert.deepEqual(kinds(), ['check', 'alert', 'alert']);
    assert.equal(await rig.send(QUIET), 1);
  });

  test('where a device follows one server only, that has it all', async () => {
    const rig = await device({ onlyServer: true });
    for (let n = 0; n < 80; n++) await rig.send(NOISY);
    assert.equal(rig.link.sent.length, 60);
    assert.equal(rig.wake.count('wake_stopped_total', 'server-share'), 0);
  });

  test('flags and wake-ups are nobody’s', async () => {
    const rig = await device({ mode: 'background' });
    rig.engine.maybeMissed(rig.device);
    await rig.clock.advance(20 * MINUTE);
    assert.equal(await rig.send(NOISY), 1);
  });
});

describe('budgets of devices in the test environment', () => {
  for (const testBudgets of [true, false]) {
    test(`are those of all devices, unless they are lifted: ${testBudgets}`, async () => {
      const rig = wakeRig(crypto, { testBudgets, onlyServer: false });
      rig.link.rule = () => ACCEPTED;
      for (const environment of ['test', 'sandbox', 'production'] as const) {
        const active = await rig.active(1, environment);
        for (let n = 0; n < 100; n++) {
          rig.signal(active, n % 2 ? NOISY : QUIET);
          await rig.clock.advance(0);
        }
        const isLifted = environment === 'test' && !testBudgets;
        assert.equal(rig.link.sent.length, isLifted ? 100 : 60);
        for (let n = 0; n < 20; n++) {
          rig.engine.verify(active);
          await rig.clock.advance(0);
        }
        assert.equal(rig.link.count('verification'), isLifted ? 20 : 5, 'one proved it, of 6 at once');
        rig.registry.remove(active);
      }
    });
  }
});

describe('shares', () => {
  test('are forgotten when they are whole again, and bounded', () => {
    const shares = new Shares();
    for (let server = 0; server < 100; server++) shares.spend('silent', [server], 0);
    const blocked = Array.from({ length: 100 }, (_, server) => shares.readyAt('silent', [server])).filter(
      (at) => at > 0,
    );
    assert.equal(blocked.length, 16);
    shares.spend('message', [7], 40 * MINUTE);
    assert.equal(shares.readyAt('silent', [99]), Number.NEGATIVE_INFINITY);
  });

  test('each kind has its own; several servers wait for the first that may', () => {
    const shares = new Shares();
    shares.spend('silent', [1], 0);
    shares.spend('silent', [2], 10 * MINUTE);
    assert.equal(shares.readyAt('silent', [1, 2]), 40 * MINUTE);
    assert.equal(shares.readyAt('silent', [2]), 50 * MINUTE);
    assert.ok(shares.readyAt('silent', [1, 3]) < 0);
    assert.ok(shares.readyAt('alert', [1]) < 0);
  });
});

describe('maybeMissed after a broken connection is spread over twenty minutes', () => {
  for (const profile of ['simplex', 'porchlight'] as const) {
    for (const mode of ['mutable', 'background', 'alert'] as const) {
      test(`${profile}, ${mode}`, async () => {
        let next = 0;
        const rig = wakeRig(crypto, { style: { profile, mode }, random: () => ((next++ % 20) + 0.5) / 20 });
        const devices = [];
        for (let n = 0; n < 20; n++) devices.push(await rig.active(n));
        const minutes: number[] = [];
        const start = rig.clock.monotonic();
        rig.link.rule = ({ kind, urgent }) => {
          assert.deepEqual([kind, urgent], [profile === 'simplex' ? 'check' : 'message', false]);
          minutes.push((rig.clock.monotonic() - start) / MINUTE);
          return ACCEPTED;
        };
        // Each server that the device follows says so.
        for (const d of devices) for (let server = 0; server < 3; server++) rig.engine.maybeMissed(d);
        await rig.clock.advance(24 * 60 * MINUTE);
        assert.equal(minutes.length, 20, 'one for each device');
        assert.ok(Math.max(...minutes) < 20);
        assert.ok(new Set(minutes.map((m) => Math.floor(m / 5))).size === 4, 'spread');
      });
    }
  }
});

describe('a full mailbox', () => {
  for (const profile of ['simplex', 'porchlight'] as const) {
    test(`${profile}: is made up for by one silent push, however much was lost`, async () => {
      const rig = wakeRig(crypto, { style: { profile }, mailboxEntries: 1, chance: 0.5 });
      const active = await rig.active(1);
      rig.link.rule = () => ACCEPTED;
      for (let n = 1; n < 50; n++) rig.signal(active, n);
      await rig.clock.advance(24 * 60 * MINUTE);
      const [news, flag, ...more] = rig.link.sent.map(({ frame }) => frame);
      assert.deepEqual(rig.opened(active, news!), [1]);
      assert.deepEqual([flag!.kind, flag!.urgent], [profile === 'simplex' ? 'check' : 'message', false]);
      if (profile === 'porchlight') assert.equal(rig.push(active, flag!).overflow, true);
      assert.deepEqual(more, []);
    });
  }

  test('fifteen queues while the gateway is away: fourteen are told, the rest by a check', async () => {
    const rig = wakeRig(crypto, { chance: 0.5 });
    const active = await rig.active(1);
    rig.link.rule = () => ACCEPTED;
    rig.link.setAvailable(false);
    for (let n = 1; n <= 15; n++) rig.signal(active, n);
    rig.link.setAvailable(true);
    await rig.clock.advance(60 * MINUTE);
    const told = rig.link.sent.flatMap(({ frame }) =>
      frame.kind === 'message' ? rig.opened(active, frame) : [],
    );
    assert.equal(new Set(told).size, 14);
    assert.equal(rig.link.count('check'), 1);
  });
});
