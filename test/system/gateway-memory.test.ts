/**
 * A gateway has each device token in clear for one push. A minute after the last one its process holds none any more
 * (design §6): asked of its memory from outside, however the process was started. Needs Linux.
 */
import assert from 'node:assert/strict';
import { createPublicKey } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { freePorts } from '../../services/demo/free-ports.js';
import { searchMemory } from '../../services/demo/memory.js';
import { EPOCHS_FOLDER } from '../../services/gateway/burn.js';
import { Epochs } from '../../services/gateway/capabilities/epochs.js';
import { KeyFolder } from '../../services/gateway/capabilities/key-folder.js';
import { GATEWAY_FILE, makeGateway } from '../../services/gateway/init.js';
import type { Fault } from '../../services/simulators/apns/script.js';
import { type ApnsSimulator, startApnsSimulator } from '../../services/simulators/apns/server.js';
import { apnsFiles, SIMULATED_KEY, SIMULATED_TEAM } from '../../services/simulators/files.js';
import { fromHex, utf8 } from '../../shared/encoding/bytes.js';
import type { Frame } from '../../shared/relay/batch.js';
import { PATHS } from '../../shared/relay/constants.js';
import { parseGatewayAddress } from '../../shared/relay/identity.js';
import { checkStatement, currentSealingKey } from '../../shared/relay/statement.js';
import { sleep, systemClock } from '../../shared/run/clock.js';
import { silentLog } from '../../shared/run/log.js';
import { Cli } from '../support/cli.js';
import { native as crypto } from '../support/crypto.js';
import { makeFrame } from '../support/frames.js';
import { needsMemoryOf } from '../support/needs.js';
import { provenCapability } from '../support/proven-capability.js';
import { RelayClient } from '../support/relay-client.js';

const TOPIC = 'org.example.messenger';
/** Pushes alone in their request, and in batches. */
const SINGLE = 40;
const BATCHES = 4;
const BATCH = 30;
/** Phones that register: sealed tokens are opened, and verification pushes sent. */
const REGISTERED = 20;
const TROUBLED = 12;
/** What goes wrong between the gateway and Apple, for every third push of a batch. */
const TROUBLES: readonly Fault[] = [
  { answer: { status: 410, reason: 'Unregistered' } },
  { answer: { status: 429, reason: 'TooManyRequests' } },
  { answer: { status: 500, reason: 'InternalServerError' } },
  { reset: 'refused' },
  { reset: 'cancel' },
  { goaway: { back: 3 } },
  { cut: true },
];
const MINUTE_MS = 60_000;
const LOOK_EVERY_MS = 2_500;

const sum = (counts: readonly number[]): number => counts.reduce((a, b) => a + b, 0);

class World {
  private readonly folder = mkdtempSync(join(tmpdir(), 'porchlight-memory-'));
  private apns!: ApnsSimulator;
  private gateway!: Cli;
  private client!: RelayClient;
  private fingerprint!: string;

  async start(): Promise<void> {
    const files = apnsFiles(join(this.folder, 'apns'));
    const cert = readFileSync(files.ca, 'utf8');
    const publicKey = createPublicKey(readFileSync(files.key));
    this.apns = await startApnsSimulator({
      clock: systemClock,
      environments: { test: {} },
      certificate: { cert, ca: cert, key: readFileSync(files.tlsKey, 'utf8') },
      teams: [{ teamId: SIMULATED_TEAM, topics: [TOPIC], keys: [{ keyId: SIMULATED_KEY, publicKey }] }],
    });
    const [port, observePort] = (await freePorts(2)) as [number, number];
    const apple = { team: SIMULATED_TEAM, apnsKey: files.key, apnsKeyId: SIMULATED_KEY };
    const test = { url: `https://localhost:${this.apns.ports.test}`, caFile: files.ca };
    const dir = join(this.folder, 'gateway');
    const address = await makeGateway({ dir, host: 'localhost', port, topic: TOPIC, ...apple }, { test });
    this.gateway = new Cli(['gateway', '--config', join(dir, GATEWAY_FILE)], {
      cwd: this.folder,
      env: {
        PORCHLIGHT_GATEWAY_LISTEN: `127.0.0.1:${port}`,
        PORCHLIGHT_GATEWAY_OBSERVE_LISTEN: `127.0.0.1:${observePort}`,
      },
    });
    await this.gateway.ready();
    needsMemoryOf(this.gateway.pid);
    const certificate = readFileSync(join(dir, 'tls.crt'), 'utf8');
    const { fingerprint } = parseGatewayAddress(address)!;
    this.fingerprint = fingerprint;
    this.client = new RelayClient({ crypto, clock: systemClock, port: () => port, certificate, fingerprint });
  }

