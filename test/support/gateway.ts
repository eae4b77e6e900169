/** A whole gateway in a temporary folder, with an APNs engine that does what a test tells it. */
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ApnsEngine, ApnsPush, ApnsResult } from '../../services/gateway/apns/engine.js';
import { type Gateway, startGateway } from '../../services/gateway/app.js';
import { gatewayConfigSchema } from '../../services/gateway/config.js';
import type { Crypto } from '../../shared/crypto/crypto.js';
import { createIdentityKey } from '../../shared/crypto/identity-key.js';
import { createServerCertificate, toPem } from '../../shared/crypto/x509.js';
import type { Clock } from '../../shared/run/clock.js';
import { writeSecretFile } from '../../shared/run/files.js';
import { createLog, type LogSink } from '../../shared/run/log.js';

export const TOPIC = 'chat.example.app';

/** Keeps what it was given; the token is copied, since the gateway overwrites its own. */
export class FakeApns implements ApnsEngine {
  readonly pushes: ApnsPush[] = [];
  /** The arrays as they were handed over, to see whether they are overwritten later. */
  readonly tokens: Uint8Array[] = [];
  answer: (push: ApnsPush) => Promise<ApnsResult> | ApnsResult = () => ({ kind: 'accepted' });
  isReady = true;

  async send(push: ApnsPush): Promise<ApnsResult> {
    this.tokens.push(push.token);
    const kept = { ...push, token: push.token.slice() };
    this.pushes.push(kept);
    return this.answer(kept);
  }

  ready(): boolean {
    return this.isReady;
  }

  async close(): Promise<void> {}
}

export interface TestGatewayOptions {
  readonly crypto: Crypto;
  readonly clock?: Clock;
  /** Merged over the configuration as it would stand in the file. */
  readonly config?: Record<string, unknown>;
  /** With the engine that talks to the test environment of the configuration. */
  readonly realEngine?: true;
}

export interface TestGateway {
  readonly gateway: Gateway;
  readonly apns: FakeApns;
  readonly folder: string;
  /** PEM of the listener's certificate. */
  readonly certificate: string;
  readonly logLines: string[];
  /** Stops the gateway and starts another on the same folder. */
  restart(): Promise<void>;
  close(): Promise<void>;
}

/** Starts on ephemeral loopback ports, with TLS. */
export async function startTestGateway(options: TestGatewayOptions): Promise<TestGateway> {
  const folder = mkdtempSync(join(tmpdir(), 'porchlight-gateway-'));
  const certificate = writeFiles(folder);
  const config = gatewayConfigSchema.parse({ ...configFor(folder), ...options.config });
  const logLines: string[] = [];
  const sink = { write: (line: string) => void logLines.push(line) };
  const apns = new FakeApns();
  const engine = options.realEngine ? {} : { engine: apns };
  const start = () => startGateway(config, { ...options, ...engine, log: logTo(sink) });
  const running = { gateway: await start() };
  return {
    get gateway() {
      return running.gateway;
    },
    apns,
    folder,
    certificate,
    logLines,
    async restart() {
      await running.gateway.close();
      running.gateway = await start();
    },
    async close() {
      await running.gateway.close();
      rmSync(folder, { recursive: true });
    },
  };
}

const logTo = (sink: LogSink) => createLog({ service: 'gateway', level: 'debug', json: true, sink });

function writeFiles(folder: string): string {
  createIdentityKey(join(folder, 'identity.key'));
  const made = createServerCertificate({ host: 'localhost', now: new Date() });
  const certificate = toPem('CERTIFICATE', made.certificate);
  writeFileSync(join(folder, 'tls.crt'), certificate);
  writeSecretFile(join(folder, 'tls.key'), toPem('PRIVATE KEY', made.privateKey));
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  writeSecretFile(join(folder, 'apns.p8'), privateKey.export({ format: 'pem', type: 'pkcs8' }));
  return certificate;
}

/** The least that a file must say, and loopback ports. */
export function configFor(folder: string): Record<string, unknown> {
  const at = (name: string) => join(folder, name);
  return {
    identity_key: at('identity.key'),
    state: at('state'),
    listen: '127.0.0.1:0',
    tls: { certificate: at('tls.crt'), private_key: at('tls.key') },
    observe: { listen: '127.0.0.1:0' },
    keys: [{ name: 'main', file: at('apns.p8'), key_id: 'ABCDEFGHIJ', team_id: 'KLMNOPQRST' }],
    apps: [{ topic: TOPIC, environments: ['production', 'test'], key: 'main' }],
    test_environment: { url: 'https://localhost:2197' },
  };
}
