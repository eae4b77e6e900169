/** A subscriber's side of the relay contract over node:https, one request at a time: for tests of the gateway. */
import { Agent, request } from 'node:https';
import type { Crypto, KeyPair } from '../../shared/crypto/crypto.js';
import { toHex } from '../../shared/encoding/bytes.js';
import {
  ANSWER_SIZE,
  decodeAnswer,
  encodeBatch,
  type Frame,
  type Outcome,
} from '../../shared/relay/batch.js';
import { PATHS } from '../../shared/relay/constants.js';
import { appTag, type Environment, subscriberTag } from '../../shared/relay/identity.js';
import type { SealingKey } from '../../shared/relay/sealed-record.js';
import { encodeSealedToken } from '../../shared/relay/sealed-token.js';
import { signRequest } from '../../shared/relay/signature.js';
import { encodeVerificationPayload } from '../../shared/relay/verification.js';
import type { Clock } from '../../shared/run/clock.js';
import { makeFrame } from './frames.js';

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

export interface RelayClientOptions {
  readonly crypto: Crypto;
  readonly clock: Clock;
  readonly port: () => number;
  /** PEM of the gateway's certificate. */
  readonly certificate: string;
  readonly fingerprint: string;
  /** What a proxy says of where it came from. */
  readonly forwardedFor?: string;
  /** Connections that several clients share, as a proxy's do. */
  readonly agent?: Agent;
}

export class RelayClient {
  readonly identity: KeyPair;
  /** Of the phones whose tokens it seals; zeros are a stock client's. */
  ownerKey: Uint8Array = new Uint8Array(32);
  private readonly options: RelayClientOptions;
  private readonly agent: Agent;

  constructor(options: RelayClientOptions, identity = options.crypto.ed25519KeyPair()) {
    this.options = options;
    this.identity = identity;
    this.agent =
      options.agent ?? new Agent({ keepAlive: true, ca: options.certificate, servername: 'localhost' });
  }

  get now(): number {
    return Math.floor(this.options.clock.now() / 1000);
  }

  get authority(): string {
    return `localhost:${this.options.port()}`;
  }

  /** The headers of a signed request. */
  sign(path: string, body: Uint8Array, created = this.now): Record<string, string> {
    const { crypto, fingerprint } = this.options;
    return signRequest(
      crypto,
      this.identity,
      { authority: this.authority, path, body, gateway: fingerprint },
      created,
    );
  }

  post(path: string, body: Uint8Array): Promise<HttpAnswer> {
    return this.send('POST', path, this.sign(path, body), body);
  }

  /** Any request; `onChunk` sees the body's pieces as they come. */
  send(
    method: string,
    path: string,
    headers: Record<string, string>,
    body: Uint8Array = new Uint8Array(0),
    onChunk?: (chunk: Buffer) => void,
  ): Promise<HttpAnswer> {
    const target = { host: '127.0.0.1', port: this.options.port(), method, path, agent: this.agent };
    const all = {
      host: this.authority,
      ...headers,
      ...(this.options.forwardedFor && { 'x-forwarded-for': this.options.forwardedFor }),
      ...(method === 'POST' && { 'content-length': body.length }),
    };
    return new Promise((resolve, reject) => {
      const outgoing = request({ ...target, headers: all }, (incoming) => {
        const chunks: Buffer[] = [];
        incoming.on('data', (chunk: Buffer) => {
          chunks.push(chunk);
          onChunk?.(chunk);
        });
        incoming.on('error', reject);
        incoming.on('end', () =>
          resolve({ status: incoming.statusCode!, headers: incoming.headers, body: Buffer.concat(chunks) }),
        );
      });
      outgoing.on('error', reject);
      outgoing.end(body);
    });
  }

  statement(): Promise<HttpAnswer> {
    return this.send('GET', PATHS.gateway, {});
  }

  /** A device token sealed for this subscriber. */
  seal(
    key: SealingKey,
    topic: string,
    token: Uint8Array,
    environment: Environment = 'production',
  ): Uint8Array {
    const { crypto } = this.options;
    return encodeSealedToken(crypto, key, {
      environment,
      appTag: appTag(crypto, topic),
      createdAt: this.now,
      subscriberTag: subscriberTag(crypto, this.identity.publicKey),
      ownerKey: this.ownerKey,
      token,
    });
  }

  /** Outcomes by index, and the raw answer where it was none. */
  async push(...frames: Frame[]): Promise<Outcome[]> {
    const answer = await this.post(PATHS.push, encodeBatch(frames));
    if (answer.status !== 200) throw new Error(`status ${answer.status}: ${answer.body}`);
    return outcomes(answer.body);
  }

  /** A frame that asks for a verification push, and the key of its box. */
  verification(capability: Uint8Array): { frame: Frame; m: Uint8Array } {
    const m = this.options.crypto.randomBytes(32);
    const payload = encodeVerificationPayload(m);
    return { frame: makeFrame({ kind: 'verification', urgent: false, capability, payload }), m };
  }

  close(): void {
    if (this.options.agent === undefined) this.agent.destroy();
  }
}

export function outcomes(body: Uint8Array): Outcome[] {
  const found: Outcome[] = [];
  for (let at = 0; at < body.length; at += ANSWER_SIZE) {
    const { index, outcome } = decodeAnswer(body.subarray(at, at + ANSWER_SIZE));
    if (found[index] !== undefined) throw new Error(`two answers for frame ${toHex(Uint8Array.of(index))}`);
    found[index] = outcome;
  }
  return found;
}
