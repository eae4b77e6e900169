import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { cbEncrypt } from '../../../../shared/crypto/box.js';
import { loadCrypto } from '../../../../shared/crypto/load.js';
import { toBase64url } from '../../../../shared/encoding/base64url.js';
import { fromHex, utf8 } from '../../../../shared/encoding/bytes.js';
import { Writer } from '../../../../shared/encoding/writer.js';
import { messageKey } from '../../../../shared/push/keys.js';
import type { PorchlightPush, PushEntry } from '../../../../shared/push/porchlight-profile.js';
import { VirtualClock } from '../../../../shared/run/clock.js';
import { PorchlightPhone } from '../../../../shared/sdk/client.js';
import { DeliveryLog } from '../../../../shared/sdk/delivery.js';
import { naclCrypto } from '../../../../shared/sdk/nacl.js';
import { PushError } from '../../../../shared/sdk/open.js';
import { openPorchlightPush } from '../../../../shared/sdk/porchlight.js';
import { decodeState, encodeState } from '../../../../shared/sdk/state.js';
import type { QueueCredentials } from '../../../../shared/sdk/subscriptions.js';
import { FakeNtfServer } from '../../../support/fake-ntf-server.js';
import { ownVector } from '../../../support/paths.js';

const crypto = await loadCrypto();
const TOKEN = { provider: 'AT', text: utf8('a1b2') } as const;
const PUSH: PorchlightPush = {
  overflow: false,
  maybeMissed: false,
  check: false,
  epoch: 5,
  sequence: 1,
  time: 1_800_000_000,
  entries: [],
};

let queues = 0;
function credentials(): QueueCredentials {
  const server = { hosts: ['smp.example'], port: '', keyHash: new Uint8Array(32).fill(1) };
  return {
    queue: { server, notifierId: crypto.sha256(utf8(`queue ${queues++}`)).slice(0, 24) },
    notifierKey: { algorithm: 'ed25519', raw: crypto.randomBytes(32) },
    metadataSecret: crypto.randomBytes(32),
  };
}

async function activated(...names: string[]) {
  const server = new FakeNtfServer(crypto);
  const make = (state?: string) =>
    new PorchlightPhone({
      keyHash: server.keyHash,
      connect: async () => server.connect(),
      renewNotifier: async () => credentials(),
      clock: new VirtualClock(),
      profile: 'porchlight',
      ...(state && { saved: decodeState(state) }),
    });
  const phone = make();
  await phone.register(TOKEN);
  const verified = await phone.onPush(server.porchlightVerification());
  assert.deepEqual(verified, { kind: 'verification', verified: true });
  for (const name of names) await phone.subscribe(name, credentials());
  const entry = (name: string, sequence: number, time = 1_800_000_000 + sequence): PushEntry => {
    const { subscriptionId, metadataSecret } = phone.subscription(name)!;
    const nonce = crypto.randomBytes(24);
    const meta = new Writer(64).shortString(crypto.randomBytes(24)).i64(time).done();
    const metadata = cbEncrypt(crypto, metadataSecret, nonce, meta, 128);
    return { subscriptionId: subscriptionId!, sequence, class: 'message', time, sealed: { nonce, metadata } };
  };
  const pushed = (push: Partial<PorchlightPush>, at = phone) =>
    at.onPush(server.porchlightPush({ ...PUSH, ...push }));
  const news = async (push: Partial<PorchlightPush>) => {
    const result = await pushed(push);
    return result.kind === 'messages' ? result.news.map(({ name }) => name) : result.kind;
  };
  return { server, phone, entry, pushed, news, restart: () => make(encodeState(phone.save())) };
}

