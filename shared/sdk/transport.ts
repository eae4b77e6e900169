/**
 * A connection as the SDK sees it: bytes in, bytes out, over TLS that some runtime made. What only TLS can know
 * comes with it; everything above is the same in every runtime.
 */
import type { Bytes } from '../encoding/bytes.js';

export interface ByteTransport {
  /** tls-unique: this side's Finished message (guide B.5). */
  readonly sessionId: Uint8Array;
  /** Whether `signature` is one of `message` by the key of the server's TLS certificate. */
  verify(algorithm: 'ed25519' | 'ed448', message: Bytes, signature: Bytes): boolean;
  /** Calls `listener` with what arrives, in order; nothing is lost before the first call of this. */
  onData(listener: (bytes: Bytes) => void): void;
  /** Calls `listener` once when the connection has ended, for whatever reason. */
  onClose(listener: () => void): void;
  send(bytes: Bytes): void;
  close(): void;
}

/** Opens a connection whose server has proved to be the one with the expected identity (guide B.3). */
export type Connect = () => Promise<ByteTransport>;

/**
 * Why there was no answer. `identity` and `version` need a person; the others pass, and the same is tried again.
 */
export type ConnectionFailure = 'unreachable' | 'closed' | 'timeout' | 'protocol' | 'identity' | 'version';

/** No answer from the notification server. Carries no address. */
export class NtfConnectionError extends Error {
  override readonly name = 'NtfConnectionError';
  readonly reason: ConnectionFailure;

  constructor(reason: ConnectionFailure) {
    super(reason);
    this.reason = reason;
  }
}
