/**
 * A client of the NTF protocol for tests: one connection, commands one by one or in blocks, raw blocks where a test
 * wants to send what no client would. Checks the handshake as stock clients do (guide C.2, H.1).
 */
import { randomBytes, X509Certificate } from 'node:crypto';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { pad, unpad } from '../../shared/crypto/box.js';
import type { Crypto } from '../../shared/crypto/crypto.js';
import { type Bytes, concat } from '../../shared/encoding/bytes.js';
import { type AuthAlgorithm, decodePublicKey, type Key, ofAlgorithm } from '../../shared/encoding/keys.js';
import { encodeCommand, type NtfCommand } from '../../shared/ntf/commands.js';
import { NTF_BLOCK_SIZE, NTF_VERSIONS } from '../../shared/ntf/constants.js';
import { decodeServerHello, encodeClientHello, ntfSession } from '../../shared/ntf/handshake.js';
import { decodeResponse, entityFits, type NtfResponse } from '../../shared/ntf/responses.js';
import { authorize } from '../../shared/smp/auth.js';
import type { VersionRange } from '../../shared/smp/constants.js';
import { openSignedKey } from '../../shared/smp/handshake.js';
import {
  authorized,
  decodeBlock,
  encodeBatch,
  encodeTransmission,
  type SessionParams,
} from '../../shared/smp/transmission.js';

export interface NtfClientOptions {
  readonly port: number;
  /** SHA-256 of the server's identity certificate. */
  readonly keyHash: Bytes;
  readonly crypto: Crypto;
  /** None: a legacy client. */
  readonly alpn?: readonly string[];
  /** The version to ask for; the highest that both know unless given. */
  readonly version?: number;
  readonly tls?: ConnectionOptions;
}

export interface NtfReply {
  readonly corrId: Bytes;
  readonly entityId: Bytes;
  readonly response: NtfResponse;
}

/** Which key authorises a command, and what it is about. */
export interface CommandContext {
  readonly key?: Key<AuthAlgorithm>;
  readonly entityId?: Bytes;
  readonly corrId?: Bytes;
}

const NO_BYTES = new Uint8Array(0);

/** Blocks of one TLS connection, before and after the handshake. */
export class NtfWire {
  readonly socket: TLSSocket;
  private buffered: Uint8Array = NO_BYTES;
  private readonly waiting: ((block: Uint8Array | undefined) => void)[] = [];
  private isClosed = false;

  private constructor(socket: TLSSocket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.buffered = concat(this.buffered, chunk);
      this.deliver();
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      this.isClosed = true;
      this.deliver();
    });
  }

  /** Rejects where TLS fails. */
  static open(options: Pick<NtfClientOptions, 'port' | 'alpn' | 'tls'>): Promise<NtfWire> {
    return new Promise((resolve, reject) => {
      const socket = connect({
        host: '127.0.0.1',
        port: options.port,
        servername: '',
        rejectUnauthorized: false,
        ecdhCurve: 'X448:X25519',
        sigalgs: 'ed448:ed25519',
        minVersion: 'TLSv1.3',
        ...(options.alpn && { ALPNProtocols: [...options.alpn] }),
        ...options.tls,
      });
      const wire = new NtfWire(socket);
      socket.once('secureConnect', () => resolve(wire));
      socket.once('error', reject);
      socket.once('close', () => reject(new Error('closed in the TLS handshake')));
    });
  }

  /** The next block; undefined once the server has closed the connection. */
  read(): Promise<Uint8Array | undefined> {
    return new Promise((resolve) => {
      this.waiting.push(resolve);
      this.deliver();
    });
  }

  write(bytes: Bytes): void {
    this.socket.write(bytes);
  }

  close(): void {
    this.socket.destroy();
  }

  private deliver(): void {
    while (this.waiting.length > 0 && this.buffered.length >= NTF_BLOCK_SIZE) {
      this.waiting.shift()!(this.buffered.slice(0, NTF_BLOCK_SIZE));
      this.buffered = this.buffered.slice(NTF_BLOCK_SIZE);
    }
    if (this.isClosed) for (const resolve of this.waiting.splice(0)) resolve(undefined);
  }
}

export class NtfTestClient {
  readonly wire: NtfWire;
  readonly crypto: Crypto;
  readonly version: number;
  readonly params: SessionParams;
  /** What the server offered. */
  readonly offered: VersionRange;
  /** The server's X25519 key of this connection, from version 2 on. */
  readonly serverKey: Uint8Array | undefined;