describe('a phone with profile porchlight', () => {
  test('tells the queues of a push, with what their servers said', async () => {
    const { pushed, entry } = await activated('alice', 'bob');
    const { sealed: _, ...bare } = entry('bob', 1);
    const result = await pushed({ entries: [entry('alice', 1, 77), { ...bare, class: 'update' }] });
    assert.ok(result.kind === 'messages');
    const [alice, bob] = result.news;
    assert.deepEqual([alice!.name, alice!.class, alice!.message!.time], ['alice', 'message', 77]);
    assert.deepEqual(bob, { name: 'bob', class: 'update' });
    assert.equal('everywhere' in result || 'missed' in result, false);
  });

  test('what is old or repeated is ignored; told entries of a newer push are no news', async () => {
    const { news, entry } = await activated('alice', 'bob');
    const alice = entry('alice', 1);
    assert.deepEqual(await news({ sequence: 3, entries: [alice] }), ['alice']);
    for (const sequence of [3, 2, 1, 0x8000_0003]) {
      assert.equal(await news({ sequence, entries: [entry('bob', sequence)] }), 'ignored');
    }
    assert.deepEqual(await news({ sequence: 4, entries: [alice, entry('bob', 2)] }), ['bob']);
    assert.deepEqual(await news({ sequence: 5, entries: [entry('alice', 5)] }), ['alice']);
  });

  test('sequence numbers go on behind 2³²', async () => {
    const { news, phone, entry } = await activated('alice');
    assert.deepEqual(await news({ sequence: 0xffff_ffff, entries: [entry('alice', 0xffff_ffff)] }), [
      'alice',
    ]);
    assert.deepEqual(await news({ sequence: 1, entries: [entry('alice', 1)] }), ['alice']);
    assert.deepEqual(phone.delivery, { received: 2, sent: 3, rate: 2 / 3 });
  });

  test('gaps are told, and the delivery rate', async () => {
    const { pushed, phone, entry } = await activated('alice');
    assert.equal(phone.delivery, undefined);
    await pushed({ sequence: 10, entries: [entry('alice', 10)] });
    const result = await pushed({ sequence: 13, entries: [entry('alice', 13)] });
    assert.ok(result.kind === 'messages' && result.missed === 2);
    await pushed({ sequence: 13 });
    assert.deepEqual(phone.delivery, { received: 2, sent: 4, rate: 0.5 });
    assert.deepEqual(await pushed({ sequence: 15, check: true }), { kind: 'check', missed: 1 });
  });

  test('each flag means: look everywhere', async () => {
    const { pushed, entry } = await activated('alice');
    let sequence = 0;
    for (const flag of ['overflow', 'maybeMissed', 'check'] as const) {
      assert.deepEqual(await pushed({ sequence: ++sequence, [flag]: true }), { kind: 'check' });
      sequence++;
      const result = await pushed({ sequence, [flag]: true, entries: [entry('alice', sequence)] });
      assert.ok(result.kind === 'messages' && result.everywhere === true);
    }
    assert.deepEqual(await pushed({ sequence: ++sequence }), { kind: 'ignored' });
  });

  test('what is not boxed is ignored, and so is text', async () => {
    const { phone } = await activated('alice');
    for (const payload of [
      { aps: { alert: 'Hello' } },
      { aps: { 'content-available': 1 } },
      { notificationData: { checkMessages: true } },
      { porchlight: { check: true } },
      { porchlight: { nonce: 'AAAA', message: 'AAAA' } },
      '{}',
    ]) {
      assert.deepEqual(await phone.onPush(payload), { kind: 'ignored' });
    }
  });

  test('a box of another key, or with something else in it, is refused', async () => {
    const { phone, server, pushed } = await activated('alice');
    const secret = phone.save().device!.registered!.dhSecret;
    const push = (box: Uint8Array, nonce: Uint8Array) => ({
      porchlight: { nonce: toBase64url(nonce), message: toBase64url(box) },
    });
    const nonce = crypto.randomBytes(24);
    const reason = (r: string) => (error: unknown) => error instanceof PushError && error.reason === r;
    await assert.rejects(phone.onPush(push(new Uint8Array(2928), nonce)), reason('forged'));
    const simplex = cbEncrypt(crypto, secret, nonce, utf8('items'), 2912);
    await assert.rejects(phone.onPush(push(simplex, nonce)), reason('forged'));
    const odd = crypto.secretboxSeal(messageKey(crypto, secret), nonce, new Uint8Array(2912));
    await assert.rejects(phone.onPush(push(odd, nonce)), reason('malformed'));
    const verification = JSON.parse(server.porchlightVerification()).porchlight;
    const swapped = { porchlight: { nonce: verification.nonce, message: verification.verification } };
    await assert.rejects(phone.onPush(swapped), reason('forged'));
    assert.deepEqual(await pushed({ check: true }), { kind: 'check' });
  });

  test('a code is returned only while it is waited for', async () => {
    const { phone, server } = await activated();
    assert.deepEqual(await phone.onPush(server.porchlightVerification()), { kind: 'ignored' });
  });

  test('a push counts while the proof is being renewed', async () => {
    const { phone, news, entry } = await activated('alice');
    await phone.register(TOKEN);
    assert.equal(phone.status, 'REGISTERED');
    assert.deepEqual(await news({ entries: [entry('alice', 1)] }), ['alice']);
  });

  test('what was seen is remembered over a start', async () => {
    const { pushed, restart, entry } = await activated('alice');
    const push = { sequence: 4, entries: [entry('alice', 4)] };
    await pushed(push);
    const phone = restart();
    assert.deepEqual(await pushed(push, phone), { kind: 'ignored' });
    assert.deepEqual(await pushed({ ...push, sequence: 5 }, phone), { kind: 'ignored' });
    assert.deepEqual(phone.delivery, { received: 2, sent: 2, rate: 1 });
  });

  test('after a new registration numbers start again', async () => {
    const { phone, server, pushed, news, entry } = await activated('alice');
    await pushed({ sequence: 9, entries: [entry('alice', 9)] });
    server.forgetAll();
    await phone.check();
    await phone.onPush(server.porchlightVerification());
    assert.equal(phone.delivery, undefined);
    assert.deepEqual(await news({ epoch: 5, time: 1, entries: [entry('alice', 1)] }), ['alice']);
  });
});

