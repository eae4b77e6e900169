/** Hostile pushes: whatever arrives, opening ends in a result or in `PushError`. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { cbEncrypt, cbEncryptNoPad } from '../../shared/crypto/box.js';
import { toBase64url } from '../../shared/encoding/base64url.js';
import { concat, utf8 } from '../../shared/encoding/bytes.js';
import { encodeItems } from '../../shared/ntf/payload.js';
import { naclCrypto as crypto } from '../../shared/sdk/nacl.js';
import { openMetadata, openPush, PushError } from '../../shared/sdk/open.js';

const secret = new Uint8Array(32).fill(7);
const nonce = new Uint8Array(24).fill(3);
const RUNS = { numRuns: process.env.SLOW ? 20_000 : 400 };

function opens(payload: unknown): void {
  try {
    const opened = openPush(crypto, secret, payload);
    assert.ok(['verification', 'messages', 'check'].includes(opened.kind));
  } catch (error) {
    assert.ok(error instanceof PushError, String(error));
  }
}

const push = (key: string, box: Uint8Array) => ({
  notificationData: { nonce: toBase64url(nonce), [key]: toBase64url(box) },
});
const kind = fc.constantFrom('verification', 'message');

test('any JSON', () => {
  const key = fc.constantFrom('notificationData', 'nonce', 'message', 'verification', 'checkMessages', 'aps');
  fc.assert(fc.property(fc.dictionary(key, fc.anything()), opens), RUNS);
  fc.assert(
    fc.property(fc.dictionary(key, fc.dictionary(key, fc.jsonValue())), (v) => opens(JSON.stringify(v))),
    RUNS,
  );
  fc.assert(fc.property(fc.string(), opens), RUNS);
});

test('any plaintext in a box of the right key', () => {
  fc.assert(
    fc.property(kind, fc.uint8Array({ maxLength: 400 }), (key, plaintext) =>
      opens(push(key, cbEncrypt(crypto, secret, nonce, plaintext, 402))),
    ),
    RUNS,
  );
  fc.assert(
    fc.property(kind, fc.uint8Array({ maxLength: 40 }), (key, padded) =>
      opens(push(key, cbEncryptNoPad(crypto, secret, nonce, padded))),
    ),
    RUNS,
  );
});

test('items with some bytes replaced', () => {
  const server = { hosts: ['smp.example', 'x.onion'], port: '5223', keyHash: new Uint8Array(32) };
  const queue = { server, notifierId: new Uint8Array(24) };
  const item = { queue, time: 1_700_000_000, nonce, metadata: new Uint8Array(144) };
  const good = encodeItems([item, item]);
  const change = fc.tuple(fc.nat(good.length - 1), fc.nat(255));
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 3 }), (changes) => {
      const plaintext = good.slice();
      for (const [at, byte] of changes) plaintext[at] = byte;
      opens(push('message', cbEncrypt(crypto, secret, nonce, plaintext, 2912)));
    }),
    { numRuns: process.env.SLOW ? 2000 : 60 },
  );
});

test('a push of another key, or before any registration, is forged; visible text is no push', () => {
  const box = cbEncrypt(crypto, secret, nonce, new Uint8Array(32), 100);
  const reason = (r: string) => (error: unknown) => error instanceof PushError && error.reason === r;
  assert.throws(() => openPush(crypto, new Uint8Array(32), push('verification', box)), reason('forged'));
  assert.throws(() => openPush(crypto, undefined, push('verification', box)), reason('forged'));
  assert.throws(() => openPush(crypto, secret, { aps: { alert: 'Hello' } }), reason('not-a-push'));
  const short = cbEncrypt(crypto, secret, nonce, utf8('short'), 100);
  assert.throws(() => openPush(crypto, secret, push('verification', short)), reason('malformed'));
});

test('any metadata', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), fc.boolean(), (plaintext, boxed) => {
      const metadata = boxed ? cbEncrypt(crypto, secret, nonce, plaintext, 128) : concat(plaintext);
      const meta = openMetadata(crypto, secret, { nonce, metadata });
      assert.ok(meta === undefined || Number.isSafeInteger(meta.time));
    }),
    RUNS,
  );
});
