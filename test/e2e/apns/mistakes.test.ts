/** An operator's mistakes (design §6): a wrong key, topic or environment kills no token, and other apps go on. */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import type { Outcome } from '../../../shared/relay/batch.js';
import { signingKey } from '../../support/apns/setup.js';
import {
  type RelayParty,
  type RelayWorld,
  startRelayWorld,
  type TestApp,
} from '../../support/relay-party.js';
import { eventuallyLater } from '../../support/world/eventually.js';

const PHONES = 4;
const MINUTE = 60_000;

interface Phone {
  readonly party: RelayParty;
  readonly capability: Uint8Array;
}

describe('two apps of two teams', () => {
  let world: RelayWorld;
  let broken: TestApp;
  let other: TestApp;
  let phones: Phone[];
  let others: Phone[];

  before(async () => {
    world = await startRelayWorld(2);
    [broken, other] = world.apps as [TestApp, TestApp];
    const parties = [await world.party(), await world.party()];
    phones = await prove(parties, broken);
    others = await prove(parties, other);
  });
  after(() => world.close());
  afterEach(async () => {
    world.apns.script.clear();
    await recover();
  });

  async function prove(parties: readonly RelayParty[], app: TestApp): Promise<Phone[]> {
    const proven: Phone[] = [];
    for (let n = 0; n < PHONES; n++) {
      for (const party of parties) proven.push({ party, capability: await party.prove(app) });
    }
    return proven;
  }

  const wake = (some: readonly Phone[]): Promise<Outcome[]> =>
    Promise.all(some.map(({ party, capability }) => party.wake(capability)));
  const kindsOf = (outcomes: readonly Outcome[]) => [...new Set(outcomes.map(({ kind }) => kind))].sort();

  /** All phones are woken again; nobody had to register anew. */
  async function recover(): Promise<void> {
    const waiting = new Set(phones);
    for (let n = 0; n < 60 && waiting.size > 0; n++) {
      world.clock.leap(5 * MINUTE);
      for (const phone of waiting) {
        const { kind } = await phone.party.wake(phone.capability);
        assert.ok(['accepted', 'later', 'unavailable'].includes(kind), kind);
        if (kind === 'accepted') waiting.delete(phone);
      }
    }
    assert.equal(waiting.size, 0, 'some are never woken again');
    await eventuallyLater(world.clock, 'readiness', async () => {
      await Promise.all([wake(phones.slice(0, 1)), wake(others.slice(0, 1))]);
      return (await world.observe('/readyz')) === 'ready\n';
    });
  }

  for (const [status, reason] of [
    [400, 'BadDeviceToken'],
    [400, 'DeviceTokenNotForTopic'],
  ] as const) {
    test(`${reason} for every phone: none is dead, the breaker opens, first contacts wait too`, async () => {
      const answer = { status, reason };
      world.apns.script.add({ on: 'push', topic: broken.topic, fault: { answer } });
      const kinds = new Set<string>();
      for (let minute = 0; minute < 30; minute++) {
        for (const outcome of await wake(phones)) kinds.add(outcome.kind);
        world.clock.leap(MINUTE);
      }
      assert.deepEqual([...kinds].sort(), ['later', 'unavailable']);
      // Leaps cut connections too, so the breaker itself is looked at.
      await eventuallyLater(world.clock, 'an open breaker', async () => {
        await wake(phones.slice(0, 1));
        return (await world.metric('refusal_breakers_open')) === 1;
      });
      assert.equal(await world.observe('/readyz'), 'apns\n');
      const newcomer = await world.party();
      const exchanged = await newcomer.exchange(broken, newcomer.phone(broken));
      const frame = newcomer.verification(exchanged.body.subarray(0, 256));
      assert.deepEqual(kindsOf(await newcomer.client.push(frame)), ['unavailable']);
      await eventuallyLater(world.clock, 'the other app', async () => {
        const outcomes = await wake(others);
        return outcomes.every(({ kind }) => kind === 'accepted');
      });
    });
  }

  test('TopicDisallowed and BadEnvironmentKeyIdInToken: the same', async () => {
    for (const [status, reason] of [
      [400, 'TopicDisallowed'],
      [403, 'BadEnvironmentKeyIdInToken'],
    ] as const) {
      world.apns.script.clear();
      await recover();
      world.apns.script.add({ on: 'push', topic: broken.topic, fault: { answer: { status, reason } } });
      assert.deepEqual(kindsOf(await wake(phones)), ['unavailable']);
      assert.equal(await world.observe('/readyz'), 'apns\n');
      assert.deepEqual(kindsOf(await wake(others)), ['accepted']);
    }
  });

  test('a wrong .p8: nothing is sent until the right file is there, and then at once', async () => {
    world.writeKey(broken, signingKey());
    await world.test.restart();
    assert.deepEqual(kindsOf(await wake(phones)), ['unavailable']);
    assert.equal(await world.observe('/readyz'), 'apns\n');
    assert.deepEqual(kindsOf(await wake(others)), ['accepted']);
    world.clock.leap(6_000);
    assert.deepEqual(kindsOf(await wake(phones)), ['unavailable']);
    world.writeKey(broken, broken.key);
    world.clock.leap(6_000);
    // One probes; its answer lets the others through.
    assert.deepEqual(kindsOf(await wake(phones.slice(0, 1))), ['accepted']);
    assert.deepEqual(kindsOf(await wake(phones)), ['accepted']);
    assert.equal(await world.observe('/readyz'), 'ready\n');
  });

  test('a token that is really bad dies at its second refusal, with the others woken in between', async () => {
    const party = await world.party();
    const token = party.phone(broken);
    const capability = await party.prove(broken, token);
    world.apns.devices.forget(world.apns.devices.find('test', token)!);
    const first = await party.wake(capability);
    assert.equal(`${first.kind} ${first.reason} ${first.after}`, 'later provider 60');
    assert.deepEqual(kindsOf(await wake(phones)), ['accepted']);
    world.clock.leap(MINUTE);
    const second = await party.wake(capability);
    assert.equal(`${second.kind} ${second.reason}`, 'dead bad');
  });
});