  /** How often each of these stands in the gateway's memory, all together. */
  search(needles: readonly Uint8Array[]): number {
    return sum(searchMemory(this.gateway.pid, needles));
  }

  /** Tokens of devices that were pushed to, and of some to which a push failed. */
  async push(): Promise<string[]> {
    const tokens: string[] = [];
    const folder = new KeyFolder(join(this.folder, 'gateway', 'state', EPOCHS_FOLDER), 'epoch root');
    const epochs = new Epochs({ crypto, clock: systemClock, log: silentLog, folder });
    const send = async (count: number): Promise<Set<string>> => {
      const made = Array.from({ length: count }, () => this.device(epochs));
      tokens.push(...made.map(({ token }) => token));
      const outcomes = await this.client.push(...made.map(({ frame }) => frame));
      return new Set(outcomes.map(({ kind }) => kind));
    };
    for (let n = 0; n < SINGLE; n++) assert.deepEqual([...(await send(1))], ['accepted']);
    for (let n = 0; n < BATCHES; n++) assert.deepEqual([...(await send(BATCH))], ['accepted']);
    for (const fault of TROUBLES) {
      this.apns.script.add({ on: 'push', every: 3, times: 5, fault });
      await send(TROUBLED);
      this.apns.script.clear();
    }
    epochs.close();
    return tokens;
  }

  /** Tokens of devices that were registered, and asked to prove themselves. */
  async register(): Promise<string[]> {
    const { fingerprint } = this;
    const text = (await this.client.statement()).body.toString();
    const result = checkStatement(crypto, text, { fingerprint, now: this.client.now });
    assert.ok('statement' in result, JSON.stringify(result));
    const sealing = currentSealingKey(result.statement, this.client.now)!;
    const tokens = Array.from({ length: REGISTERED }, () => this.phone());
    for (const token of tokens) {
      const sealed = this.client.seal(sealing, TOPIC, utf8(token), 'test');
      const { status, body } = await this.client.post(PATHS.capabilities, sealed);
      assert.equal(status, 200);
      const [outcome] = await this.client.push(this.client.verification(body.subarray(0, 256)).frame);
      assert.equal(outcome?.kind, 'accepted', JSON.stringify(outcome));
    }
    return tokens;
  }

  async close(): Promise<void> {
    this.client?.close();
    this.gateway?.kill();
    await this.apns?.close();
    rmSync(this.folder, { recursive: true, force: true });
  }

  private phone(): string {
    return this.apns.devices.register({ environment: 'test', topic: TOPIC }).token;
  }

  private device(epochs: Epochs): { frame: Frame; token: string } {
    const token = this.phone();
    const { publicKey } = this.client.identity;
    const capability = provenCapability(crypto, epochs, { topic: TOPIC, publicKey, token });
    return { frame: makeFrame({ capability }), token };
  }
}

describe('memory of a gateway', () => {
  it('holds no device token a minute after its last push', async () => {
    const world = new World();
    try {
      await world.start();
      const tokens = [...(await world.push()), ...(await world.register())];
      assert.ok(world.search([utf8(TOPIC)]) > 0, 'the search finds what is there');
      const needles = tokens.flatMap((token) => [utf8(token), fromHex(token)!]);
      const end = systemClock.monotonic() + MINUTE_MS;
      let left = world.search(needles);
      while (left > 0 && systemClock.monotonic() < end) {
        await sleep(systemClock, LOOK_EVERY_MS);
        left = world.search(needles);
      }
      assert.equal(left, 0, `of ${tokens.length}`);
    } finally {
      await world.close();
    }
  });
});
