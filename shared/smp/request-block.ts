/**
 * A block of commands that grows in place: each command is written and signed straight into one padded block, which
 * is then sealed. For the notifier, who signs 134 NSUBs a block, no bytes are made that the wire does not see.
 */
import type { Crypto } from '../crypto/crypto.js';
import { type Bytes, wipe } from '../encoding/bytes.js';
import type { AuthAlgorithm, Key } from '../encoding/keys.js';
import { AUTH_LENGTH, authorize, authorizedInService, type ServiceAuth, signAsService } from './auth.js';
import type { BlockCodec } from './block.js';
import { MAX_BATCH, MAX_SHORT_STRING, SMP_BLOCK_SIZE } from './constants.js';
import { batchCapacity, ITEM_OVERHEAD, type SessionParams } from './transmission.js';

export interface RequestItem {
  readonly corrId: Bytes;
  readonly entityId: Bytes;
  readonly command: Bytes;
  /** Private key of the entity; none for commands without authorisation. */
  readonly key?: Key<AuthAlgorithm>;
  /** Sign for the service as well (NEW, SUB, NSUB in a service session). */
  readonly service?: ServiceAuth;
}

/** What a session needs for authorising: its form, and the server's session key where it has one. */
export interface RequestSession extends SessionParams {
  readonly sessionServerKey: Bytes | undefined;
}

/** u16 length of the content, u8 count of its transmissions. */
const HEAD = 3;
const PAD = 0x23; // '#'
const ABSENT = 0x30;
const PRESENT = 0x31;
const SERVICE_SIG_LENGTH = 64;

export class RequestBlock {
  private readonly crypto: Crypto;
  private readonly session: RequestSession;
  private readonly end: number;
  private readonly padded: Uint8Array;
  /** What signatures cover: the session id, then room for one command. */
  private readonly scratch: Uint8Array;
  private at = HEAD;
  private items = 0;

  /** Not for NTF version 1, whose blocks are no batches. */
  constructor(crypto: Crypto, session: RequestSession, blockSize: number = SMP_BLOCK_SIZE) {
    this.crypto = crypto;
    this.session = session;
    this.end = HEAD + batchCapacity(blockSize);
    this.padded = new Uint8Array(blockSize);
    this.scratch = new Uint8Array(blockSize);
    this.scratch[0] = session.sessionId.length;
    this.scratch.set(session.sessionId, 1);
  }

  get count(): number {
    return this.items;
  }

  /** Adds a command; false where the block has no room for it, and nothing happened. Throws `RangeError` on long ids. */
  add(item: RequestItem): boolean {
    if (Math.max(item.corrId.length, item.entityId.length) > MAX_SHORT_STRING)
      throw new RangeError('id too long');
    const prefix = 1 + this.session.sessionId.length;
    const covered = prefix + 2 + item.corrId.length + item.entityId.length + item.command.length;
    const sent = covered - (this.session.sendsSessionId ? 0 : prefix);
    const size = 1 + this.authSize(item) + sent;
    if (this.items === MAX_BATCH || this.at + ITEM_OVERHEAD + size > this.end) return false;
    this.writeCovered(prefix, item);
    this.u16(size);
    this.writeAuth(item, this.scratch.subarray(0, covered));
    this.put(this.scratch.subarray(covered - sent, covered));
    this.items++;
    return true;
  }

  /** The block, sealed; this one is empty again afterwards. */
  seal(codec: BlockCodec): Uint8Array {
    const content = this.at - 2;
    const padded = this.padded.subarray(0, codec.paddedSize);
    padded.fill(PAD, this.at);
    padded[0] = content >>> 8;
    padded[1] = content & 0xff;
    padded[2] = this.items;
    const block = codec.sealPadded(padded);
    this.at = HEAD;
    this.items = 0;
    wipe(this.padded);
    return block;
  }

  private authSize({ key, service }: RequestItem): number {
    if (key === undefined) return 0;
    const serviceSig = service === undefined ? 1 : 2 + SERVICE_SIG_LENGTH;
    return AUTH_LENGTH[key.algorithm] + (this.session.hasServiceSig ? serviceSig : 0);
  }

  private writeCovered(at: number, { corrId, entityId, command }: RequestItem): void {
    const { scratch } = this;
    scratch[at++] = corrId.length;
    scratch.set(corrId, at);
    at += corrId.length;
    scratch[at++] = entityId.length;
    scratch.set(entityId, at);
    scratch.set(command, at + entityId.length);
  }

  private writeAuth({ key, service, corrId }: RequestItem, authorized: Bytes): void {
    if (key === undefined) {
      this.u8(0);
      return;
    }
    const covered = service === undefined ? authorized : authorizedInService(service, authorized);
    const { sessionServerKey } = this.session;
    this.short(authorize(this.crypto, key, { sessionServerKey, corrId }, covered));
    if (!this.session.hasServiceSig) return;
    this.u8(service === undefined ? ABSENT : PRESENT);
    if (service !== undefined) this.short(signAsService(this.crypto, service, authorized));
  }

  private u8(value: number): void {
    this.padded[this.at++] = value;
  }

  private u16(value: number): void {
    this.u8(value >>> 8);
    this.u8(value & 0xff);
  }

  private put(bytes: Bytes): void {
    this.padded.set(bytes, this.at);
    this.at += bytes.length;
  }

  private short(bytes: Bytes): void {
    this.u8(bytes.length);
    this.put(bytes);
  }
}
