/**
 * An SMP server for tests of the notifier's side: answers NSUB and PING as a script says, and sends events when told.
 * Over real TLS (`listen`), or in memory as a `Dial` (`dial`) for tests on a virtual clock.
 */
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { createServer, type TLSSocket, type TlsOptions } from 'node:tls';
import { bareWire, type Wire, webSocketUpgrader } from '../../services/simulators/smp/wire.js';
import type { Dial, Transport, TransportEvents } from '../../services/subscriber/sources/smp/transport.js';
import type { Crypto } from '../../shared/crypto/crypto.js';
import { createIdentity, type Identity, toPem } from '../../shared/crypto/x509.js';
import { fromHex, toHex } from '../../shared/encoding/bytes.js';
import { type AuthAlgorithm, decodePrivateKey, type Key } from '../../shared/encoding/keys.js';
import type { SmpQueue } from '../../shared/smp/address.js';
import {
  authorizedInService,
  type ServiceAuth,
  verifyAuth,
  verifyServiceSignature,
} from '../../shared/smp/auth.js';
import { BlockCipher, type BlockCodec, encryptsBlocks, plainBlocks } from '../../shared/smp/block.js';
import {
  type Command,
  decodeCommand,
  encodeServerMessage,
  type ServerMessage,
} from '../../shared/smp/commands.js';
import { IDS_HASH_SIZE, SMP_BLOCK_SIZE, type VersionRange } from '../../shared/smp/constants.js';
import {
  decodeClientHello,
  decodeSignedKey,
  encodeServerHello,
  encodeServiceResponse,
  type ServiceResponse,
  signSessionKey,
} from '../../shared/smp/handshake.js';
import { toggleId } from '../../shared/smp/ids-hash.js';
import {
  authorizedAsReceived,
  decodeBlock,
  encodeBatch,
  encodeTransmission,
  intoBatches,
  type Received,
  type SessionParams,
  smpSession,
} from '../../shared/smp/transmission.js';

export interface FakeSmpOptions {
  readonly crypto: Crypto;
  readonly algorithm?: 'ed25519' | 'ed448';
  readonly versions?: VersionRange;
  /** What a server signs with a wrong key or shows instead: for hostile servers. */
  readonly identity?: Identity;
  /** Certificates above the identity, the anchor last: chains of three or four. */
  readonly above?: readonly Uint8Array[];
}

export interface FakeSmpListening {
  readonly host?: string;
  /** None: a legacy server. */
  readonly alpn?: string[];
  readonly maxVersion?: 'TLSv1.2' | 'TLSv1.3';
  readonly tls?: TlsOptions;
  /** Blocks in WebSocket messages. */
  readonly webSocket?: boolean;
}

/** Answer to one NSUB: a message, several, or none. */
export type Script = (notifierId: string, connection: FakeConnection) => ServerMessage | 'silence';

export class FakeSmp {
  readonly crypto: Crypto;
  readonly identity: Identity;
  readonly versions: VersionRange;
  /** Leaf first. */
  readonly chain: readonly Uint8Array[];
  readonly connections: FakeConnection[] = [];
  /** Public keys by notifier id (hex); ids that are not in it get AUTH where `checks` is set. */
  readonly keys = new Map<string, Key<AuthAlgorithm>>();
  checks = false;
  pongs = true;
  hello = true;
  script: Script = (id, connection) => connection.subscribe(id);
  /** Its answer to a service certificate, which it asks for where this is set. */
  service: ServiceResponse | 'silence' | undefined;
  /** Notifier ids (hex) that belong to the service. */
  readonly associated = new Set<string>();
  /** Answer to NSUBS. */
  serviceScript: (connection: FakeConnection) => ServerMessage | 'silence' = () => this.contents();
  port = 0;
  /** What `dial` does instead of connecting. */
  refuse: Error | undefined;
  dials: string[] = [];
  private readonly closers: (() => void)[] = [];

