/**
 * Who may ask: the checks of a signed request, cheapest first (design §6). The body is read only when the headers
 * carry a good signature of someone whose allowance lasts; its digest, which was signed, is checked last.
 */
import type { Crypto } from '../../../shared/crypto/crypto.js';
import { latin1 } from '../../../shared/encoding/bytes.js';
import { FRAME_SIZE } from '../../../shared/relay/batch.js';
import { CONTENT_TYPE, MAX_BODY_SIZE } from '../../../shared/relay/constants.js';
import { subscriberTag } from '../../../shared/relay/identity.js';
import type { ProblemCode } from '../../../shared/relay/problem.js';
import {
  contentDigest,
  parseSignature,
  type RequestSignature,
  SIGNATURE_WINDOW_SECONDS,
  verifySignature,
} from '../../../shared/relay/signature.js';
import { LOOPBACK_BLOCK } from '../../../shared/run/address-block.js';
import { type Clock, seconds } from '../../../shared/run/clock.js';
import type { Addresses } from '../limits/addresses.js';
import type { NonceAnswer, NonceMemory } from '../limits/nonces.js';
import type { Account, Subscribers } from '../limits/subscribers.js';
import type { Signer } from '../push/pusher.js';

/** Bodies being received or worked on, all together. */
const MAX_BODY_BYTES = 256 * 1024 * 1024;

/** Bodies that newcomers of one address may be sending: who stalls there holds places that all newcomers share. */
const MAX_NEWCOMER_BODIES = 8;

/** A request that is answered with a problem. Carries no data of it. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly code: ProblemCode;
  readonly retryAfter: number | undefined;

  constructor(code: ProblemCode, retryAfter?: number) {
    super(code);
    this.code = code;
    this.retryAfter = retryAfter;
  }
}

/** What the checks need of an HTTP request. */
export interface IncomingRequest {
  readonly method: string;
  readonly path: string;
  /** With `?`. */
  readonly query: string;
  readonly header: (name: string) => string | undefined;
  readonly body: () => Promise<Uint8Array>;
  /** Address block that it came from. */
  readonly block: string;
}

export interface Admitted {
  readonly signer: Signer;
  readonly body: Uint8Array;
  /** To be called once when the request is done with. */
  readonly leave: () => void;
}

export interface AdmissionOptions {
  readonly crypto: Crypto;
  readonly clock: Clock;
  readonly addresses: Addresses;
  readonly subscribers: Subscribers;
  readonly nonces: NonceMemory;
  /** This gateway's fingerprint. */
  readonly fingerprint: string;
  /** Tags of the subscribers that may ask, one character a byte; undefined = all. */
  readonly listed: ReadonlySet<string> | undefined;
}

export class Admission {
  private readonly options: AdmissionOptions;
  private bytes = 0;
  /** Newcomers' bodies under way, by address block. */
  private readonly newcomerBodies = new Map<string, number>();

  constructor(options: AdmissionOptions) {
    this.options = options;
  }

  get bodyBytes(): number {
    return this.bytes;
  }

  /** Lets a signed request in. Throws `Refusal`. */
  async admit(request: IncomingRequest): Promise<Admitted> {
    const { addresses } = this.options;
    const blocked = addresses.blockedSeconds(request.block);
    if (blocked > 0) throw new Refusal('rate', blocked);
    try {
      return await this.check(request);
    } catch (error) {
      const harmless = error instanceof Refusal && (error.code === 'rate' || error.code === 'unavailable');
      if (!harmless) addresses.failed(request.block);
      throw error;
    }
  }

