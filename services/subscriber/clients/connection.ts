/**
 * One client's connection, from the end of the TLS handshake on: NTF handshake, blocks in, blocks out. A device
 * token may be in any of these bytes, so every chunk and every block is overwritten once it has been handled.
 */
import type { TLSSocket } from 'node:tls';
import { pad, unpad } from '../../../shared/crypto/box.js';
import type { Crypto, KeyPair } from '../../../shared/crypto/crypto.js';
import { type Bytes, sameBytes, wipe } from '../../../shared/encoding/bytes.js';
import { DecodeError } from '../../../shared/encoding/reader.js';
import type { Deadlines, Waiting } from '../../../shared/memory/deadlines.js';
import { LEGACY_NTF_VERSIONS, NTF_BLOCK_SIZE, NTF_VERSIONS } from '../../../shared/ntf/constants.js';
import { decodeClientHello, encodeServerHello } from '../../../shared/ntf/handshake.js';
import type { Clock } from '../../../shared/run/clock.js';
import type { Log } from '../../../shared/run/log.js';
import type { MetricHandles } from '../../../shared/run/metrics.js';
import type { VersionRange } from '../../../shared/smp/constants.js';
import { signSessionKey } from '../../../shared/smp/handshake.js';
import { BlockBuffer } from './block-buffer.js';
import type { Handlers } from './handlers.js';
import type { NtfIdentity } from './identity.js';
import type { clientMetrics } from './metrics.js';
import { Session } from './session.js';

/** What all connections of a listener share. */
export interface ConnectionOptions {
  readonly identity: NtfIdentity;
  readonly handlers: Handlers;
  readonly crypto: Crypto;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: MetricHandles<typeof clientMetrics>;
  readonly deadlines: Deadlines<Connection>;
  /** Settles when commands may run; undefined where they may now. */
  readonly held?: () => Promise<void> | undefined;
  /** Whether nothing is run any more: registrations are gone, or another process has them. */
  readonly isClosed: () => boolean;
  readonly handshakeMs: number;
  readonly idleMs: number;
}

type CloseCause = 'peer' | 'idle' | 'unreachable' | 'internal';

export class Connection implements Waiting {
  dueAt = 0;
  place = -1;
  private readonly socket: TLSSocket;
  private readonly options: ConnectionOptions;
  private readonly versions: VersionRange;
  private readonly sessionId: Uint8Array;
  private readonly sessionKey: KeyPair;
  private readonly block = new BlockBuffer(NTF_BLOCK_SIZE);
  private session: Session | undefined;
  private lastByteAt = 0;
  private cause: CloseCause = 'peer';
  private isHandling = false;

  constructor(socket: TLSSocket, options: ConnectionOptions) {
    this.socket = socket;
    this.options = options;
    // Any protocol that was agreed means a modern client, none a legacy one (guide B.2).
    this.versions = socket.alpnProtocol ? NTF_VERSIONS : LEGACY_NTF_VERSIONS;
    this.sessionId = Uint8Array.from(socket.getPeerFinished() ?? []);
    this.sessionKey = options.crypto.x25519KeyPair();
  }

  /** Sends the hello and reads from now on. */
  start(): void {
    const { clock, deadlines, handshakeMs } = this.options;
    this.lastByteAt = clock.monotonic();
    deadlines.set(this, this.lastByteAt + handshakeMs);
    this.socket.on('data', (chunk: Buffer) => void this.consume(chunk));
    this.socket.once('end', () => this.socket.destroy());
    this.socket.once('close', () => this.closed());
    this.write(this.hello());
  }

  /** Its deadline has come: that of the handshake, or it has been silent for too long. */
  due(): void {
    const idleAt = this.lastByteAt + this.options.idleMs;
    if (this.session === undefined) this.refuse('deadline');
    else if (idleAt > this.options.clock.monotonic()) this.options.deadlines.set(this, idleAt);
    else this.close('idle');
  }