  constructor(options: FakeSmpOptions) {
    const { crypto, algorithm = 'ed25519', versions = { min: 6, max: 18 }, identity, above = [] } = options;
    this.crypto = crypto;
    this.versions = versions;
    this.identity =
      identity ?? createIdentity({ algorithm, commonName: 'localhost', now: new Date('2026-01-01') });
    this.chain = [this.identity.leafCert, this.identity.caCert, ...above];
  }

  /** What it holds for the service. */
  contents(): Extract<ServerMessage, { word: 'SOKS' }> {
    const idsHash = new Uint8Array(IDS_HASH_SIZE);
    for (const id of this.associated) toggleId(this.crypto, idsHash, fromHex(id)!);
    return { word: 'SOKS', count: this.associated.size, idsHash };
  }

  get last(): FakeConnection {
    return this.connections.at(-1)!;
  }

  /** A queue at this server; `n` numbers it. */
  queue(n: number, hosts: readonly string[] = ['localhost']): SmpQueue {
    const notifierId = new Uint8Array(24);
    new DataView(notifierId.buffer).setUint32(20, n);
    return {
      server: { hosts, port: this.port === 0 ? '' : String(this.port), keyHash: this.identity.fingerprint },
      notifierId,
    };
  }

  /** Real TLS on a loopback port. */
  async listen(options: FakeSmpListening = {}): Promise<void> {
    const upgrader = options.webSocket && webSocketUpgrader((wire) => this.accept(wire));
    const server = createServer(
      {
        cert: this.chain.map((der) => toPem('CERTIFICATE', der)).join(''),
        key: toPem('PRIVATE KEY', this.identity.leafKey),
        // Real servers ask for a service's certificate and take connections without one (guide C.4).
        requestCert: true,
        rejectUnauthorized: false,
        minVersion: 'TLSv1.2',
        maxVersion: options.maxVersion ?? 'TLSv1.3',
        ecdhCurve: 'X448:X25519',
        ...(options.alpn?.length !== 0 && { ALPNProtocols: options.alpn ?? ['smp/1'] }),
        ...options.tls,
      },
      (socket) => (upgrader ? upgrader.emit('connection', socket) : this.accept(bareWire(socket))),
    );
    server.on('tlsClientError', () => {});
    await new Promise<void>((resolve) => server.listen(this.port, options.host ?? '127.0.0.1', resolve));
    this.port = (server.address() as AddressInfo).port;
    this.closers.push(() => server.close());
  }

  /** Stops listening and cuts all connections. */
  close(): void {
    for (const close of this.closers.splice(0)) close();
    for (const connection of this.connections) connection.cut();
  }

  private accept(wire: Wire): void {
    const { socket } = wire;
    socket.on('error', () => {});
    const connection = this.open(
      socket.getPeerFinished()!,
      (block) => void wire.send(block),
      () => socket.destroy(),
    );
    connection.socket = socket;
    socket.on('close', () => connection.closed());
    wire.listen((block) => connection.receive(block));
  }

  private open(sessionId: Uint8Array, write: (block: Uint8Array) => void, cut: () => void): FakeConnection {
    const connection = new FakeConnection(this, Uint8Array.from(sessionId), write, cut);
    this.connections.push(connection);
    if (this.hello) connection.greet();
    return connection;
  }

  /** Connects in memory: no network, no TLS, all in the same process and on any clock. */
  readonly dial: Dial = async ({ host }) => {
    this.dials.push(host);
    if (this.refuse) throw this.refuse;
    const sessionId = this.crypto.randomBytes(32);
    let events: TransportEvents | undefined;
    const waiting: Uint8Array[] = [];
    let paused = true;
    const deliver = (): void => {
      while (!paused && waiting.length > 0) {
        events?.heard();
        events?.block(waiting.shift()!);
      }
    };
    const connection = this.open(
      sessionId,
      (block) => {
        waiting.push(block);
        setImmediate(deliver);
      },
      () => setImmediate(() => events?.closed()),
    );
    const transport: Transport = {
      sessionId,
      chain: this.chain,
      asksCertificate: this.service !== undefined,
      listen(told) {
        events = told;
        paused = false;
        setImmediate(deliver);
      },
      pause() {
        paused = true;
      },
      send(block) {
        setImmediate(() => connection.receive(block));
        return true;
      },
      close() {
        events = undefined;
        connection.closed();
      },
    };
    return transport;
  };
}

