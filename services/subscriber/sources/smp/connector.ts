/**
 * From an address to a session: transport, identity, handshake (guide B.3, C). Always sends a key of its own, so
 * that blocks are encrypted wherever the version knows it. One attempt; when to make it is the dialler's business.
 */
import type { Crypto } from '../../../../shared/crypto/crypto.js';
import { sameBytes, wipe } from '../../../../shared/encoding/bytes.js';
import { DecodeError } from '../../../../shared/encoding/reader.js';
import type { Clock } from '../../../../shared/run/clock.js';
import { BlockCipher, type BlockCodec, encryptsBlocks, plainBlocks } from '../../../../shared/smp/block.js';
import { agreedVersion, SMP_VERSIONS } from '../../../../shared/smp/constants.js';
import {
  decodeServerHello,
  encodeClientHello,
  openSignedKey,
  type SmpServerHello,
} from '../../../../shared/smp/handshake.js';
import { type SessionParams, smpSession } from '../../../../shared/smp/transmission.js';
import { checkIdentity, leafKey } from './identity.js';
import type { Dial, Transport } from './transport.js';

/** A finished handshake. */
export interface Link {
  readonly transport: Transport;
  readonly version: number;
  readonly params: SessionParams;
  readonly blocks: BlockCodec;
  /** The server's raw X25519 session key, for authenticators; from version 7. */
  readonly serverKey: Uint8Array | undefined;
}

/** Who is expected, and where. */
export interface Peer {
  readonly keyHash: Uint8Array;
  readonly port: number;
}

/**
 * One attempt at one host. Rejects with `ForbiddenAddressError`, `IdentityError`, `HandshakeError` or the network's
 * error, and when `signal` is aborted.
 */
export type Connect = (peer: Peer, host: string, signal: AbortSignal) => Promise<Link>;

/** The server's hello is not one, or not for this connection. Carries no data of the peer. */
export class HandshakeError extends Error {
  override readonly name = 'HandshakeError';
}

export interface ConnectOptions {
  readonly crypto: Crypto;
  readonly clock: Clock;
  readonly dial: Dial;
}

export function createConnect({ crypto, clock, dial }: ConnectOptions): Connect {
  return async ({ keyHash, port }, host, signal) => {
    const transport = await dial({ host, port }, signal);
    try {
      const hello = readHello(await firstBlock(transport, signal));
      return shakeHands(crypto, transport, hello, keyHash, clock.now());
    } catch (error) {
      transport.close();
      throw error;
    }
  };
}

/** The first block; the transport is paused behind it, until the session listens. */
function firstBlock(transport: Transport, signal: AbortSignal): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const give = (reason: string) => () => reject(new HandshakeError(reason));
    if (signal.aborted) give('given up')();
    signal.addEventListener('abort', give('given up'), { once: true });
    transport.listen({
      block(block) {
        transport.pause();
        resolve(block);
      },
      closed: give('closed'),
      drained() {},
      heard() {},
    });
  });
}

function readHello(block: Uint8Array): SmpServerHello {
  try {
    return decodeServerHello(plainBlocks().open(block));
  } catch (error) {
    throw error instanceof DecodeError ? new HandshakeError('no server hello') : error;
  }
}

function shakeHands(
  crypto: Crypto,
  transport: Transport,
  hello: SmpServerHello,
  keyHash: Uint8Array,
  nowMs: number,
): Link {
  const { sessionId } = transport;
  if (!sameBytes(hello.sessionId, sessionId)) throw new HandshakeError('session');
  const version = agreedVersion(hello.versions, SMP_VERSIONS);
  if (version === undefined) throw new HandshakeError('version');
  const serverKey = provenKey(crypto, transport, hello, keyHash, nowMs);
  const own = serverKey && agree(crypto, serverKey);
  const clientHello = { version, keyHash, ...(own && { sessionKey: own.publicKey }) };
  transport.send(plainBlocks().seal(encodeClientHello(clientHello)));
  const encrypted = own && encryptsBlocks(version, true, false);
  const blocks = encrypted ? new BlockCipher(crypto, 'client', sessionId, own.secret) : plainBlocks();
  wipe(own?.secret);
  return { transport, version, params: smpSession(version, sessionId), blocks, serverKey };
}

/** A key for this connection and what it has in common with the server's. */
function agree(crypto: Crypto, serverKey: Uint8Array): { publicKey: Uint8Array; secret: Uint8Array } {
  const { publicKey, privateKey } = crypto.x25519KeyPair();
  try {
    return { publicKey, secret: crypto.x25519(privateKey, serverKey) };
  } catch {
    throw new HandshakeError('session key'); // all-zero secret: useless for authenticators too
  } finally {
    wipe(privateKey);
  }
}

/**
 * Proves the identity; returns the session key signed by it. From version 7 the server repeats its chain in the
 * hello, in the order of the wire, and its leaf must be the one that TLS saw; below there is only TLS's.
 */
function provenKey(
  crypto: Crypto,
  transport: Transport,
  { serverKey }: SmpServerHello,
  keyHash: Uint8Array,
  nowMs: number,
): Uint8Array | undefined {
  const tlsLeaf = transport.chain[0];
  if (!tlsLeaf) throw new HandshakeError('no certificate');
  checkIdentity(crypto, serverKey?.chain ?? transport.chain, keyHash, nowMs);
  if (!serverKey) return undefined;
  if (!sameBytes(serverKey.chain[0]!, tlsLeaf)) throw new HandshakeError('other chain than in TLS');
  const key = signedKey(crypto, tlsLeaf, serverKey.signedKey);
  if (!key) throw new HandshakeError('session key');
  return key.slice();
}

function signedKey(crypto: Crypto, leaf: Uint8Array, der: Uint8Array): Uint8Array | undefined {
  try {
    return openSignedKey(crypto, leafKey(leaf), der);
  } catch (error) {
    if (error instanceof DecodeError) return undefined;
    throw error;
  }
}
