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
import { type Clock, seconds } from '../../../shared/run/clock.js';
import { type Addresses, isCommonBlock } from '../limits/addresses.js';
import type { NonceAnswer, NonceMemory } from '../limits/nonces.js';
import type { Roster, RosterEntry } from '../limits/roster.js';
import type { Account, Subscribers } from '../limits/subscribers.js';
import type { Signer } from '../push/pusher.js';

/** Bodies being received or worked on, all together. */
const MAX_BODY_BYTES = 256 * 1024 * 1024;

/** Of these, only for subscribers with a device that have nothing else under way: whoever stalls bodies has some. */
const RESERVED_BYTES = 64 * 1024 * 1024;
/** Those of newcomers: stalled ones leave room for everybody else. */
const MAX_NEWCOMER_BYTES = 64 * 1024 * 1024;
/** Of one address block, whose stalled bodies hold what all newcomers share; a common pool has more. */
const BLOCK_BODIES = { count: 8, bytes: 2 * 1024 * 1024 };
const POOL_BODIES = { count: 64, bytes: MAX_NEWCOMER_BYTES / 4 };

/** Refusals that are no failed check: allowances, and clocks, which many requests of one honest subscriber may have wrong. */
const HARMLESS: ReadonlySet<ProblemCode> = new Set(['rate', 'unavailable', 'clock']);

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
  /** @param length announced bytes */
  readonly body: (length: number) => Promise<Uint8Array>;
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
  readonly roster: Roster;
  /** Unix seconds: requests made before it may have been seen by a process that is gone, with its memory of nonces. */
  readonly noncesSince: number;
}

/** Who a request says it is from. */
interface Claim {
  readonly signature: RequestSignature;
  readonly signer: Signer;
  readonly isNewcomer: boolean;
}

export class Admission {
  private readonly options: AdmissionOptions;
  /** Monotonic ms. */
  private readonly begunAt: number;
  private bytes = 0;
  private newcomerBytes = 0;
  /** Newcomers' bodies under way, by address block. */
  private readonly newcomerBodies = new Map<string, { count: number; bytes: number }>();

  constructor(options: AdmissionOptions) {
    this.options = options;
    this.begunAt = options.clock.monotonic();
  }

  get bodyBytes(): number {
    return this.bytes;
  }

  /** Lets a signed request in. Throws `Refusal`. */
  async admit(request: IncomingRequest): Promise<Admitted> {
    const { addresses } = this.options;
    const { block } = request;
    if (!addresses.begin(block)) throw new Refusal('rate', 1);
    let admitted: Admitted | undefined;
    try {
      admitted = await this.unblocked(request);
    } finally {
      if (admitted === undefined) addresses.end(block);
    }
    const { leave } = admitted;
    return {
      ...admitted,
      leave: () => {
        leave();
        addresses.end(block);
      },
    };
  }

  /** Nothing is checked for those whose checks failed too often. */
  private async unblocked(request: IncomingRequest): Promise<Admitted> {
    const { addresses } = this.options;
    let { block } = request;
    try {
      if (addresses.blockedSeconds(block) > 0) block = this.blockInPool(request);
      const blocked = addresses.blockedSeconds(block);
      if (blocked > 0) throw new Refusal('rate', blocked);
      return await this.check(request);
    } catch (error) {
      if (!(error instanceof Refusal && HARMLESS.has(error.code))) addresses.failed(block);
      throw error;
    }
  }

  /** A stranger that spoils a common pool stops the strangers in it, not those that have proven a device. */
  private blockInPool(request: IncomingRequest): string {
    if (!isCommonBlock(request.block)) return request.block;
    const { signer, isNewcomer } = this.claim(request);
    return isNewcomer ? request.block : `${request.block} ${signer.tagText}`;
  }

  private async check(request: IncomingRequest): Promise<Admitted> {
    const length = announcedLength(request);
    const claim = this.claim(request);
    if (claim.isNewcomer) this.newcomer(request);
    this.verify(request, claim.signature);
    const { signer, signature } = claim;
    const listed = this.listed(signer);
    const account = this.account(signer, listed);
    const nonce = this.options.nonces.add(signer.tag, signature.nonce, account.nonces, this.now);
    // Other gateways are asked only where they share one memory: else nothing waits here.
    judge(typeof nonce === 'string' ? nonce : await nonce);
    this.enter(account, listed, length);
    this.bytes += length;
    const leave = () => {
      this.bytes -= length;
      account.leave();
    };
    try {
      const body = account.established
        ? await request.body(length)
        : await this.newcomerBody(request, length);
      const digest = contentDigest(this.options.crypto, body);
      if (digest !== request.header('content-digest')) throw new Refusal('bad-signature');
      return { signer, body, leave };
    } catch (error) {
      leave();
      throw error instanceof Refusal ? error : new Refusal('bad-request');
    }
  }

