import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { cbEncrypt } from '../../../../shared/crypto/box.js';
import type { Crypto } from '../../../../shared/crypto/crypto.js';
import { loadCrypto } from '../../../../shared/crypto/load.js';
import { utf8 } from '../../../../shared/encoding/bytes.js';
import { Writer } from '../../../../shared/encoding/writer.js';
import type { DeviceToken, NtfCommand } from '../../../../shared/ntf/commands.js';
import type { NtfResponse } from '../../../../shared/ntf/responses.js';
import { VirtualClock } from '../../../../shared/run/clock.js';
import { PorchlightPhone } from '../../../../shared/sdk/client.js';
import { PushError } from '../../../../shared/sdk/open.js';
import { decodeState, encodeState, StateError } from '../../../../shared/sdk/state.js';
import type { QueueCredentials } from '../../../../shared/sdk/subscriptions.js';
import { NtfConnectionError } from '../../../../shared/sdk/transport.js';
import { FakeNtfServer } from '../../../support/fake-ntf-server.js';

const DAY = 86_400_000;
const TOKEN: DeviceToken = { provider: 'AT', text: utf8('a1b2') };
const OTHER_TOKEN: DeviceToken = { provider: 'AT', text: utf8('c3d4') };

let crypto: Crypto;
before(async () => {
  crypto = await loadCrypto();
});

let queues = 0;
function credentials(): QueueCredentials {
  const server = { hosts: ['smp.example'], port: '', keyHash: new Uint8Array(32).fill(1) };
  return {
    queue: { server, notifierId: crypto.sha256(utf8(`queue ${queues++}`)).slice(0, 24) },
    notifierKey: { algorithm: 'ed25519', raw: crypto.randomBytes(32) },
    metadataSecret: crypto.randomBytes(32),
  };
}

/** A phone and its server; `renewed` names the queues that were given new credentials. */
function rig(saved?: string) {
  const server = new FakeNtfServer(crypto);
  const clock = new VirtualClock();
  const renewed: string[] = [];
  const make = (state?: string): PorchlightPhone =>
    new PorchlightPhone({
      keyHash: server.keyHash,
      connect: async () => server.connect(),
      renewNotifier: async (name) => {
        renewed.push(name);
        return credentials();
      },
      clock,
      ...(state && { saved: decodeState(state) }),
    });
  const phone = make(saved);
  const restart = (): PorchlightPhone => make(encodeState(phone.save()));
  const activate = async (): Promise<void> => {
    await phone.register(TOKEN);
    await phone.onPush(server.verificationPush());
    server.words.length = 0;
  };
  return { server, clock, renewed, phone, restart, activate };
}

/** The answer, once, to the first command with this word. */
function once(word: NtfCommand['word'], answer: NtfResponse | 'drop') {
  let done = false;
  return (command: NtfCommand): NtfResponse | 'drop' | undefined => {
    if (done || command.word !== word) return undefined;
    done = true;
    return answer;
  };
}

const error = (kind: 'AUTH' | 'INTERNAL'): NtfResponse => ({ word: 'ERR', error: { kind } });
const closed = { name: 'NtfConnectionError', reason: 'closed' };

