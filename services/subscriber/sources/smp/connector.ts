/**
 * From an address to a session: transport, identity, handshake (guide B.3, C). Always sends a key of its own, so
 * that blocks are encrypted wherever the version knows it. One attempt, and one more as an ordinary client where the
 * server does not take the service's certificate; when to make it is the dialler's business.
 */
import type { Crypto } from '../../../../shared/crypto/crypto.js';
import { sameBytes, wipe } from '../../../../shared/encoding/bytes.js';
import { DecodeError } from '../../../../shared/encoding/reader.js';
import type { Clock } from '../../../../shared/run/clock.js';
import { BlockCipher, type BlockCodec, encryptsBlocks, plainBlocks } from '../../../../shared/smp/block.js';
import { agreedVersion, SINCE, SMP_VERSIONS } from '../../../../shared/smp/constants.js';
import {
  decodeServerHello,
  encodeClientHello,
  openSignedKey,
  type SmpServerHello,
} from '../../../../shared/smp/handshake.js';
import { type SessionParams, smpSession } from '../../../../shared/smp/transmission.js';
import { checkIdentity, leafKey } from './identity.js';
import { offerService, readServiceId, type ServiceLink, ServiceRefusedError } from './service-handshake.js';
import type { ServiceIdentity } from './service-identity.js';
import type { Dial, Transport } from './transport.js';

/** A finished handshake. */
export interface Link {
  readonly transport: Transport;
  readonly version: number;
  readonly params: SessionParams;
  readonly blocks: BlockCodec;
  /** The server's raw X25519 session key, for authenticators; from version 7. */
  readonly serverKey: Uint8Array | undefined;
  /** Of a session as a service. */
  readonly service: ServiceLink | undefined;
  /** The server did not take our certificate; this session is an ordinary one instead. */
  readonly serviceRefused: boolean;
}

/** How far an attempt has come: begun, connected to the host, its identity proven. */
export type Stage = 'begun' | 'network' | 'identity';

/** Who is expected, and where. */
export interface Peer {
  readonly keyHash: Uint8Array;
  readonly port: number;
  /** See `DialOptions`. */
  readonly circuit: string | undefined;
  /** Until then (monotonic) it gets no service certificate. */
  readonly ordinaryUntilMs: number;
  /** Told of each stage as it is reached. */
  readonly reached?: ((stage: Stage) => void) | undefined;
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
  /** Who we are to servers that want to know; without it all sessions are ordinary ones. */
  readonly service?: ServiceIdentity | undefined;
}

export function createConnect(options: ConnectOptions): Connect {
  return async (peer, host, signal) => {
    const service = options.clock.monotonic() < peer.ordinaryUntilMs ? undefined : options.service;
    try {
      return await attempt({ ...options, service }, peer, host, signal);
    } catch (error) {
      if (!(error instanceof ServiceRefusedError)) throw error;
      const ordinary = await attempt({ ...options, service: undefined }, peer, host, signal);
      return { ...ordinary, serviceRefused: true };
    }
  };
}

async function attempt(
  options: ConnectOptions,
  peer: Peer,
  host: string,
  signal: AbortSignal,
): Promise<Link> {
  const { keyHash, port, circuit, reached } = peer;
  reached?.('begun');
  const connected = reached && (() => reached('network'));
  const asService = options.service !== undefined;
  const transport = await options.dial({ host, port, keyHash, circuit, asService, connected }, signal);
  try {
    const hello = readHello(await nextBlock(transport, signal));
    return await shakeHands(options, transport, hello, peer, signal);
  } catch (error) {
    transport.close();
    throw error;
  }
}

/** The next block; the transport is paused behind it, until the session listens. */
function nextBlock(transport: Transport, signal: AbortSignal): Promise<Uint8Array> {
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

async function shakeHands(
  { crypto, clock, service }: ConnectOptions,
  transport: Transport,
  hello: SmpServerHello,
  { keyHash, reached }: Peer,
  signal: AbortSignal,
): Promise<Link> {
  const { sessionId } = transport;
  if (!sameBytes(hello.sessionId, sessionId)) throw new HandshakeError('session');
  const version = agreedVersion(hello.versions, SMP_VERSIONS);
  if (version === undefined) throw new HandshakeError('version');
  const serverKey = provenKey(crypto, transport, hello, keyHash, clock.now());
  reached?.('identity');
  const own = serverKey && agree(crypto, serverKey);
  const wanted = version >= SINCE.services && transport.asksCertificate;
  const offer = service && wanted ? offerService(crypto, service) : undefined;
  const clientHello = {
    version,
    keyHash,
    ...(own && { sessionKey: own.publicKey }),
    ...(offer && { service: offer.field }),
  };
  transport.send(plainBlocks().seal(encodeClientHello(clientHello)));
  const encrypted = own && encryptsBlocks(version, true, false);
  const blocks = encrypted ? new BlockCipher(crypto, 'client', sessionId, own.secret) : plainBlocks();
  wipe(own?.secret);
  const session = { transport, version, params: smpSession(version, sessionId), blocks, serverKey };
  if (!offer) return { ...session, service: undefined, serviceRefused: false };
  try {
    const id = await readServiceId((until) => nextBlock(transport, until), clock, signal);
    return { ...session, service: { id, auth: offer.auth }, serviceRefused: false };
  } catch (error) {
    wipe(offer.auth.sessionKey);
    blocks.close();
    throw error;
  }
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
