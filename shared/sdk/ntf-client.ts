/**
 * One session with a notification server (guide E, H.1, H.2): handshake, signed commands in blocks, answers by
 * correlation id. The next block leaves only when the one before is answered whole, as stock clients do.
 */
import { type Bytes, sameBytes, toHex } from '../encoding/bytes.js';
import { DecodeError } from '../encoding/reader.js';
import { encodeCommand, type NtfCommand } from '../ntf/commands.js';
import { ID_SIZE, NTF_BLOCK_SIZE, NTF_VERSIONS } from '../ntf/constants.js';
import { decodeServerHello, encodeClientHello, type NtfServerHello, ntfSession } from '../ntf/handshake.js';
import { decodeResponse, entityFits, type NtfResponse } from '../ntf/responses.js';
import type { Clock } from '../run/clock.js';
import { agreedVersion, type VersionRange } from '../smp/constants.js';
import {
  authorized,
  decodeBlock,
  encodeBatch,
  encodeTransmission,
  intoBatches,
  type Received,
  type SessionParams,
} from '../smp/transmission.js';
import { BlockChannel } from './block-channel.js';
import type { SdkCrypto } from './nacl.js';
import { vouchedFor } from './session-key.js';
import { type ByteTransport, NtfConnectionError } from './transport.js';

export interface NtfSessionOptions {
  readonly crypto: SdkCrypto;
  readonly clock: Clock;
  /** SHA-256 of the server's identity certificate, from its address. */
  readonly keyHash: Uint8Array;
  readonly versions?: VersionRange;
}

/** One command; what its word needs (guide H.2) is up to the caller. */
export interface NtfRequest {
  readonly command: NtfCommand;
  /** Absent for TNEW, SNEW, PING. */
  readonly entityId?: Uint8Array;
  /** Ed25519 secret key (64); absent for PING. */
  readonly key?: Uint8Array;
}

const HANDSHAKE_MS = 45_000;
const RESPONSE_MS = 30_000;
const EMPTY = new Uint8Array(0);

/** What stock clients make of an answer that they can't read (guide I.2). */
const UNREADABLE: NtfResponse = { word: 'ERR', error: { kind: 'CMD', reason: 'SYNTAX' } };

interface Sent extends NtfRequest {
  readonly corrId: Uint8Array;
  readonly bytes: Uint8Array;
}

export class NtfSession {
  readonly version: number;
  private readonly channel: BlockChannel;
  private readonly params: SessionParams;
  private readonly crypto: SdkCrypto;
  private turn: Promise<unknown> = Promise.resolve();

  /** Shakes hands. Rejects with `NtfConnectionError`; the transport is closed then. */
  static async open(transport: ByteTransport, options: NtfSessionOptions): Promise<NtfSession> {
    const channel = new BlockChannel(transport, options.clock);
    try {
      const hello = readHello(await channel.receive(HANDSHAKE_MS));
      if (!sameBytes(hello.sessionId, transport.sessionId)) throw new NtfConnectionError('identity');
      const version = agreedVersion(hello.versions, options.versions ?? NTF_VERSIONS);
      if (version === undefined) throw new NtfConnectionError('version');
      if (hello.signedKey && !vouchedFor(transport, hello.signedKey))
        throw new NtfConnectionError('identity');
      channel.send(encodeClientHello({ version, keyHash: options.keyHash }));
      return new NtfSession(version, channel, transport.sessionId, options.crypto);
    } catch (error) {
      channel.fail(error instanceof NtfConnectionError ? error.reason : 'protocol');
      throw error;
    }
  }

  private constructor(version: number, channel: BlockChannel, sessionId: Uint8Array, crypto: SdkCrypto) {
    this.version = version;
    this.channel = channel;
    this.params = ntfSession(version, sessionId);
    this.crypto = crypto;
  }

  get open(): boolean {
    return this.channel.open;
  }

  close(): void {
    this.channel.fail('closed');
  }

  /**
   * Sends commands in as few blocks as they fit; answers in the order of the commands. Rejects with
   * `NtfConnectionError`, after which the session is closed and commands may or may not have been carried out.
   */
  request(requests: readonly NtfRequest[]): Promise<NtfResponse[]> {
    const result = this.turn.then(() => this.exchange(requests));
    this.turn = result.catch(() => {});
    return result;
  }

  private async exchange(requests: readonly NtfRequest[]): Promise<NtfResponse[]> {
    const sent = requests.map((request) => this.encode(request));
    const bytes = sent.map((item) => item.bytes);
    const answers = new Map<string, NtfResponse>();
    for (const batch of intoBatches(this.params, bytes, NTF_BLOCK_SIZE)) {
      const open = new Map(sent.filter((s) => batch.includes(s.bytes)).map((s) => [toHex(s.corrId), s]));
      this.channel.send(encodeBatch(this.params, batch));
      while (open.size > 0) this.settle(await this.channel.receive(RESPONSE_MS), open, answers);
    }
    return sent.map((item) => answers.get(toHex(item.corrId))!);
  }

  /** Takes the answers of one block; what belongs to no open command came too late and is dropped (guide E.3). */
  private settle(content: Bytes, open: Map<string, Sent>, answers: Map<string, NtfResponse>): void {
    for (const received of this.decode(content)) {
      const id = toHex(received.corrId);
      const request = open.get(id);
      if (received.corrId.length === 0) this.protocolError();
      if (request === undefined) continue;
      open.delete(id);
      answers.set(id, readAnswer(received, request));
    }
  }

  private decode(content: Bytes): readonly Received[] {
    try {
      return decodeBlock(this.params, content);
    } catch {
      return this.protocolError();
    }
  }

  private encode(request: NtfRequest): Sent {
    const corrId = this.crypto.randomBytes(ID_SIZE);
    const { key, entityId = EMPTY } = request;
    const parts = { corrId, entityId, command: encodeCommand(request.command) };
    const auth = key ? this.crypto.ed25519Sign(key, authorized(this.params, parts)) : EMPTY;
    return { ...request, corrId, bytes: encodeTransmission(this.params, { auth, ...parts }) };
  }

  private protocolError(): never {
    this.channel.fail('protocol');
    throw new NtfConnectionError('protocol');
  }
}

function readHello(content: Bytes): NtfServerHello {
  try {
    return decodeServerHello(content);
  } catch (error) {
    throw error instanceof DecodeError ? new NtfConnectionError('protocol') : error;
  }
}

function readAnswer({ command, entityId }: Received, request: NtfRequest): NtfResponse {
  try {
    const response = decodeResponse(command);
    const same = sameBytes(entityId, request.entityId ?? EMPTY);
    return entityFits(response.word, entityId) && (same || response.word === 'ERR') ? response : UNREADABLE;
  } catch (error) {
    if (error instanceof DecodeError) return UNREADABLE;
    throw error;
  }
}