describe('registration', () => {
  test('TNEW, the code of the push, TVFY, periodic checks', async () => {
    const { server, phone } = rig();
    await phone.register(TOKEN);
    assert.equal(phone.status, 'REGISTERED');
    assert.deepEqual(await phone.onPush(server.verificationPush()), { kind: 'verification', verified: true });
    assert.equal(phone.status, 'ACTIVE');
    assert.deepEqual(server.words, ['TNEW', 'TVFY', 'TCRN']);
    assert.equal(server.connections, 1);
  });

  test('a push that overtakes the answer to TNEW is opened all the same', async () => {
    const { server, phone } = rig();
    const registering = phone.register(TOKEN);
    while (!server.words.includes('TNEW')) await new Promise((resolve) => setImmediate(resolve));
    const result = await phone.onPush(server.verificationPush());
    await registering;
    assert.deepEqual(result, { kind: 'verification', verified: true });
  });

  test('a code is returned only while it is waited for', async () => {
    const { server, phone, activate } = rig();
    await activate();
    assert.deepEqual(await phone.onPush(server.verificationPush()), { kind: 'ignored' });
    assert.deepEqual(server.words, []);
  });

  test('at the next start the same keys are announced again, and the proof is renewed', async () => {
    const { server, restart, activate } = rig();
    await activate();
    const phone = restart();
    assert.equal(phone.status, 'ACTIVE');
    await phone.register(TOKEN);
    assert.equal(phone.status, 'REGISTERED');
    assert.deepEqual(await phone.onPush(server.verificationPush()), { kind: 'verification', verified: true });
    assert.deepEqual(server.words, ['TNEW', 'TVFY', 'TCRN']);
  });

  test('another device token replaces the old one; if the server refuses, all is new', async () => {
    const { server, phone, activate } = rig();
    await activate();
    await phone.register(OTHER_TOKEN);
    assert.equal(phone.status, 'REGISTERED');
    await phone.onPush(server.verificationPush());
    assert.deepEqual(server.words, ['TRPL', 'TVFY', 'TCRN']);
    const before = phone.save().device!;
    server.override = once('TRPL', error('INTERNAL'));
    await phone.register(TOKEN);
    assert.deepEqual(server.words.slice(3), ['TRPL', 'TNEW']);
    assert.notDeepEqual(phone.save().device!.authKey, before.authKey);
  });

  test('AUTH to a code: forgotten, registered anew with new keys', async () => {
    const { server, phone } = rig();
    await phone.register(TOKEN);
    const before = phone.save().device!;
    server.override = once('TVFY', error('AUTH'));
    const push = server.verificationPush();
    assert.deepEqual(await phone.onPush(push), { kind: 'verification', verified: false });
    assert.deepEqual(server.words, ['TNEW', 'TVFY', 'TNEW']);
    assert.notDeepEqual(phone.save().device!.authKey, before.authKey);
    await assert.rejects(phone.onPush(push), (e) => e instanceof PushError && e.reason === 'forged');
    assert.deepEqual(await phone.onPush(server.verificationPush()), { kind: 'verification', verified: true });
  });

  test('a code that could not be returned is returned at the next start', async () => {
    const { server, phone, restart } = rig();
    await phone.register(TOKEN);
    server.override = (command) => (command.word === 'TVFY' ? 'drop' : undefined);
    await assert.rejects(phone.onPush(server.verificationPush()), closed);
    server.override = () => undefined;
    server.words.length = 0;
    const later = restart();
    await later.register(TOKEN);
    assert.deepEqual(server.words, ['TVFY', 'TCRN']);
    assert.equal(later.status, 'ACTIVE');
  });

  test('a server that lost its memory is found out at the next check, and all is announced again', async () => {
    const { server, phone, activate, renewed } = rig();
    await activate();
    await phone.subscribe('alice', credentials());
    server.forgetAll();
    server.words.length = 0;
    await phone.check();
    assert.deepEqual(server.words, ['TCHK', 'TNEW']);
    await phone.onPush(server.verificationPush());
    assert.deepEqual(server.words.slice(2), ['TVFY', 'TCRN', 'SNEW']);
    assert.equal(phone.subscription('alice')?.action, 'check');
    assert.deepEqual(renewed, []);
  });

  test('a token that Apple refuses is announced again', async () => {
    const { server, phone, activate } = rig();
    await activate();
    server.override = once('TCHK', { word: 'TKN', status: { kind: 'INVALID', reason: 'EXPIRED' } });
    await phone.check();
    assert.deepEqual(server.words, ['TCHK', 'TNEW']);
  });

  test('a refusal of TNEW is told by its word', async () => {
    const { server, phone } = rig();
    server.override = once('TNEW', error('INTERNAL'));
    await assert.rejects(phone.register(TOKEN), { name: 'NtfRefusal', code: 'INTERNAL' });
    await phone.register(TOKEN);
    assert.equal(phone.status, 'REGISTERED');
  });

  test('unregistering says TDEL and forgets', async () => {
    const { server, phone, activate } = rig();
    await activate();
    await phone.unregister();
    assert.deepEqual(server.words, ['TDEL']);
    assert.equal(phone.status, undefined);
  });
});

