/** Both ends of the relay contract as they are shipped: the subscriber's link against the gateway. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { GatewayLink } from '../../services/subscriber/outbound/gateway-link.js';
import { createGatewayLink } from '../../services/subscriber/outbound/link.js';
import { linkMetrics } from '../../services/subscriber/outbound/metrics.js';
import type { Crypto, KeyPair } from '../../shared/crypto/crypto.js';
import { loadCrypto } from '../../shared/crypto/load.js';
import { appTag, subscriberTag } from '../../shared/relay/identity.js';
import { encodeSealedToken } from '../../shared/relay/sealed-token.js';
import { encodeVerificationPayload } from '../../shared/relay/verification.js';
import { seconds, systemClock } from '../../shared/run/clock.js';
import { silentLog } from '../../shared/run/log.js';
import { Metrics } from '../../shared/run/metrics.js';
import { makeFrame } from '../support/frames.js';
import { startTestGateway, type TestGateway, TOPIC } from '../support/gateway.js';

let crypto: Crypto;
let gateway: TestGateway;
let link: GatewayLink;
let identity: KeyPair;

before(async () => {
  crypto = await loadCrypto();
  gateway = await startTestGateway({ crypto });
  identity = crypto.ed25519KeyPair();
  const { fingerprint, port } = gateway.gateway;
  link = createGatewayLink({
    address: { fingerprint, host: '127.0.0.1', port },
    identity,
    crypto,
    clock: systemClock,
    log: silentLog,
    metrics: new Metrics('test_').add(linkMetrics),
    random: Math.random,
  });
  // No authority signed the certificate: the statement alone makes it trusted.
  if (!link.available) await new Promise<void>((resolve) => link.onAvailable(resolve));
});
after(async () => {
  await link.close();
  await gateway.close();
});

test('a token is exchanged, a hundred pushes go, a code that is wrong is called so', async () => {
  const { facts } = link;
  assert.deepEqual(facts?.apps.get(TOPIC), ['production', 'test']);
  const sealed = encodeSealedToken(crypto, facts!.sealing, {
    environment: 'test',
    appTag: appTag(crypto, TOPIC),
    createdAt: seconds(systemClock),
    subscriberTag: subscriberTag(crypto, identity.publicKey),
    ownerKey: new Uint8Array(32),
    token: Buffer.from('a-test-token'),
  });
  const { capability, deviceTag } = await link.exchange(sealed);
  assert.equal(deviceTag.length, 16);
  const payload = encodeVerificationPayload(crypto.randomBytes(32));
  const verification = () => makeFrame({ kind: 'verification', capability, payload });
  assert.equal((await link.push(verification())).kind, 'accepted');
  assert.equal(Buffer.from(gateway.apns.pushes[0]!.token).toString(), 'a-test-token');
  const refused = await Promise.all(Array.from({ length: 100 }, () => link.push(verification())));
  for (const outcome of refused) assert.deepEqual([outcome.kind, outcome.reason], ['later', 'device']);
  const wrong = link.prove(capability, new Uint8Array(32));
  await assert.rejects(wrong, { name: 'GatewayRefusal', code: 'bad-code' });
  assert.equal((await link.renew(capability)).length, 256);
});
