import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  Admission,
  type IncomingRequest,
  type Refusal,
} from '../../../../../services/gateway/http/admission.js';
import { type NonceAnswer, Nonces } from '../../../../../services/gateway/limits/nonces.js';
import { Subscribers } from '../../../../../services/gateway/limits/subscribers.js';
import type { KeyPair } from '../../../../../shared/crypto/crypto.js';
import { loadCrypto } from '../../../../../shared/crypto/load.js';
import { toBase64urlBare } from '../../../../../shared/encoding/base64url.js';
import { latin1 } from '../../../../../shared/encoding/bytes.js';
import { encodeBatch } from '../../../../../shared/relay/batch.js';
import { MAX_BODY_SIZE, PATHS } from '../../../../../shared/relay/constants.js';
import { subscriberTag } from '../../../../../shared/relay/identity.js';
import { signRequest } from '../../../../../shared/relay/signature.js';
import { seconds, VirtualClock } from '../../../../../shared/run/clock.js';
import { addressesFor, rosterFor } from '../../../../support/admission.js';

const crypto = await loadCrypto();

test('newcomers of one address that stall their bodies leave places to others', async () => {
  const clock = new VirtualClock();
  const addresses = addressesFor({ clock });
  const allowances = { nonces: 99, rate: 99, newcomerRate: 99, requests: 12, newcomerRequests: 12 };
  const subscribers = new Subscribers({ clock, capacity: 9, ...allowances });
  const nonces = new Nonces(999);
  const admission = new Admission({
    crypto,
    clock,
    addresses,
    subscribers,
    nonces,
    fingerprint: 'g',
    roster: rosterFor(crypto),
    noncesSince: 0,
  });
  const sent = encodeBatch([]);
  const request = (block: string, body: () => Promise<Uint8Array>): IncomingRequest => {
    const signing = { authority: 'host', path: PATHS.push, body: sent, gateway: 'g' };
    const headers: Record<string, string> = {
      ...signRequest(crypto, crypto.ed25519KeyPair(), signing, seconds(clock)),
      host: 'host',
      'content-length': String(sent.length),
    };
    return { method: 'POST', path: PATHS.push, query: '', header: (name) => headers[name], body, block };
  };
  const given: ((body: Uint8Array) => void)[] = [];
  const stalled = (): Promise<Uint8Array> => new Promise((resolve) => given.push(resolve));
  const attempts = Array.from({ length: 30 }, () =>
    admission.admit(request('192.0.2.1', stalled)).catch((error: Refusal) => error.code),
  );
  await clock.advance(0);
  assert.equal(given.length, 8);
  const other = await admission.admit(request('192.0.2.2', () => Promise.resolve(sent)));
  other.leave();
  for (const give of given) give(sent);
  const ends = await Promise.all(attempts);
  assert.equal(ends.filter((end) => end === 'rate').length, 22);
  for (const end of ends) if (typeof end !== 'string') end.leave();
  const again = await admission.admit(request('192.0.2.1', () => Promise.resolve(sent)));
  again.leave();
  assert.equal(admission.bodyBytes, 0);
});

test('subscribers with devices that stall their bodies leave room to those that do not', async () => {
  const clock = new VirtualClock();
  const allowances = { nonces: 999, rate: 99_999, newcomerRate: 99, requests: 99, newcomerRequests: 12 };
  const subscribers = new Subscribers({ clock, capacity: 99, ...allowances });
  const admission = new Admission({
    ...{ crypto, clock, subscribers, fingerprint: 'g', noncesSince: 0 },
    addresses: addressesFor({ clock, connectionsPerAddress: 9_999 }),
    nonces: new Nonces(9_999),
    roster: rosterFor(crypto),
  });
  const sent = new Uint8Array(MAX_BODY_SIZE);
  const identity = () => {
    const key = crypto.ed25519KeyPair();
    subscribers.establish(latin1(subscriberTag(crypto, key.publicKey)));
    return key;
  };
  const ask = (key: KeyPair, body: () => Promise<Uint8Array>) => {
    const signing = { authority: 'host', path: PATHS.push, body: sent, gateway: 'g' };
    const headers: Record<string, string> = {
      ...signRequest(crypto, key, signing, seconds(clock)),
      host: 'host',
      'content-length': String(sent.length),
    };
    const header = (name: string) => headers[name];
    return admission
      .admit({ method: 'POST', path: PATHS.push, query: '', header, body, block: '192.0.2.1' })
      .catch(({ code, retryAfter }: Refusal) => `${code} ${retryAfter}`);
  };
  const never = () => new Promise<Uint8Array>(() => {});
  const refused: string[] = [];
  for (let n = 0; n < 4; n++) {
    const key = identity();
    for (let i = 0; i < 70; i++) void ask(key, never).then((end) => refused.push(String(end)));
    await clock.advance(0);
  }
  assert.deepEqual(new Set(refused), new Set(['rate 1']));
  assert.ok(admission.bodyBytes >= 192 * MAX_BODY_SIZE && admission.bodyBytes <= 196 * MAX_BODY_SIZE);
  for (let n = 0; n < 3; n++) {
    const admitted = await ask(identity(), async () => sent);
    assert.ok(typeof admitted !== 'string', String(admitted));
    admitted.leave();
  }
});

test('a subscriber whose allowance is taken away while its request waits is not locked out for good', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'porchlight-admission-'));
  const clock = new VirtualClock();
  const allowances = { nonces: 99, rate: 99, newcomerRate: 99, requests: 9, newcomerRequests: 9 };
  const roster = rosterFor(crypto, { clock, mode: 'listed', file: join(folder, 'subscribers.json') });
  const identity = crypto.ed25519KeyPair();
  const key = toBase64urlBare(identity.publicKey);
  let whileItWaits = () => {};
  const admission = new Admission({
    crypto,
    clock,
    addresses: addressesFor({ clock }),
    subscribers: new Subscribers({ clock, capacity: 9, ...allowances }),
    nonces: {
      size: 0,
      add: async (): Promise<NonceAnswer> => {
        whileItWaits();
        return 'new';
      },
    },
    fingerprint: 'g',
    roster,
    noncesSince: 0,
  });
  const sent = encodeBatch([]);
  const ask = async (): Promise<string> => {
    const signing = { authority: 'host', path: PATHS.push, body: sent, gateway: 'g' };
    const headers: Record<string, string> = {
      ...signRequest(crypto, identity, signing, seconds(clock)),
      host: 'host',
      'content-length': String(sent.length),
    };
    const header = (name: string) => headers[name];
    const body = () => Promise.resolve(sent);
    const request = { method: 'POST', path: PATHS.push, query: '', header, body, block: '192.0.2.1' };
    return admission.admit(request).then(
      ({ leave }) => {
        leave();
        return 'ok';
      },
      (error: Refusal) => error.code,
    );
  };
  roster.put(key, { rate: 5 });
  whileItWaits = () => void roster.put(key, { rate: 0 });
  assert.equal(await ask(), 'ok');
  assert.equal(await ask(), 'not-listed');
  whileItWaits = () => {};
  roster.put(key, { rate: 5 });
  assert.equal(await ask(), 'ok');
  rmSync(folder, { recursive: true });
});