describe('queues', () => {
  test('SNEW now, SCHK after a day, then every three days', async () => {
    const { server, clock, phone, activate } = rig();
    await activate();
    await phone.subscribe('alice', credentials());
    assert.deepEqual(server.words, ['SNEW']);
    assert.equal(phone.nextCheckAt, clock.now() + DAY);
    await clock.advance(DAY - 1);
    await phone.check();
    assert.ok(!server.words.includes('SCHK'));
    await clock.advance(1);
    await phone.check();
    assert.equal(server.words.at(-1), 'SCHK');
    assert.equal(phone.nextCheckAt, clock.now() + 3 * DAY);
    assert.equal(phone.subscription('alice')?.status, 'ACTIVE');
  });

  test('nothing is announced before the registration is active', async () => {
    const { server, phone } = rig();
    await phone.register(TOKEN);
    await phone.subscribe('alice', credentials());
    assert.deepEqual(server.words, ['TNEW']);
    await phone.onPush(server.verificationPush());
    assert.deepEqual(server.words, ['TNEW', 'TVFY', 'TCRN', 'SNEW']);
  });

  for (const kind of ['END', 'DELETED', 'AUTH', 'SERVICE'] as const) {
    test(`${kind} is answered with a new notifier`, async () => {
      const { server, clock, phone, activate, renewed } = rig();
      await activate();
      const old = await phone.subscribe('alice', credentials());
      for (const id of server.statuses.keys()) server.statuses.set(id, { kind });
      server.words.length = 0;
      await clock.advance(DAY);
      await phone.check();
      assert.deepEqual(renewed, ['alice']);
      assert.deepEqual(server.words, ['TCHK', 'TCRN', 'SCHK', 'SNEW']);
      assert.notDeepEqual(phone.subscription('alice')?.queue, old.queue);
    });
  }

  for (const kind of ['NEW', 'PENDING', 'INACTIVE'] as const) {
    test(`${kind} is left alone`, async () => {
      const { server, clock, phone, activate, renewed } = rig();
      await activate();
      await phone.subscribe('alice', credentials());
      for (const id of server.statuses.keys()) server.statuses.set(id, { kind });
      await clock.advance(DAY);
      await phone.check();
      assert.deepEqual(renewed, []);
      assert.equal(phone.subscription('alice')?.status, kind);
    });
  }

  test('a refused SNEW is not repeated until the app checks; then with a new notifier', async () => {
    const { server, phone, activate, renewed } = rig();
    await activate();
    server.override = once('SNEW', error('AUTH'));
    assert.equal((await phone.subscribe('alice', credentials())).action, 'failed');
    assert.deepEqual(server.words, ['SNEW']);
    assert.equal(phone.nextCheckAt, undefined);
    await phone.check();
    assert.deepEqual(renewed, ['alice']);
    assert.equal(phone.subscription('alice')?.action, 'check');
  });

  test('no answer: the same again, later and later', async () => {
    const { server, clock, phone, activate } = rig();
    await activate();
    server.override = (command) => (command.word === 'SNEW' ? 'drop' : undefined);
    await phone.subscribe('alice', credentials());
    assert.equal(phone.nextCheckAt, clock.now() + 2000);
    await clock.advance(2000);
    await phone.check();
    assert.equal(phone.nextCheckAt, clock.now() + 3000);
    server.override = () => undefined;
    await clock.advance(3000);
    await phone.check();
    assert.equal(phone.subscription('alice')?.action, 'check');
  });

  test('four checks fit a block, and the next block waits for its answers', async () => {
    const { server, clock, phone, activate } = rig();
    await activate();
    for (let i = 0; i < 9; i++) await phone.subscribe(`queue ${i}`, credentials());
    await clock.advance(DAY);
    const before = server.blocks;
    await phone.check();
    assert.equal(server.blocks - before, 2 + 3); // TCHK, TCRN, 9 SCHK
  });
});