  private hello(): Uint8Array {
    const { crypto, identity } = this.options;
    const { versions, sessionId } = this;
    if (versions === LEGACY_NTF_VERSIONS) return encodeServerHello({ versions, sessionId });
    const signedKey = signSessionKey(crypto, identity.signingKey, this.sessionKey.publicKey);
    return encodeServerHello({ versions, sessionId, signedKey });
  }

  /**
   * Takes blocks out of what arrived, one after another; nothing more is read meanwhile, so that a client that
   * sends faster than it reads, or than commands are done, is slowed down.
   */
  private async consume(chunk: Buffer): Promise<void> {
    this.socket.pause();
    this.isHandling = true;
    this.lastByteAt = this.options.clock.monotonic();
    try {
      for (let used = 0; used < chunk.length && !this.socket.destroyed; ) {
        used += this.block.fill(chunk.subarray(used));
        if (!this.block.full) break;
        await this.handle(this.block.bytes);
        this.block.clear();
        await this.writable();
      }
    } catch (error) {
      this.options.log.error('command failed', {
        kind: error instanceof Error ? error.name : 'unknown',
      });
      this.close('internal');
    } finally {
      wipe(chunk);
      this.isHandling = false;
    }
    if (this.socket.destroyed) this.block.clear();
    else this.socket.resume();
  }

  private async handle(block: Bytes): Promise<void> {
    if (this.isOver) return;
    if (this.session === undefined) {
      this.handshake(block);
      return;
    }
    await this.options.held?.();
    if (this.isOver) return;
    if (!(await this.session.handle(unpad(block)))) this.close('unreachable');
  }

  /** The TLS socket learns of the end of the one below it only in a later turn of the event loop. */
  private get isOver(): boolean {
    return this.socket.destroyed || this.options.isClosed();
  }

  private handshake(block: Bytes): void {
    const { crypto, identity, handlers, metrics, isClosed } = this.options;
    const version = this.acceptedVersion(block, identity.keyHash);
    if (version === undefined) {
      this.refuse('handshake');
      return;
    }
    metrics.clients_sessions_total.inc({ version });
    const { sessionId, sessionKey } = this;
    const send = (content: Bytes): void => this.write(content);
    this.session = new Session({
      version: Number(version),
      sessionId,
      sessionKey,
      crypto,
      handlers,
      metrics,
      send,
      isClosed,
    });
    this.options.deadlines.set(this, this.lastByteAt + this.options.idleMs);
  }

  /** A client that means another server, or another version, is closed without a word (guide H.1). */
  private acceptedVersion(block: Bytes, keyHash: Bytes): '1' | '2' | '3' | undefined {
    const content = unpad(block);
    try {
      const hello = content && decodeClientHello(content);
      if (!hello || !sameBytes(hello.keyHash, keyHash)) return undefined;
      const { min, max } = this.versions;
      return hello.version >= min && hello.version <= max
        ? (String(hello.version) as '1' | '2' | '3')
        : undefined;
    } catch (error) {
      if (error instanceof DecodeError) return undefined;
      throw error;
    }
  }

  private write(content: Bytes): void {
    if (!this.socket.destroyed) this.socket.write(pad(content, NTF_BLOCK_SIZE));
  }

  /** Resolves once the client has taken what was written, or is gone. */
  private writable(): Promise<void> | undefined {
    if (!this.socket.writableNeedDrain || this.socket.destroyed) return undefined;
    return new Promise((resolve) => {
      const done = (): void => {
        this.socket.off('drain', done).off('close', done);
        resolve();
      };
      this.socket.on('drain', done).on('close', done);
    });
  }

  private refuse(cause: 'handshake' | 'deadline'): void {
    this.options.metrics.clients_refused_total.inc({ cause });
    this.socket.destroy();
  }

  private close(cause: CloseCause): void {
    this.cause = cause;
    this.socket.destroy();
  }

  private closed(): void {
    if (this.session) this.options.metrics.clients_closed_total.inc({ cause: this.cause });
    this.options.deadlines.delete(this);
    wipe(this.sessionKey.privateKey);
    // Commands that still run read from the block; it is overwritten when they are done.
    if (!this.isHandling) this.block.clear();
  }
}
