/** One APNs client and its pushes: ours, a peer, or node:http2 with nothing around it. CPU is this process's alone. */
import { createPrivateKey } from 'node:crypto';
import { connect } from 'node:http2';
import apn from '@parse/node-apn';
import { ApnsClient, Notification } from 'apns2';
import { Pool } from 'undici';
import { createApnsEngine } from '../../../services/gateway/apns/create.js';
import { apnsMetrics } from '../../../services/gateway/apns/metrics.js';
import { loadCrypto } from '../../../shared/crypto/load.js';
import { utf8 } from '../../../shared/encoding/bytes.js';
import { systemClock } from '../../../shared/run/clock.js';
import { silentLog } from '../../../shared/run/log.js';
import { Metrics } from '../../../shared/run/metrics.js';
import { cpuMicros, serve } from '../child.js';

export const APNS_CLIENTS = ['ours', 'node-apn', 'apns2', 'bare http2'] as const;
export type ApnsClientName = (typeof APNS_CLIENTS)[number];

export interface ApnsClientOptions {
  readonly client: ApnsClientName;
  readonly port: number;
  /** PEM of the server's certificate. */
  readonly ca: string;
  /** PEM of a P-256 key. */
  readonly signingKey: string;
}

const TOPIC = 'chat.example.app';
const KEY_ID = 'KEY0000001';
const TEAM_ID = 'TEAM000001';
const BODY_SIZE = 4_094;
const TOKENS = 1_000;

const payload = { aps: { alert: 'New message', 'mutable-content': 1 }, data: '' };
payload.data = 'x'.repeat(BODY_SIZE - JSON.stringify(payload).length);
const body = JSON.stringify(payload);
const tokens = Array.from({ length: TOKENS }, (_, i) => i.toString(16).padStart(64, '0'));
const tokenBytes = new Map(tokens.map((token) => [token, new Uint8Array(Buffer.from(token, 'hex'))]));

/** Sends one push; rejects where it was not accepted. */
type Send = (token: string) => Promise<unknown>;

async function ours({ port, ca, signingKey }: ApnsClientOptions): Promise<Send> {
  const privateKey = createPrivateKey(signingKey);
  const engine = createApnsEngine({
    keys: [
      {
        keyId: KEY_ID,
        teamId: TEAM_ID,
        topics: [TOPIC],
        environments: ['production'],
        privateKey: () => privateKey,
      },
    ],
    endpoints: { production: { host: 'localhost', port, ca } },
    crypto: await loadCrypto(),
    clock: systemClock,
    log: silentLog,
    metrics: new Metrics('').add(apnsMetrics),
  });
  const bytes = utf8(body);
  return async (token) => {
    const result = await engine.send({
      environment: 'production',
      topic: TOPIC,
      token: tokenBytes.get(token)!,
      pushType: 'alert',
      priority: 10,
      expiration: 4_000_000_000,
      body: bytes,
      provenAt: 1,
    });
    if (result.kind !== 'accepted') throw new Error(result.kind);
  };
}

/** Its notification objects cost extra; what it takes by its interface here is made once. */
async function nodeApn({ port, ca, signingKey }: ApnsClientOptions): Promise<Send> {
  const provider = new apn.Provider({
    token: { key: Buffer.from(signingKey), keyId: KEY_ID, teamId: TEAM_ID },
    address: `localhost:${port}`,
    port,
    ca: [Buffer.from(ca)],
    production: true,
  });
  const headers = { 'apns-topic': TOPIC, 'apns-push-type': 'alert', 'apns-priority': 10 };
  const made = { headers: () => ({ ...headers, 'apns-expiration': 4_000_000_000 }), compile: () => body };
  return async (token) => {
    const { failed } = await provider.send(made as unknown as apn.Notification, token);
    if (failed.length > 0) throw new Error(String(failed[0]?.error));
  };
}

/** It knows Apple's port only: its pool is made again, the same but for port and certificate. */
async function apns2({ port, ca, signingKey }: ApnsClientOptions): Promise<Send> {
  const client = new ApnsClient({ team: TEAM_ID, keyId: KEY_ID, signingKey, host: 'localhost' });
  await client.client.destroy();
  const pool = new Pool(`https://localhost:${port}`, {
    connections: 32,
    pipelining: 1,
    allowH2: true,
    maxConcurrentStreams: 100,
    connect: { ca },
  });
  Object.assign(client, { client: pool });
  const { aps, data } = payload;
  return (token) =>
    client.send(new Notification(token, { aps, data: { data }, topic: TOPIC, expiration: 4_000_000_000 }));
}

async function bare({ port, ca }: ApnsClientOptions): Promise<Send> {
  const session = connect(`https://localhost:${port}`, { ca, maxSessionMemory: 64 });
  await new Promise<void>((resolve) => session.once('remoteSettings', () => resolve()));
  const bytes = Buffer.from(body);
  const fixed = { ':method': 'POST', authorization: `bearer ${'x'.repeat(180)}`, 'apns-topic': TOPIC };
  const headers = {
    ...fixed,
    'apns-push-type': 'alert',
    'apns-priority': '10',
    'apns-expiration': '4000000000',
  };
  return (token) =>
    new Promise((resolve, reject) => {
      const stream = session.request({ ...headers, ':path': `/3/device/${token}` });
      stream.on('response', () => void stream.resume());
      stream.on('error', reject);
      stream.on('close', () => resolve(undefined));
      stream.end(bytes);
    });
}

const OPEN = { ours, 'node-apn': nodeApn, apns2, 'bare http2': bare };
let send: Send | undefined;

const api = {
  async open(options: ApnsClientOptions): Promise<void> {
    send = await OPEN[options.client](options);
    await send(tokens[0]!);
  },
  /** CPU microseconds of `count` pushes, `inFlight` at a time. */
  async push(count: number, inFlight: number): Promise<number> {
    const before = cpuMicros();
    let next = 0;
    const worker = async (): Promise<void> => {
      while (next < count) await send!(tokens[next++ % TOKENS]!);
    };
    await Promise.all(Array.from({ length: inFlight }, worker));
    return cpuMicros() - before;
  },
};
export type ApnsClientApi = typeof api;
serve(api);