describe('message pushes', () => {
  async function subscribed(names: readonly string[]) {
    const r = rig();
    await r.activate();
    const keys = new Map(names.map((name) => [name, credentials()]));
    for (const [name, known] of keys) await r.phone.subscribe(name, known);
    const item = (name: string, time: number) => {
      const { queue, metadataSecret } = keys.get(name)!;
      const nonce = crypto.randomBytes(24);
      const meta = new Writer(64).shortString(crypto.randomBytes(24)).i64(time).done();
      const metadata = cbEncrypt(crypto, metadataSecret, nonce, meta, 128);
      return { queue, time, nonce, metadata };
    };
    const news = async (...items: ReturnType<typeof item>[]) => {
      const result = await r.phone.onPush(r.server.messagePush(items));
      return result.kind === 'messages'
        ? result.news.map((n) => `${n.name} ${n.message?.time}`)
        : result.kind;
    };
    return { ...r, item, news };
  }

  test('items before the last count only if they are newer; the last always does', async () => {
    const { item, news } = await subscribed(['alice', 'bob']);
    assert.deepEqual(await news(item('alice', 100)), ['alice 100']);
    assert.deepEqual(await news(item('alice', 100), item('bob', 110)), ['bob 110']);
    assert.deepEqual(await news(item('alice', 120), item('bob', 110)), ['alice 120', 'bob 110']);
  });

  test('metadata that does not open: told if it is the last', async () => {
    const { item, news } = await subscribed(['alice', 'bob']);
    const broken = { ...item('alice', 100), metadata: new Uint8Array(144) };
    assert.deepEqual(await news(broken, item('bob', 100)), ['bob 100']);
    assert.deepEqual(await news(broken), ['alice undefined']);
  });

  test('queues that are not ours are skipped', async () => {
    const { phone, item, news } = await subscribed(['alice', 'bob']);
    const bob = item('bob', 100);
    phone.unsubscribe('bob');
    assert.deepEqual(await news(item('alice', 100), bob), ['alice 100']);
    assert.equal(await news(bob), 'ignored');
  });

  test('nothing is told while the registration is not active', async () => {
    const { phone, item, news } = await subscribed(['alice']);
    await phone.register(TOKEN);
    assert.equal(await news(item('alice', 100)), 'ignored');
  });

  test('a check is a check', async () => {
    const { phone } = rig();
    assert.deepEqual(await phone.onPush({ notificationData: { checkMessages: true } }), { kind: 'check' });
  });
});

describe('connection and state', () => {
  test('a connection that broke while idle is made anew without a word', async () => {
    const { server, phone, activate } = rig();
    await activate();
    server.dropConnections();
    await phone.check();
    assert.equal(server.connections, 2);
    assert.equal(phone.status, 'ACTIVE');
  });

  test('one that breaks under a command is made anew once, and the command repeated', async () => {
    const { server, phone, activate } = rig();
    await activate();
    server.override = once('TCHK', 'drop');
    await phone.check();
    assert.deepEqual(server.words, ['TCHK', 'TCHK', 'TCRN']);
    assert.equal(server.connections, 2);
  });

  test('a server that does not answer is given up after 30 s', async () => {
    const { server, clock, phone, activate } = rig();
    await activate();
    server.dropConnections();
    const { connect } = server;
    server.connect = () => ({ ...connect.call(server), send: () => {} });
    const check = phone.check();
    const failed = assert.rejects(check, (e) => e instanceof NtfConnectionError && e.reason === 'timeout');
    await clock.advance(30_000);
    await failed;
  });

  test('another identity or a forged session key is refused', async () => {
    const { server, phone } = rig();
    const { connect } = server;
    server.connect = () => ({ ...connect.call(server), verify: () => false });
    await assert.rejects(phone.register(TOKEN), { reason: 'identity' });
    server.connect = () => ({ ...connect.call(server), sessionId: new Uint8Array(32) });
    await assert.rejects(phone.register(TOKEN), { reason: 'identity' });
  });

  test('saved and read again, everything goes on; what is no state is refused', async () => {
    const { phone, activate, restart } = rig();
    await activate();
    await phone.subscribe('alice', credentials());
    assert.deepEqual(restart().save(), phone.save());
    for (const text of ['', '{}', '[]', 'null', '{"version":2,"subscriptions":[]}']) {
      assert.throws(() => decodeState(text), StateError);
    }
  });
});
