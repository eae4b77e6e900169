/** The NTF server on an ephemeral port, with a registry and a wake engine of plain maps behind it. */
import { randomBytes } from 'node:crypto';
import type { Devices } from '../../services/subscriber/clients/handlers.js';
import { makeIdentity, type NtfIdentity } from '../../services/subscriber/clients/identity.js';
import {
  type NtfListener,
  type NtfListenerLimits,
  startNtfListener,
} from '../../services/subscriber/clients/listener.js';
import { clientMetrics } from '../../services/subscriber/clients/metrics.js';
import type { GatewayFacts } from '../../services/subscriber/outbound/gateway-link.js';
import type { DeviceStates } from '../../services/subscriber/registry/registry.js';
import type { WakeEngine } from '../../services/subscriber/wake/wake.js';
import type { Crypto } from '../../shared/crypto/crypto.js';
import { loadCrypto } from '../../shared/crypto/load.js';
import { generateSignatureKey, publicKeyOf } from '../../shared/crypto/signatures.js';
import { createIdentity, toPem } from '../../shared/crypto/x509.js';
import { utf8 } from '../../shared/encoding/bytes.js';
import type { AuthAlgorithm, Key } from '../../shared/encoding/keys.js';
import type { NtfCommand } from '../../shared/ntf/commands.js';
import type { Provider } from '../../shared/ntf/constants.js';
import { ENVIRONMENTS, type Environment } from '../../shared/relay/identity.js';
import { type Clock, systemClock } from '../../shared/run/clock.js';
import { silentLog } from '../../shared/run/log.js';
import { Metrics } from '../../shared/run/metrics.js';
import { FakeRegistry, FakeWake } from './fake-registry.js';
import { type NtfClientOptions, NtfTestClient } from './ntf-client.js';

export const TOPIC = 'chat.simplex.app';

/** What the server works on, and what the wake engine needs to say that a code was right. */
export type TestDevices = Devices & Pick<DeviceStates, 'setStatus' | 'removeOthers'>;

export interface TestNtfServer<R extends TestDevices = FakeRegistry> {
  readonly crypto: Crypto;
  readonly listener: NtfListener;
  readonly registry: R;
  readonly wake: FakeWake;
  /** What the gateway told; a test may take it away. */
  readonly link: { facts: GatewayFacts | undefined };
  readonly identity: NtfIdentity;
  /** Opens what was sealed. */
  readonly sealingKey: { readonly publicKey: Uint8Array; readonly privateKey: Uint8Array };
  readonly metrics: Metrics;
  connect(options?: Partial<NtfClientOptions>): Promise<NtfTestClient>;
}

export interface TestNtfServerOptions {
  /** Instead of one made here. */
  readonly identity?: NtfIdentity;
  readonly algorithm?: 'ed25519' | 'ed448';
  readonly clock?: Clock;
  readonly crypto?: Crypto;
  readonly limits?: Partial<NtfListenerLimits>;
  /** Instead of the one that `TestNtfServer` shows. */
  readonly engine?: Pick<WakeEngine, 'verify' | 'giveUp' | 'prove' | 'checksChanged'>;
}

export function testIdentity(crypto: Crypto, algorithm: 'ed25519' | 'ed448' = 'ed25519'): NtfIdentity {
  const made = createIdentity({ algorithm, commonName: 'localhost', now: new Date() });
  const certificates = toPem('CERTIFICATE', made.leafCert) + toPem('CERTIFICATE', made.caCert);
  return makeIdentity(crypto, certificates, toPem('PRIVATE KEY', made.leafKey));
}

/** What a gateway tells that serves the app in these environments. */
export const testFacts = (
  sealingKey: Uint8Array,
  environments: readonly Environment[] = ENVIRONMENTS,
): GatewayFacts => ({
  identityKey: randomBytes(32),
  sealing: { keyId: randomBytes(4), publicKey: sealingKey },
  apps: new Map([[TOPIC, environments]]),
  clockOffset: 0,
  profiles: new Map([[TOPIC, ['simplex']]]),
});

export const startTestNtfServer = (options?: TestNtfServerOptions): Promise<TestNtfServer> =>
  startTestNtfServerOn(new FakeRegistry(), options);

export async function startTestNtfServerOn<R extends TestDevices>(
  registry: R,
  options: TestNtfServerOptions = {},
): Promise<TestNtfServer<R>> {
  const crypto = options.crypto ?? (await loadCrypto());
  const identity = options.identity ?? testIdentity(crypto, options.algorithm);
  const wake = new FakeWake(registry);
  const sealingKey = crypto.x25519KeyPair();
  const link: TestNtfServer['link'] = { facts: testFacts(sealingKey.publicKey) };
  const metrics = new Metrics('test_');
  const listener = await startNtfListener({
    name: 'simplex',
    listen: { host: '127.0.0.1', port: 0 },
    identity,
    topic: TOPIC,
    subscriberTag: randomBytes(16),
    processKey: randomBytes(32),
    link,
    devices: registry,
    wake: options.engine ?? wake,
    crypto,
    clock: options.clock ?? systemClock,
    log: silentLog,
    metrics: metrics.add(clientMetrics),
    ...(options.limits && { limits: options.limits }),
  });
  const { port } = listener;
  const { keyHash } = identity;
  const connect = (more: Partial<NtfClientOptions> = {}): Promise<NtfTestClient> =>
    NtfTestClient.connect({ port, keyHash, crypto, alpn: ['ntf/1'], ...more });
  return { crypto, listener, registry, wake, link, identity, sealingKey, metrics, connect };
}

/** A phone's keys for one registration, and its token. */
export interface TestPhone {
  /** Private. */
  readonly key: Key<AuthAlgorithm>;
  readonly dhPrivateKey: Uint8Array;
  readonly tnew: NtfCommand & { readonly word: 'TNEW' };
}

export interface TestPhoneOptions {
  readonly algorithm?: AuthAlgorithm;
  readonly provider?: Provider;
  readonly token?: string;
}

export function testPhone(crypto: Crypto, options: TestPhoneOptions = {}): TestPhone {
  const { algorithm = 'ed25519', provider = 'AP', token = randomBytes(32).toString('hex') } = options;
  const { key, verifyKey } = authKey(crypto, algorithm);
  const dh = crypto.x25519KeyPair();
  const tnew = {
    word: 'TNEW',
    token: { provider, text: utf8(token) },
    verifyKey,
    dhKey: dh.publicKey,
  } as const;
  return { key, dhPrivateKey: dh.privateKey, tnew };
}

function authKey(
  crypto: Crypto,
  algorithm: AuthAlgorithm,
): { key: Key<AuthAlgorithm>; verifyKey: Key<AuthAlgorithm> } {
  if (algorithm !== 'x25519') {
    const key = generateSignatureKey(crypto, algorithm);
    return { key, verifyKey: publicKeyOf(crypto, key) };
  }
  const { privateKey, publicKey } = crypto.x25519KeyPair();
  return { key: { algorithm, raw: privateKey }, verifyKey: { algorithm, raw: publicKey } };
}