  private constructor(
    wire: NtfWire,
    session: Pick<NtfTestClient, 'crypto' | 'version' | 'params' | 'offered' | 'serverKey'>,
  ) {
    this.wire = wire;
    this.crypto = session.crypto;
    this.version = session.version;
    this.params = session.params;
    this.offered = session.offered;
    this.serverKey = session.serverKey;
  }

  /** Connects and does the handshake. Rejects where the hello is not that of the right server. */
  static async connect(options: NtfClientOptions): Promise<NtfTestClient> {
    const wire = await NtfWire.open(options);
    const block = await wire.read();
    const content = block && unpad(block);
    if (content === undefined) throw new Error('closed before the hello');
    const hello = decodeServerHello(content);
    const sessionId = Uint8Array.from(wire.socket.getFinished() ?? []);
    if (Buffer.compare(hello.sessionId, sessionId) !== 0) throw new Error('wrong session id');
    const { crypto, keyHash } = options;
    const serverKey = hello.signedKey && openSignedKey(crypto, leafKey(wire.socket), hello.signedKey);
    if (hello.signedKey && !serverKey) throw new Error('wrong signature of the session key');
    const version = options.version ?? Math.min(hello.versions.max, NTF_VERSIONS.max);
    wire.write(pad(encodeClientHello({ version, keyHash }), NTF_BLOCK_SIZE));
    const params = ntfSession(version, sessionId);
    return new NtfTestClient(wire, { crypto, version, params, offered: hello.versions, serverKey });
  }

  /** One command in a block of its own, and its reply. Rejects where the connection is closed instead. */
  async send(command: NtfCommand | Bytes, context: CommandContext = {}): Promise<NtfReply> {
    const corrId = context.corrId ?? randomBytes(24);
    this.writeItems([this.transmission(command, { ...context, corrId })]);
    const [reply] = await this.replies();
    return reply!;
  }

  /** The same, for tests that only look at the reply's text. */
  async text(command: NtfCommand | Bytes, context: CommandContext = {}): Promise<string> {
    return replyText((await this.send(command, context)).response);
  }

  /** A transmission, authorised where a key is given. */
  transmission(command: NtfCommand | Bytes, context: CommandContext): Uint8Array {
    const { corrId = randomBytes(24), entityId = NO_BYTES, key } = context;
    const t = { corrId, entityId, command: command instanceof Uint8Array ? command : encodeCommand(command) };
    const signed = authorized(this.params, t);
    const auth = key
      ? authorize(this.crypto, key, { sessionServerKey: this.serverKey, corrId }, signed)
      : NO_BYTES;
    return encodeTransmission(this.params, { auth, ...t });
  }

  /** Transmissions in one block. */
  writeItems(items: readonly Bytes[]): void {
    this.writeContent(encodeBatch(this.params, items));
  }

  writeContent(content: Bytes): void {
    this.wire.write(pad(content, NTF_BLOCK_SIZE));
  }

  /** The replies of the next block. Rejects once the server has closed the connection. */
  async replies(): Promise<NtfReply[]> {
    const block = await this.wire.read();
    const content = block && unpad(block);
    if (content === undefined) throw new Error('connection closed');
    return decodeBlock(this.params, content).map(({ corrId, entityId, command }) => {
      const response = decodeResponse(command);
      if (!entityFits(response.word, entityId)) throw new Error('reply with a wrong entity');
      return { corrId, entityId, response };
    });
  }

  close(): void {
    this.wire.close();
  }
}

/** `OK`, `TKN ACTIVE`, `SUB ERR …`, `ERR CMD SYNTAX`; ids are left out. */
export function replyText(response: NtfResponse): string {
  if (response.word === 'ERR') {
    const { error } = response;
    return error.kind === 'CMD' ? `ERR CMD ${error.reason}` : `ERR ${error.kind}`;
  }
  if (response.word === 'SUB') {
    const { status } = response;
    return status.kind === 'ERR' ? `SUB ERR ${status.text}` : `SUB ${status.kind}`;
  }
  if (response.word !== 'TKN') return response.word;
  const { status } = response;
  return status.kind === 'INVALID' && status.reason ? `TKN INVALID,${status.reason}` : `TKN ${status.kind}`;
}

function leafKey(socket: TLSSocket): Key<'ed25519' | 'ed448'> {
  // Not getPeerX509Certificate: on a client it takes the certificate away from whoever asks next.
  const certificate = new X509Certificate(socket.getPeerCertificate(true).raw);
  const spki = certificate.publicKey.export({ format: 'der', type: 'spki' });
  return ofAlgorithm(decodePublicKey(spki), 'ed25519', 'ed448');
}