interface Sent {
  readonly message: ServerMessage;
  readonly entityId?: Uint8Array;
  readonly corrId?: Uint8Array;
}

export class FakeConnection {
  readonly server: FakeSmp;
  /** Of one over real TLS, to misbehave below blocks. */
  socket: TLSSocket | undefined;
  readonly sessionId: Uint8Array;
  version = 0;
  /** How many NSUBs each block had. */
  readonly blocks: number[] = [];
  /** Notifier ids (hex) in the order of their NSUBs. */
  readonly subscribed: string[] = [];
  /** What the client is known by, in a session as a service. */
  service: ServiceAuth | undefined;
  /** NSUBS that came. */
  readonly services: Extract<Command, { word: 'NSUBS' }>[] = [];
  pings = 0;
  alive = true;
  /** Requests held back by the script, to be answered by `answer`. */
  readonly held: Received[] = [];
  private readonly write: (block: Uint8Array) => void;
  private readonly end: () => void;
  private readonly pair;
  private codec: BlockCodec = plainBlocks();
  private params: SessionParams | undefined;

  constructor(server: FakeSmp, sessionId: Uint8Array, write: (block: Uint8Array) => void, end: () => void) {
    this.server = server;
    this.sessionId = sessionId;
    this.write = write;
    this.end = end;
    this.pair = server.crypto.x25519KeyPair();
  }

  greet(): void {
    const { crypto, identity, versions, chain } = this.server;
    const key = decodePrivateKey(identity.leafKey) as Key<'ed25519' | 'ed448'>;
    const serverKey = {
      chain,
      signedKey: signSessionKey(crypto, key, this.pair.publicKey),
    };
    const hello = { versions, sessionId: this.sessionId, ...(versions.max >= 7 && { serverKey }) };
    this.write(plainBlocks().seal(encodeServerHello(hello)));
  }

  receive(block: Uint8Array): void {
    if (!this.alive) return;
    if (!this.params) this.begin(block);
    else this.handle(decodeBlock(this.params, this.codec.open(block)));
  }

  /** Raw bytes, to misbehave. */
  raw(bytes: Uint8Array): void {
    this.write(bytes);
  }

  /** Events or answers, as many blocks as they need. */
  send(...messages: Sent[]): void {
    for (const block of this.seal(...messages)) this.write(block);
  }

  /** The same, not sent: the next that is must be these. */
  seal(...messages: Sent[]): Uint8Array[] {
    const none = new Uint8Array(0);
    const items = messages.map(({ message, entityId = none, corrId = none }) =>
      encodeTransmission(this.params!, {
        auth: none,
        corrId,
        entityId,
        command: encodeServerMessage(message, this.version),
      }),
    );
    const batches = intoBatches(this.params!, items, SMP_BLOCK_SIZE);
    return [...batches].map((batch) => this.codec.seal(encodeBatch(this.params!, batch)));
  }

  /** Answers a request that was held back. */
  answer(request: Received, message: ServerMessage): void {
    this.send({ message, corrId: request.corrId, entityId: request.entityId });
  }

  /** As a real server: the queue joins the service of the session, or leaves the one it had. */
  subscribe(id: string): ServerMessage {
    const { service, associated } = this.server;
    if (this.version < 16) return { word: 'OK' };
    if (!this.service || !service || typeof service === 'string' || !('serviceId' in service)) {
      associated.delete(id);
      return { word: 'SOK' };
    }
    associated.add(id);
    return { word: 'SOK', serviceId: service.serviceId };
  }

