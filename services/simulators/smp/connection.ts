/** One client's wire: handshake (guide C, server's side), then blocks to and from its session. */
import { type Crypto, CryptoError, type KeyPair } from '../../../shared/crypto/crypto.js';
import { type Bytes, sameBytes } from '../../../shared/encoding/bytes.js';
import type { Key } from '../../../shared/encoding/keys.js';
import { DecodeError } from '../../../shared/encoding/reader.js';
import type { Clock, Timer } from '../../../shared/run/clock.js';
import { BlockCipher, type BlockCodec, encryptsBlocks, plainBlocks } from '../../../shared/smp/block.js';
import {
  LEGACY_SMP_VERSIONS,
  SINCE,
  SMP_BLOCK_SIZE,
  type VersionRange,
} from '../../../shared/smp/constants.js';
import {
  decodeClientHello,
  encodeServerHello,
  encodeServiceResponse,
  type SigningAlgorithm,
  type SmpClientHello,
  signSessionKey,
} from '../../../shared/smp/handshake.js';
import { smpSession } from '../../../shared/smp/transmission.js';
import type { Broker } from './broker.js';
import type { SmpCounters } from './counters.js';
import type { BlockFault, FaultScript } from './faults.js';
import type { SmpIdentity } from './identity.js';
import type { SmpLimits, SmpTiming } from './options.js';
import { Outbox } from './outbox.js';
import { clientChain, type ServiceSession } from './services.js';
import { SmpSession } from './session.js';
import type { Wire } from './wire.js';

/** What all connections of the stand-in share. */
export interface ConnectionParts {
  readonly crypto: Crypto;
  readonly clock: Clock;
  readonly timing: SmpTiming;
  readonly limits: SmpLimits;
  readonly identity: SmpIdentity;
  /** SHA-256 of the identity certificate. */
  readonly keyHash: Uint8Array;
  readonly signingKey: Key<SigningAlgorithm>;
  readonly versions: VersionRange;
  readonly broker: Broker;
  readonly faults: FaultScript;
  readonly counters: SmpCounters;
}

export class Connection {
  private readonly wire: Wire;
  private readonly parts: ConnectionParts;
  private readonly outbox: Outbox;
  private readonly versions: VersionRange;
  /** tls-unique: the client's Finished message (guide B.5). */
  private readonly sessionId: Uint8Array;
  private readonly sessionKey: KeyPair | undefined;
  private readonly deadline: Timer;
  private codec: BlockCodec | undefined;
  private session: SmpSession | undefined;
  private blocks = 0;

  constructor(wire: Wire, parts: ConnectionParts) {
    const { socket } = wire;
    this.wire = wire;
    this.parts = parts;
    this.versions = socket.alpnProtocol ? parts.versions : LEGACY_SMP_VERSIONS;
    this.sessionId = Uint8Array.from(socket.getPeerFinished() ?? []);
    this.sessionKey = this.versions.max >= SINCE.serverKey ? parts.crypto.x25519KeyPair() : undefined;
    const { clock, limits, timing } = parts;
    this.outbox = new Outbox({ wire, clock, limit: limits.sendQueue, onRoom: () => wire.resume() });
    this.deadline = clock.after(timing.handshakeMs, () => this.close());
    socket.setNoDelay(true);
    wire.listen((block) => this.read(block));
    socket.on('error', () => {}); // 'close' follows
    socket.on('close', () => this.closed());
    this.outbox.push(plainBlocks().seal(this.hello()));
  }

  close(): void {
    this.wire.socket.destroy();
  }

  private hello(): Uint8Array {
    const { versions, sessionId, sessionKey } = this;
    if (!sessionKey) return encodeServerHello({ versions, sessionId });
    const { crypto, identity, signingKey } = this.parts;
    const signedKey = signSessionKey(crypto, signingKey, sessionKey.publicKey);
    const chain = [identity.leafCert, identity.caCert];
    return encodeServerHello({ versions, sessionId, serverKey: { chain, signedKey } });
  }

  private read(block: Bytes): void {
    if (this.wire.socket.destroyed) return;
    if (!this.session) this.shakeHands(block);
    else this.work(this.session, block);
    if (this.outbox.full) this.wire.pause();
  }

  private shakeHands(block: Bytes): void {
    const hello = readHello(block);
    if (!hello || !this.accepts(hello)) {
      this.close();
      return;
    }
    this.deadline.cancel();
    const service = hello.service && this.accept(hello.service);
    if (service === 'refused') return;
    this.codec = this.codecFor(hello);
    if (!this.codec) {
      this.close();
      return;
    }
    this.session = this.open(hello.version, this.codec, service);
    this.parts.counters.sessions++;
    this.fault(this.parts.faults.takeBlock(0));
  }

  private accepts({ version, keyHash }: SmpClientHello): boolean {
    const known = version >= this.versions.min && version <= this.versions.max;
    return known && sameBytes(keyHash, this.parts.keyHash);
  }

  /** The third message: the service's id, or why it is none, and the end. */
  private accept(offered: NonNullable<SmpClientHello['service']>): ServiceSession | 'refused' {
    const accepted = this.parts.broker.services.accept(offered, clientChain(this.wire.socket));
    const response = 'kind' in accepted ? { error: accepted } : { serviceId: accepted.id };
    this.outbox.push(plainBlocks().seal(encodeServiceResponse(response)));
    if (!('kind' in accepted)) return accepted;
    this.wire.socket.end();
    return 'refused';
  }

  private open(version: number, codec: BlockCodec, service: ServiceSession | undefined): SmpSession {
    const { crypto, broker, faults, counters } = this.parts;
    const { outbox, sessionId, sessionKey } = this;
    return new SmpSession({
      crypto,
      version,
      params: smpSession(version, sessionId),
      codec,
      privateKey: sessionKey?.privateKey,
      service,
      broker,
      faults,
      counters,
      send: (block, notifications) => outbox.push(block, notifications),
      full: () => outbox.full,
    });
  }

  /** Undefined for one of the few keys that make no secret. */
  private codecFor({ version, sessionKey, proxyServer = false }: SmpClientHello): BlockCodec | undefined {
    if (!this.sessionKey || !sessionKey || !encryptsBlocks(version, true, proxyServer)) return plainBlocks();
    const { crypto } = this.parts;
    try {
      const secret = crypto.x25519(this.sessionKey.privateKey, sessionKey);
      return new BlockCipher(crypto, 'server', this.sessionId, secret);
    } catch (error) {
      if (error instanceof CryptoError) return undefined;
      throw error;
    }
  }

  private work(session: SmpSession, block: Bytes): void {
    const { faults } = this.parts;
    const fault = faults.takeBlock(++this.blocks);
    if (fault) {
      this.fault(fault);
      return;
    }
    const delayMs = faults.takeDelay();
    if (delayMs > 0) this.outbox.hold(delayMs);
    session.receive(block);
  }

  private fault(fault: BlockFault | undefined): void {
    if (fault === 'drop') this.close();
    if (fault === 'garbage') this.outbox.push(this.parts.crypto.randomBytes(SMP_BLOCK_SIZE));
    if (fault === 'stall') {
      this.outbox.stall();
      this.wire.pause();
    }
  }

  private closed(): void {
    this.deadline.cancel();
    this.codec?.close();
    this.parts.counters.notificationsLost += this.outbox.close();
    if (this.session) this.parts.broker.drop(this.session);
  }
}

function readHello(block: Bytes): SmpClientHello | undefined {
  try {
    return decodeClientHello(plainBlocks().open(block));
  } catch (error) {
    if (error instanceof DecodeError) return undefined;
    throw error;
  }
}
