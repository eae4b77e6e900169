/** NTF handshake, both directions (guide H.1): one block each way, no certificate chain, no client key. */
import type { Bytes } from '../encoding/bytes.js';
import { DecodeError, Reader } from '../encoding/reader.js';
import { Writer } from '../encoding/writer.js';
import type { VersionRange } from '../smp/constants.js';
import type { SessionParams } from '../smp/transmission.js';
import { AUTH_BATCH_NTF_VERSION } from './constants.js';

export interface NtfServerHello {
  readonly versions: VersionRange;
  /** tls-unique: the client's Finished message (guide B.5). */
  readonly sessionId: Uint8Array;
  /** Signed X25519 session key (guide C.2); there if and only if `versions.max` is 2 or more. */
  readonly signedKey?: Uint8Array;
}

export interface NtfClientHello {
  readonly version: number;
  /** SHA-256 of the identity certificate that the client expects. */
  readonly keyHash: Uint8Array;
}

/** Content of the block; throws `RangeError` where the signed key is missing or too much. */
export function encodeServerHello(hello: NtfServerHello): Uint8Array {
  const { versions, sessionId, signedKey } = hello;
  if ((signedKey !== undefined) !== hasKey(versions))
    throw new RangeError('signed key and version do not match');
  const w = new Writer().u16(versions.min).u16(versions.max).shortString(sessionId);
  if (signedKey !== undefined) w.large(signedKey);
  return w.done();
}

/** Trailing bytes are ignored. Throws `DecodeError`. Byte fields are views. */
export function decodeServerHello(content: Bytes): NtfServerHello {
  const r = new Reader(content);
  const versions = { min: r.u16(), max: r.u16() };
  if (versions.min > versions.max) throw new DecodeError('empty version range');
  const sessionId = r.shortString();
  return hasKey(versions) ? { versions, sessionId, signedKey: r.large() } : { versions, sessionId };
}

export const encodeClientHello = (hello: NtfClientHello): Uint8Array =>
  new Writer().u16(hello.version).shortString(hello.keyHash).done();

/** Trailing bytes are ignored. Throws `DecodeError`. The hash is a view. */
export function decodeClientHello(content: Bytes): NtfClientHello {
  const r = new Reader(content);
  return { version: r.u16(), keyHash: r.shortString() };
}

/** Form of transmissions in an NTF session of this version (guide E.1). */
export const ntfSession = (version: number, sessionId: Uint8Array): SessionParams => ({
  sessionId,
  sendsSessionId: version < AUTH_BATCH_NTF_VERSION,
  hasServiceSig: false,
  batched: version >= AUTH_BATCH_NTF_VERSION,
});

const hasKey = (versions: VersionRange): boolean => versions.max >= AUTH_BATCH_NTF_VERSION;