  /** Another process takes the service. */
  endService(serviceId: Uint8Array): void {
    this.send({
      message: { word: 'ENDS', count: 0, idsHash: new Uint8Array(IDS_HASH_SIZE) },
      entityId: serviceId,
    });
  }

  notify(entityId: Uint8Array, metadata: Uint8Array = new Uint8Array(144).fill(7)): void {
    this.send({ message: { word: 'NMSG', nonce: new Uint8Array(24).fill(5), metadata }, entityId });
  }

  /** Breaks the connection. */
  cut(): void {
    if (!this.alive) return;
    this.alive = false;
    this.end();
  }

  closed(): void {
    this.alive = false;
  }

  private begin(block: Uint8Array): void {
    const { crypto } = this.server;
    const hello = decodeClientHello(plainBlocks().open(block));
    if (hello.service) this.meetService(hello.service);
    this.version = hello.version;
    this.params = smpSession(hello.version, this.sessionId);
    if (hello.sessionKey && encryptsBlocks(hello.version, true, hello.proxyServer === true)) {
      const secret = crypto.x25519(this.pair.privateKey, hello.sessionKey);
      this.codec = new BlockCipher(crypto, 'server', this.sessionId, secret);
    }
  }

  private meetService({ chain, signedKey }: { chain: readonly Uint8Array[]; signedKey: Uint8Array }): void {
    const { crypto, service } = this.server;
    if (service === undefined || service === 'silence') return;
    this.write(plainBlocks().seal(encodeServiceResponse(service)));
    const sessionKey = decodeSignedKey(signedKey).key.raw.slice();
    this.service = { certHash: crypto.sha256(chain[1] ?? chain[0]!), sessionKey };
  }

  private handle(requests: Received[]): void {
    const answers: { message: ServerMessage; entityId: Uint8Array; corrId: Uint8Array }[] = [];
    let nsubs = 0;
    for (const request of requests) {
      const { corrId, entityId } = request;
      const command = decodeCommand(request.command, this.version);
      const word = command?.word;
      if (word === 'PING') {
        this.pings++;
        if (this.server.pongs) answers.push({ message: { word: 'PONG' }, entityId, corrId });
      } else if (command?.word === 'NSUBS') {
        this.services.push(command as Extract<Command, { word: 'NSUBS' }>);
        const message = this.server.serviceScript(this);
        if (message === 'silence') this.held.push(request);
        else answers.push({ message, entityId, corrId });
      } else if (word === 'NSUB') {
        nsubs++;
        this.subscribed.push(toHex(entityId));
        const message = this.verdict(request);
        if (message === 'silence') this.held.push(request);
        else answers.push({ message, entityId, corrId });
      }
    }
    if (nsubs > 0) this.blocks.push(nsubs);
    if (answers.length > 0) this.send(...answers.reverse()); // any order must do
  }

  private verdict(request: Received): ServerMessage | 'silence' {
    const { crypto, keys, checks, script } = this.server;
    const id = toHex(request.entityId);
    if (checks) {
      const session = { sessionPrivateKey: this.pair.privateKey, corrId: request.corrId };
      const covered = authorizedAsReceived(this.params!, request);
      const { service } = this;
      if (service && !verifyServiceSignature(crypto, service, covered, request.serviceSig!)) {
        return { word: 'ERR', error: { kind: 'SERVICE' } };
      }
      const bytes = service ? authorizedInService(service, covered) : covered;
      if (!verifyAuth(crypto, keys.get(id), session, bytes, request.auth)) {
        return { word: 'ERR', error: { kind: 'AUTH' } };
      }
    }
    return script(id, this);
  }
}

/** A TCP port that accepts and says nothing, or this garbage. */
export async function startDeafServer(bytes?: Uint8Array): Promise<{ port: number; close: () => void }> {
  const sockets = new Set<{ destroy(): void }>();
  const server = createTcpServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    if (bytes) socket.write(bytes);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