describe('the log of deliveries', () => {
  test('another epoch counts only if made later; a replay of the old one does not', () => {
    const log = new DeliveryLog();
    const at = (epoch: number, sequence: number, time: number) =>
      log.take({ ...PUSH, epoch, sequence, time });
    assert.equal(at(1, 50, 1000), 0);
    assert.equal(at(2, 1, 999), undefined);
    assert.equal(at(2, 1, 1001), 0);
    assert.equal(at(1, 51, 1000), undefined);
    assert.deepEqual(log.report, { received: 1, sent: 1, rate: 1 });
    assert.equal(at(2, 3, 5), 1, 'a clock set back changes nothing within an epoch');
  });

  test('the same secret remembers the time, a new one nothing', () => {
    const log = new DeliveryLog();
    log.take({ ...PUSH, time: 1000 });
    log.restart(false);
    assert.equal(log.take({ ...PUSH, epoch: 9, time: 999 }), undefined);
    log.restart(true);
    assert.equal(log.take({ ...PUSH, epoch: 9, time: 999 }), 0);
  });
});

interface Vector {
  readonly secret: string;
  readonly messages: readonly { nonce: string; box: string; push: { sequence: number } }[];
  readonly verification: { nonce: string; box: string; code: string };
}

test('vectors open', () => {
  const v = ownVector<Vector>('porchlight-push');
  const secret = fromHex(v.secret)!;
  const open = (nonce: string, kind: string, box: string) =>
    openPorchlightPush(naclCrypto, secret, {
      porchlight: { nonce: toBase64url(fromHex(nonce)!), [kind]: toBase64url(fromHex(box)!) },
    });
  for (const { nonce, box, push } of v.messages) {
    const opened = open(nonce, 'message', box);
    assert.ok(opened.kind === 'push' && opened.push.sequence === push.sequence);
  }
  const { nonce, box, code } = v.verification;
  assert.deepEqual(open(nonce, 'verification', box), { kind: 'verification', code: fromHex(code) });
});

test('whatever arrives, opening ends in a result or in PushError', () => {
  const secret = new Uint8Array(32).fill(7);
  const nonce = new Uint8Array(24).fill(3);
  const opens = (payload: unknown): void => {
    try {
      openPorchlightPush(naclCrypto, secret, payload);
    } catch (error) {
      assert.ok(error instanceof PushError, String(error));
    }
  };
  const key = fc.constantFrom('porchlight', 'nonce', 'message', 'verification', 'aps');
  fc.assert(fc.property(fc.dictionary(key, fc.dictionary(key, fc.anything())), opens), { numRuns: 300 });
  fc.assert(fc.property(fc.string(), opens), { numRuns: 100 });
  const sealing = messageKey(crypto, secret);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (head) => {
      const plaintext = new Uint8Array(2912);
      plaintext.set(head);
      const box = toBase64url(crypto.secretboxSeal(sealing, nonce, plaintext));
      opens({ porchlight: { nonce: toBase64url(nonce), message: box } });
    }),
    { numRuns: 50 },
  );
});