  /** Identities are free: newcomers are held by their addresses, and by what is left for all of them together. */
  private newcomer({ block }: IncomingRequest): void {
    const { addresses, subscribers } = this.options;
    const wait = addresses.newcomer(block) || subscribers.newcomersWait(this.now);
    if (wait > 0) throw new Refusal('rate', wait);
  }

  private async newcomerBody({ block, body }: IncomingRequest, length: number): Promise<Uint8Array> {
    const held = this.newcomerBodies.get(block) ?? { count: 0, bytes: 0 };
    const most = isCommonBlock(block) ? POOL_BODIES : BLOCK_BODIES;
    const isFull = held.count >= most.count || held.bytes + length > most.bytes;
    if (isFull || this.newcomerBytes + length > MAX_NEWCOMER_BYTES) throw new Refusal('rate', 1);
    this.newcomerBodies.set(block, held);
    const count = (by: 1 | -1): void => {
      held.count += by;
      held.bytes += by * length;
      this.newcomerBytes += by * length;
    };
    count(1);
    try {
      return await body(length);
    } finally {
      count(-1);
      if (held.count === 0) this.newcomerBodies.delete(block);
    }
  }

  /** What the headers say, within the window and meant for this gateway. */
  private claim(request: IncomingRequest): Claim {
    const { crypto, clock, fingerprint, noncesSince, subscribers, roster } = this.options;
    const header = (name: string) => request.header(name) ?? '';
    const signature = parseSignature(header('signature-input'), header('signature'));
    if (signature === undefined) throw new Refusal('bad-signature');
    const { created, publicKey } = signature;
    const isOutside = Math.abs(created - seconds(clock)) > SIGNATURE_WINDOW_SECONDS;
    if (isOutside || (created < noncesSince && this.isYoung)) throw new Refusal('clock');
    // Before the signature, which costs more than all the rest.
    if (header('porchlight-gateway') !== fingerprint) throw new Refusal('bad-signature');
    const tag = subscriberTag(crypto, publicKey);
    const signer = { tag, tagText: latin1(tag), block: request.block };
    const isNewcomer = !subscribers.has(signer.tagText) && roster.find(signer.tagText) === undefined;
    return { signature, signer, isNewcomer };
  }

  private verify(request: IncomingRequest, signature: RequestSignature): void {
    const { crypto, fingerprint } = this.options;
    const header = (name: string) => request.header(name) ?? '';
    const signed = verifySignature(crypto, signature, {
      method: request.method,
      authority: header('host').toLowerCase().replace(/:443$/, ''),
      path: request.path,
      query: request.query === '' ? '?' : request.query,
      contentType: header('content-type'),
      contentDigest: header('content-digest'),
      gateway: fingerprint,
    });
    if (!signed) throw new Refusal('bad-signature');
  }

  /**
   * The subscriber's entry in the list, looked up once: it may change while the request waits. Judged only when the
   * signature is good, so that nobody else can ask who is on the list.
   */
  private listed({ tagText }: Signer): RosterEntry | undefined {
    const { roster } = this.options;
    if (!roster.admits(tagText)) throw new Refusal('not-listed');
    return roster.find(tagText);
  }

  /** The operator's list is as good as a proven device. */
  private account({ tagText }: Signer, listed: RosterEntry | undefined): Account {
    const { subscribers } = this.options;
    return listed ? subscribers.establish(tagText) : subscribers.account(tagText);
  }

  private get now(): number {
    return this.options.clock.monotonic();
  }

  /** Whether what was made before this process began could still be within the window, by a clock that is never set. */
  private get isYoung(): boolean {
    return this.now - this.begunAt <= (SIGNATURE_WINDOW_SECONDS + 1) * 1000;
  }

  /** Rate and concurrency; on return the request counts as running. */
  private enter(account: Account, listed: RosterEntry | undefined, length: number): void {
    const isFirst = account.established && account.idle;
    const most = isFirst ? MAX_BODY_BYTES : MAX_BODY_BYTES - RESERVED_BYTES;
    if (this.bytes + length > most) throw new Refusal(isFirst ? 'unavailable' : 'rate', 1);
    const frames = Math.max(1, Math.ceil(length / FRAME_SIZE));
    const wait = account.enter(frames, this.now, listed);
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
