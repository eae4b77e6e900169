/**
 * The link to one gateway, put together: connections, statement, signed requests, batches, availability.
 * Unavailable, it sends nothing but probes until one passes; nobody else needs a back-off.
 */

import { readFileSync } from 'node:fs';
import type { Crypto } from '../../../shared/crypto/crypto.js';
import { hostPort } from '../../../shared/encoding/host-port.js';
import type { GatewayAddress } from '../../../shared/relay/identity.js';
import type { SigningKey } from '../../../shared/relay/signature.js';
import { currentSealingKey } from '../../../shared/relay/statement.js';
import type { Clock } from '../../../shared/run/clock.js';
import { pathOf } from '../../../shared/run/files.js';
import type { Log } from '../../../shared/run/log.js';
import type { MetricHandles } from '../../../shared/run/metrics.js';
import { Availability } from './availability.js';
import { Batcher, type BatcherLimits, type RequestResult } from './batcher.js';
import { CapabilityCalls } from './calls.js';
import { type ConnectorOptions, createConnector, type Dial, dialTcp, type TlsPeer } from './connector.js';
import type { GatewayFacts, GatewayLink } from './gateway-link.js';
import { NO_TIMEOUTS } from './http.js';
import type { linkMetrics } from './metrics.js';
import { sendBatch } from './pushes.js';
import { SignedClient } from './signed-client.js';
import { Statements } from './statements.js';
import { keepParserSmall, Pool } from './undici.js';

export interface GatewayLinkOptions {
  readonly address: GatewayAddress;
  /** The subscriber's Ed25519 key. */
  readonly identity: SigningKey;
  readonly crypto: Crypto;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: MetricHandles<typeof linkMetrics>;
  readonly tls?: {
    /** PEM file of the authorities to trust instead of the system's. */
    readonly caFile?: string | undefined;
  };
  /** Uniform in [0, 1), for back-offs. */
  readonly random: () => number;
  /** How connections are opened; plain TCP unless something else is given. */
  readonly dial?: Dial;
  readonly limits?: Partial<BatcherLimits>;
}

/** Push requests in flight (see `BatcherLimits.open`) and a few for capability calls. */
const CONNECTIONS = 24;
const CONNECT_TIMEOUT_MS = 10_000;
/** Idle connections are kept this long, unless the gateway's Keep-Alive header says less. */
const KEEP_ALIVE_MS = 60_000;

/** Makes the link and starts looking for the gateway. Throws where the CA file can't be read. */
export function createGatewayLink(options: GatewayLinkOptions): GatewayLink {
  keepParserSmall();
  const { address, crypto, clock, log, metrics, random, limits } = options;
  const authority = authorityOf(address);
  const origin = `https://${authority}`;
  const { fingerprint } = address;
  const connector = connectorOptions(options);
  const dispatcher = createPool(origin, { ...connector, trust: (peer) => trusted(statements, peer) });
  const client = new SignedClient({ ...options, dispatcher, authority, gateway: fingerprint });
  const now = (): number => client.now();
  const statements = new Statements({
    fingerprint,
    origin,
    connector,
    now,
    crypto,
    clock,
    log,
    metrics,
    random,
  });
  const onUnknownSealingKey = (): void => void statements.refresh();
  const calls = new CapabilityCalls({ client, clock, metrics, random, onUnknownSealingKey });
  const batcher = new Batcher({
    send: (frames, answer) => sendBatch(client, frames, answer),
    onDown: () => availability.down(),
    clock,
    metrics,
    random,
    ...(limits && { limits }),
  });
  const availability = new Availability({
    probe: () => probe(statements, client, log),
    onUp: () => batcher.resume(),
    clock,
    log,
    metrics,
    random,
  });
  return {
    get facts() {
      return factsOf(statements, client);
    },
    get available() {
      return availability.up;
    },
    onAvailable: (listener) => availability.onUp(listener),
    exchange: (sealedToken) => calls.exchange(sealedToken),
    prove: (capability, code) => calls.prove(capability, code),
    renew: (capability) => calls.renew(capability),
    revoke: (capability) => calls.revoke(capability),
    push: (frame) => batcher.push(frame),
    askStatement: () => statements.refresh(),
    hello: () => hello(client),
    async close() {
      availability.close();
      statements.close();
      batcher.suspend();
      await dispatcher.destroy();
    },
  };
}

/** Host and port as they stand in the Host header: lower case, no default port (RFC 9421 §2.2.3). */
function authorityOf({ host, port }: GatewayAddress): string {
  return new URL(`https://${hostPort(host, port)}`).host;
}

function connectorOptions(options: GatewayLinkOptions): Omit<ConnectorOptions, 'trust'> {
  const { address, tls, dial, crypto, clock } = options;
  const ca = tls?.caFile === undefined ? undefined : readFileSync(pathOf(tls.caFile), 'utf8');
  const { host, port } = address;
  return { host, port, ca, dial: dial ?? dialTcp, crypto, clock, timeoutMs: CONNECT_TIMEOUT_MS };
}

const createPool = (origin: string, connector: ConnectorOptions) =>
  new Pool(origin, {
    connect: createConnector(connector),
    connections: CONNECTIONS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    ...NO_TIMEOUTS,
  });

/** A gateway that restarted with another key says so in its next statement, so that one is fetched at once. */
function trusted(statements: Statements, peer: TlsPeer): boolean {
  if (statements.trusts(peer)) return true;
  void statements.refresh();
  return false;
}

/** A signed batch without frames (relay.md §6). */
const hello = (client: SignedClient): Promise<RequestResult> => sendBatch(client, [], () => {});

/** A valid statement and an answered hello. */
async function probe(statements: Statements, client: SignedClient, log: Log): Promise<boolean> {
  if ((await statements.refresh()) !== 'accepted') return false;
  const result = await hello(client);
  if (result.kind === 'refused') log.error('gateway refuses this subscriber', { code: result.code });
  return result.kind === 'done';
}

function factsOf(statements: Statements, client: SignedClient): GatewayFacts | undefined {
  const statement = statements.current;
  const sealing = statement && currentSealingKey(statement, client.now());
  if (statement === undefined || sealing === undefined) return undefined;
  const apps = new Map(statement.apps.map((app) => [app.topic, app.environments]));
  const profiles = new Map(statement.apps.map((app) => [app.topic, app.profiles]));
  return { identityKey: statement.identityKey, sealing, apps, profiles, clockOffset: client.clockOffset };
}