  private async check(request: IncomingRequest): Promise<Admitted> {
    const length = announcedLength(request);
    const signature = this.signature(request);
    const signer = this.signer(signature);
    const account = this.account(signer);
    const nonce = this.options.nonces.add(signer.tag, signature.nonce, account.nonces, this.now);
    // Other gateways are asked only where they share one memory: else nothing waits here.
    judge(typeof nonce === 'string' ? nonce : await nonce);
    this.enter(account, length);
    this.bytes += length;
    const leave = () => {
      this.bytes -= length;
      account.leave();
    };
    try {
      const body = account.established ? await request.body() : await this.newcomerBody(request);
      const digest = contentDigest(this.options.crypto, body);
      if (digest !== request.header('content-digest')) throw new Refusal('bad-signature');
      return { signer, body, leave };
    } catch (error) {
      leave();
      throw error instanceof Refusal ? error : new Refusal('bad-request');
    }
  }

  private async newcomerBody({ block, body }: IncomingRequest): Promise<Uint8Array> {
    const { newcomerBodies } = this;
    const others = newcomerBodies.get(block) ?? 0;
    // Loopback stands for many.
    if (others >= MAX_NEWCOMER_BODIES && block !== LOOPBACK_BLOCK) throw new Refusal('rate', 1);
    newcomerBodies.set(block, others + 1);
    try {
      return await body();
    } finally {
      const left = newcomerBodies.get(block)! - 1;
      if (left > 0) newcomerBodies.set(block, left);
      else newcomerBodies.delete(block);
    }
  }

  /** The signature of the headers, within the window, meant for this gateway. */
  private signature(request: IncomingRequest): RequestSignature {
    const { crypto, clock, fingerprint } = this.options;
    const header = (name: string) => request.header(name) ?? '';
    const parsed = parseSignature(header('signature-input'), header('signature'));
    if (parsed === undefined) throw new Refusal('bad-signature');
    if (Math.abs(parsed.created - seconds(clock)) > SIGNATURE_WINDOW_SECONDS) throw new Refusal('clock');
    const gateway = header('porchlight-gateway');
    // Before the signature, which costs more than all the rest.
    if (gateway !== fingerprint) throw new Refusal('bad-signature');
    const signed = verifySignature(crypto, parsed, {
      method: request.method,
      authority: header('host').toLowerCase().replace(/:443$/, ''),
      path: request.path,
      query: request.query === '' ? '?' : request.query,
      contentType: header('content-type'),
      contentDigest: header('content-digest'),
      gateway,
    });
    if (!signed) throw new Refusal('bad-signature');
    return parsed;
  }

  private signer({ publicKey }: RequestSignature): Signer {
    const tag = subscriberTag(this.options.crypto, publicKey);
    const tagText = latin1(tag);
    const { listed } = this.options;
    if (listed !== undefined && !listed.has(tagText)) throw new Refusal('not-listed');
    return { tag, tagText };
  }

  private account({ tagText }: Signer): Account {
    const { subscribers, listed } = this.options;
    // The operator's list is as good as a proven device.
    return listed ? subscribers.establish(tagText) : subscribers.account(tagText);
  }

  private get now(): number {
    return this.options.clock.monotonic();
  }

  /** Rate and concurrency; on return the request counts as running. */
  private enter(account: Account, length: number): void {
    if (this.bytes + length > MAX_BODY_BYTES) throw new Refusal('unavailable', 1);
    const wait = account.enter(Math.max(1, Math.ceil(length / FRAME_SIZE)), this.now);
    if (wait > 0) throw new Refusal('rate', wait);
  }
}

function judge(nonce: NonceAnswer): void {
  if (nonce === 'seen') throw new Refusal('replay');
  if (nonce === 'full') throw new Refusal('rate', SIGNATURE_WINDOW_SECONDS);
}

/** Content-Length of a body of this version; every body has one. */
function announcedLength(request: IncomingRequest): number {
  if (request.header('content-type') !== CONTENT_TYPE) throw new Refusal('version');
  const text = request.header('content-length') ?? '';
  if (!/^\d{1,15}$/.test(text)) throw new Refusal('bad-request');
  const length = Number(text);
  if (length > MAX_BODY_SIZE) throw new Refusal('too-large');
  return length;
}
