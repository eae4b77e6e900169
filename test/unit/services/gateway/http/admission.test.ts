import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  Admission,
  type IncomingRequest,
  type Refusal,
} from '../../../../../services/gateway/http/admission.js';
import { Nonces } from '../../../../../services/gateway/limits/nonces.js';
import { Subscribers } from '../../../../../services/gateway/limits/subscribers.js';
import { loadCrypto } from '../../../../../shared/crypto/load.js';
import { encodeBatch } from '../../../../../shared/relay/batch.js';
import { PATHS } from '../../../../../shared/relay/constants.js';
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
