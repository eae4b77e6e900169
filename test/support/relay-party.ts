/**
 * Subscribers with phones at a gateway that talks to the APNs simulator: several apps, each of a team and key of its
 * own. What subscribers do is signed requests; what phones do is to read their pushes and return the code.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ApnsSimulator, startApnsSimulator } from '../../services/simulators/apns/server.js';
import type { Crypto } from '../../shared/crypto/crypto.js';
import { fromBase64url } from '../../shared/encoding/base64url.js';
import { concat, utf8 } from '../../shared/encoding/bytes.js';
import type { Frame, Outcome } from '../../shared/relay/batch.js';
import { PATHS } from '../../shared/relay/constants.js';
import { checkStatement, currentSealingKey, type GatewaySealingKey } from '../../shared/relay/statement.js';
import { encodeVerificationPayload } from '../../shared/relay/verification.js';
import { type KeyPair, signingKey } from './apns/setup.js';
import { native } from './crypto.js';
import { makeFrame } from './frames.js';
import { startTestGateway, type TestGateway } from './gateway.js';
import { type HttpAnswer, RelayClient } from './relay-client.js';
import { LeapClock } from './world/leap-clock.js';

/** An app with a team and a key of its own. */
export interface TestApp {
  readonly topic: string;
  readonly key: KeyPair;
  /** The operator's .p8 file. */
  readonly file: string;
}

export class RelayWorld {
  readonly clock = new LeapClock();
  readonly crypto: Crypto = native;
  readonly apps: TestApp[] = [];
  apns!: ApnsSimulator;
  test!: TestGateway;
  private readonly folder = mkdtempSync(join(tmpdir(), 'porchlight-relay-'));
  private readonly parties: RelayParty[] = [];

  async start(apps: number, config: Record<string, unknown> = {}): Promise<void> {
    for (let n = 0; n < apps; n++) this.addApp(n);
    this.apns = await startApnsSimulator({
      clock: this.clock,
      environments: { test: {} },
      teams: this.apps.map(({ topic, key }, n) => ({
        teamId: `TEAM00000${n}`,
        topics: [topic],
        keys: [{ keyId: `KEY000000${n}`, publicKey: key.publicKey }],
      })),
      rules: { deviceRate: { count: 0, windowMs: 1 } },
    });
    const ca = join(this.folder, 'ca.crt');
    writeFileSync(ca, this.apns.ca);
    this.test = await startTestGateway({
      crypto: this.crypto,
      clock: this.clock,
      realEngine: true,
      config: {
        keys: this.apps.map(({ file }, n) => ({
          name: `key-${n}`,
          file,
          key_id: `KEY000000${n}`,
          team_id: `TEAM00000${n}`,
        })),
        apps: this.apps.map(({ topic }, n) => ({ topic, environments: ['test'], key: `key-${n}` })),
        test_environment: { url: `https://127.0.0.1:${this.apns.ports.test}`, ca_file: ca },
        ...config,
      },
    });
  }

  /** Replaces an app's .p8. */
  writeKey({ file }: TestApp, { privateKey }: KeyPair): void {
    writeFileSync(file, privateKey.export({ format: 'pem', type: 'pkcs8' }), { mode: 0o600 });
  }

  /** A subscriber; behind a proxy, from that address. */
  async party(forwardedFor?: string): Promise<RelayParty> {
    const { certificate } = this.test;
    const client = new RelayClient({
      crypto: this.crypto,
      clock: this.clock,
      port: () => this.test.gateway.port,
      certificate,
      fingerprint: this.test.gateway.fingerprint,
      ...(forwardedFor !== undefined && { forwardedFor }),
    });
    const party = new RelayParty(this, client);
    this.parties.push(party);
    await party.readStatement();
    return party;
  }

  /** What the second listener says. */
  async observe(path: '/readyz' | '/metrics'): Promise<string> {
    const { observePort } = this.test.gateway;
    return (await fetch(`http://127.0.0.1:${observePort}${path}`)).text();
  }

  /** The value of one sample, `name{label="value"}`; 0 where it is not there. */
  async metric(sample: string): Promise<number> {
    const lines = (await this.observe('/metrics')).split('\n');
    const line = lines.find((l) => l.startsWith(`porchlight_gateway_${sample} `));
    return Number(line?.split(' ').at(-1) ?? 0);
  }

  async close(): Promise<void> {
    for (const { client } of this.parties) client.close();
    await this.test?.close();
    await this.apns?.close();
    rmSync(this.folder, { recursive: true });
  }

  private addApp(n: number): void {
    const app = { topic: `chat.example.app${n}`, key: signingKey(), file: join(this.folder, `${n}.p8`) };
    this.writeKey(app, app.key);
    this.apps.push(app);
  }
}

export const startRelayWorld = async (
  apps: number,
  config: Record<string, unknown> = {},
): Promise<RelayWorld> => {
  const world = new RelayWorld();
  try {
    await world.start(apps, config);
  } catch (error) {
    await world.close();
    throw error;
  }
  return world;
};

export class RelayParty {
  readonly client: RelayClient;
  sealing!: GatewaySealingKey;
  private readonly world: RelayWorld;

  constructor(world: RelayWorld, client: RelayClient) {
    this.world = world;
    this.client = client;
  }

  async readStatement(): Promise<void> {
    const { fingerprint } = this.world.test.gateway;
    const text = (await this.client.statement()).body.toString();
    const result = checkStatement(this.world.crypto, text, { fingerprint, now: this.client.now });
    assert.ok('statement' in result, JSON.stringify(result));
    this.sealing = currentSealingKey(result.statement, this.client.now)!;
  }

  exchange({ topic }: TestApp, token: string): Promise<HttpAnswer> {
    const sealed = this.client.seal(this.sealing, topic, utf8(token), 'test');
    return this.client.post(PATHS.capabilities, sealed);
  }

  /** The capability of a phone that answers its verification push. */
  async prove(app: TestApp, token = this.phone(app)): Promise<Uint8Array> {
    const { crypto, apns } = this.world;
    const capability = (await this.exchange(app, token)).body.subarray(0, 256);
    const after = apns.deliveries.lastSeq;
    const secret = crypto.randomBytes(32);
    const frame = this.verification(capability, secret);
    const [outcome] = await this.client.push(frame);
    assert.equal(outcome?.kind, 'accepted', JSON.stringify(outcome));
    const [delivery] = await apns.deliveries.wait({ environment: 'test', token, after }, 5_000);
    const { notificationData } = JSON.parse(delivery!.payload);
    const box = fromBase64url(notificationData.verification)!;
    const code = crypto.secretboxOpen(secret, frame.nonce, box)!.subarray(2, 34);
    const answer = await this.client.post(PATHS.prove, concat(capability, code));
    assert.equal(answer.status, 200, answer.body.toString());
    return answer.body;
  }

  /** A frame for a verification push whose box opens with `secret`. */
  verification(capability: Uint8Array, secret = this.world.crypto.randomBytes(32)): Frame {
    const nonce = this.world.crypto.randomBytes(24);
    const payload = encodeVerificationPayload(this.world.crypto.hsalsa20(secret, nonce.subarray(0, 16)));
    return makeFrame({ kind: 'verification', urgent: false, capability, nonce, payload });
  }

  /** A token of Apple's for a new phone with the app. */
  phone({ topic }: TestApp): string {
    return this.world.apns.devices.register({ environment: 'test', topic }).token;
  }

  async wake(capability: Uint8Array): Promise<Outcome> {
    const [outcome] = await this.client.push(makeFrame({ capability }));
    return outcome!;
  }
}
