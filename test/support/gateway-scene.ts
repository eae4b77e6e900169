/** A test's gateway over real TLS, a subscriber, and the way of a registration through both. */
import assert from 'node:assert/strict';
import nacl from 'tweetnacl';
import type { Crypto } from '../../shared/crypto/crypto.js';
import { fromBase64url } from '../../shared/encoding/base64url.js';
import { concat } from '../../shared/encoding/bytes.js';
import { PATHS } from '../../shared/relay/constants.js';
import { checkStatement, currentSealingKey, type GatewaySealingKey } from '../../shared/relay/statement.js';
import { VirtualClock } from '../../shared/run/clock.js';
import { startTestGateway, type TestGateway, TOPIC } from './gateway.js';
import { RelayClient } from './relay-client.js';

/** Parts of tweetnacl that its types leave out. */
interface Salsa20Poly1305 {
  crypto_stream_salsa20(c: Uint8Array, at: number, length: number, n: Uint8Array, k: Uint8Array): void;
  crypto_onetimeauth_verify(
    tag: Uint8Array,
    tagAt: number,
    message: Uint8Array,
    at: number,
    length: number,
    key: Uint8Array,
  ): number;
}

/** NaCl's box opened with the key that the subscriber gave away: the phone's view of a verification push. */
export function openBox(m: Uint8Array, nonce: Uint8Array, box: Uint8Array): Uint8Array {
  // secretbox under k is Salsa20-Poly1305 under HSalsa20(k, nonce[0..16]); tweetnacl's parts let us start at m.
  const stream = new Uint8Array(32 + box.length - 16);
  const { lowlevel } = nacl as unknown as { lowlevel: Salsa20Poly1305 };
  const { crypto_stream_salsa20, crypto_onetimeauth_verify } = lowlevel;
  crypto_stream_salsa20(stream, 0, stream.length, nonce.subarray(16), m);
  assert.equal(crypto_onetimeauth_verify(box, 0, box, 16, box.length - 16, stream), 0);
  return box.subarray(16).map((byte, i) => byte ^ stream[32 + i]!);
}

export class Scene {
  readonly clock: VirtualClock;
  readonly crypto: Crypto;
  readonly test: TestGateway;
  readonly client: RelayClient;
  sealing!: GatewaySealingKey;

  private constructor(crypto: Crypto, testGateway: TestGateway, clock: VirtualClock) {
    this.crypto = crypto;
    this.clock = clock;
    this.test = testGateway;
    this.client = this.newClient();
  }

  static async start(crypto: Crypto, config: Record<string, unknown> = {}): Promise<Scene> {
    const clock = new VirtualClock();
    const scene = new Scene(crypto, await startTestGateway({ crypto, clock, config }), clock);
    await scene.fetchStatement();
    return scene;
  }

  /** Another subscriber; with a fingerprint, one that believes to speak to that gateway. */
  newClient(fingerprint = this.test.gateway.fingerprint): RelayClient {
    const { certificate } = this.test;
    const port = () => this.test.gateway.port;
    const { crypto } = this;
    return new RelayClient({ crypto, clock: this.clock, port, certificate, fingerprint });
  }

  async fetchStatement(): Promise<void> {
    const answer = await this.client.statement();
    const { fingerprint } = this.test.gateway;
    const result = checkStatement(this.crypto, answer.body.toString(), { fingerprint, now: this.client.now });
    assert.ok('statement' in result, JSON.stringify(result));
    this.sealing = currentSealingKey(result.statement, this.client.now)!;
  }

  async exchange(
    token: Uint8Array,
    client = this.client,
  ): Promise<{ capability: Buffer; deviceTag: Buffer }> {
    const answer = await client.post(PATHS.capabilities, client.seal(this.sealing, TOPIC, token));
    assert.equal(answer.status, 200, answer.body.toString());
    assert.equal(answer.body.length, 272);
    return { capability: answer.body.subarray(0, 256), deviceTag: answer.body.subarray(256) };
  }

  /** The code in the last verification push. */
  code(m: Uint8Array): Uint8Array {
    const { notificationData } = JSON.parse(Buffer.from(this.test.apns.pushes.at(-1)!.body).toString());
    const box = fromBase64url(notificationData.verification)!;
    const padded = openBox(m, fromBase64url(notificationData.nonce)!, box);
    assert.equal(padded.length, 2912);
    assert.deepEqual([padded[0], padded[1]], [0, 32]);
    assert.ok(padded.subarray(34).every((byte) => byte === 0x23));
    return padded.slice(2, 34);
  }

  async proven(token: Uint8Array, client = this.client): Promise<Buffer> {
    const { capability } = await this.exchange(token, client);
    const { frame, m } = client.verification(capability);
    assert.equal((await client.push(frame))[0]?.kind, 'accepted');
    const answer = await client.post(PATHS.prove, concat(capability, this.code(m)));
    assert.equal(answer.status, 200, answer.body.toString());
    return answer.body;
  }

  async close(): Promise<void> {
    this.client.close();
    await this.test.close();
  }
}
