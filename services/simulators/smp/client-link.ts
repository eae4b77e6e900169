/** From an address to a session as an SMP user: TLS, identity by fingerprint, handshake (guide B, C). */
import { X509Certificate } from 'node:crypto';
import { connect, type TLSSocket } from 'node:tls';
import type { Crypto } from '../../../shared/crypto/crypto.js';
import { type Bytes, sameBytes } from '../../../shared/encoding/bytes.js';
import type { Clock } from '../../../shared/run/clock.js';
import { BlockCipher, BlockReader, encryptsBlocks, plainBlocks } from '../../../shared/smp/block.js';
import { agreedVersion, SMP_ALPN, SMP_VERSIONS, type VersionRange } from '../../../shared/smp/constants.js';
import {
  decodeServerHello,
  encodeClientHello,
  openSignedKey,
  type SmpServerHello,
} from '../../../shared/smp/handshake.js';
import { smpSession } from '../../../shared/smp/transmission.js';
import type { UserLink } from '../../subscriber/probe/smp-user.js';
import { certificateKey } from './identity.js';

export interface SmpDialOptions {
  readonly crypto: Crypto;
  /** For the deadlines of answers; the system's unless given. */
  readonly clock?: Clock;
  readonly host: string;
  readonly port: number;
  readonly keyHash: Bytes;
  readonly versions?: VersionRange;
  /** False: no ALPN, and so version 6. */
  readonly alpn?: boolean;
  /** False: no session key, and so no encrypted blocks. */
  readonly sendsKey?: boolean;
}

/** The server is not the one that was asked for, or speaks no version that we do. */
export class SmpHandshakeError extends Error {
  override readonly name = 'SmpHandshakeError';
}

/** Rejects with `SmpHandshakeError`, `DecodeError` or the network's error. */
export async function openLink(options: SmpDialOptions): Promise<UserLink> {
  const socket = await dial(options);
  try {
    const reader = new BlockReader();
    const hello = decodeServerHello(plainBlocks().open(await firstBlock(socket, reader)));
    return { transport: transport(socket, reader), ...shakeHands(socket, hello, options) };
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

function dial({ host, port, alpn = true }: SmpDialOptions): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({
      host,
      port,
      servername: '', // no SNI (guide B.4)
      rejectUnauthorized: false, // `provenKey` judges
      minVersion: 'TLSv1.2',
      ciphers: 'TLS_CHACHA20_POLY1305_SHA256:ECDHE-ECDSA-CHACHA20-POLY1305',
      sigalgs: 'ed448:ed25519',
      ecdhCurve: 'X448:X25519',
      ...(alpn && { ALPNProtocols: [SMP_ALPN] }),
    });
    socket.setNoDelay(true);
    socket.once('error', reject);
    socket.once('secureConnect', () => {
      socket.off('error', reject);
      socket.on('error', () => {}); // 'close' follows
      resolve(socket);
    });
  });
}

/** Blocks behind the first one stay in the socket: the server sends none before our hello. */
function firstBlock(socket: TLSSocket, reader: BlockReader): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const closed = (): void => reject(new SmpHandshakeError('closed'));
    const collect = (chunk: Bytes): void => {
      const [block] = reader.push(chunk);
      if (!block) return;
      socket.off('data', collect).off('close', closed).pause();
      resolve(block);
    };
    socket.once('close', closed).on('data', collect);
  });
}

/** Blocks both ways, once the first has been read. */
function transport(socket: TLSSocket, reader: BlockReader): UserLink['transport'] {
  return {
    listen({ block, closed }) {
      socket.on('data', (chunk: Bytes) => {
        for (const one of reader.push(chunk)) block(one);
      });
      socket.on('close', closed);
      socket.resume();
    },
    send: (block) => socket.write(block),
    close: () => void socket.destroy(),
  };
}

function shakeHands(
  socket: TLSSocket,
  hello: SmpServerHello,
  { crypto, keyHash, versions = SMP_VERSIONS, sendsKey = true }: SmpDialOptions,
): Omit<UserLink, 'transport'> {
  const sessionId = Uint8Array.from(socket.getFinished() ?? []);
  if (!sameBytes(hello.sessionId, sessionId)) throw new SmpHandshakeError('other session');
  const version = agreedVersion(hello.versions, versions);
  if (version === undefined) throw new SmpHandshakeError('no common version');
  const serverKey = provenKey(crypto, socket, hello, keyHash);
  const own = serverKey && sendsKey ? crypto.x25519KeyPair() : undefined;
  const clientHello = encodeClientHello({ version, keyHash, ...(own && { sessionKey: own.publicKey }) });
  socket.write(plainBlocks().seal(clientHello));
  const encrypted = own && serverKey && encryptsBlocks(version, true, false);
  const blocks = encrypted
    ? new BlockCipher(crypto, 'client', sessionId, crypto.x25519(own.privateKey, serverKey))
    : plainBlocks();
  return { version, params: smpSession(version, sessionId), blocks, serverKey };
}

/** The server's session key, once its identity is proven; version 6 has none, and only TLS's chain to look at. */
function provenKey(
  crypto: Crypto,
  socket: TLSSocket,
  { serverKey }: SmpServerHello,
  keyHash: Bytes,
): Uint8Array | undefined {
  const peer = socket.getPeerCertificate(true);
  const identity = serverKey ? serverKey.chain[1] : peer.issuerCertificate?.raw;
  if (!identity || !sameBytes(crypto.sha256(identity), keyHash))
    throw new SmpHandshakeError('other identity');
  if (!new X509Certificate(peer.raw).verify(new X509Certificate(identity).publicKey)) {
    throw new SmpHandshakeError('other identity');
  }
  if (!serverKey) return undefined;
  const key = openSignedKey(crypto, certificateKey(peer.raw), serverKey.signedKey);
  if (!key) throw new SmpHandshakeError('session key not signed by the server');
  return key.slice();
}
