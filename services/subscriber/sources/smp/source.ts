/**
 * SMP servers as a source of wake-ups: one connection a server, all queues of it on that connection, many NSUBs in
 * flight. Knows nothing of devices, pushes or the gateway (design §3).
 */
import type { Crypto } from '../../../../shared/crypto/crypto.js';
import { uniform } from '../../../../shared/crypto/uniform.js';
import { toHex } from '../../../../shared/encoding/bytes.js';
import type { AuthAlgorithm, Key } from '../../../../shared/encoding/keys.js';
import type { Clock } from '../../../../shared/run/clock.js';
import type { Log } from '../../../../shared/run/log.js';
import type { Endpoint } from '../../../../shared/run/socks5.js';
import type { ServerAddress, SmpQueue } from '../../../../shared/smp/address.js';
import { ID_SIZE, KEY_HASH_SIZE, SMP_ALPN, SMP_BLOCK_SIZE } from '../../../../shared/smp/constants.js';
import type { FollowRefusal, FollowStatus, Source, SourceSink } from '../source.js';
import { AddressGuard, ForbiddenAddressError } from './address-guard.js';
import { createConnect, type Link, type Stage } from './connector.js';
import { usableHosts } from './dialler.js';
import { EarlySignals } from './early-signals.js';
import { Follower, type FollowerShared } from './follower.js';
import { Gate } from './gate.js';
import type { SmpMetrics } from './metrics.js';
import { QueueTable } from './queues.js';
import { MAX_NUMBERS, portOf, type Server, type ServerLimits, ServerTable, SHARED } from './servers.js';
import type { ServiceIdentity } from './service-identity.js';
import { Session } from './session.js';
import type { QueueState, ServerState, SpellingState } from './source-state.js';
import { tlsOpener } from './tls-socket.js';
import { tlsDial } from './tls-transport.js';
import type { Dial } from './transport.js';
import { Turns } from './turns.js';
import { dialByWays, type Way } from './ways.js';
import { webSocketDial } from './websocket-transport.js';

/** A notifier's private key, raw: Ed25519 and Ed448 as seed. */
export type NotifierKey = Key<AuthAlgorithm>;

/** Who shares a connection to a server: all, the queues of one group that `follow` names, or nobody. */
export type Isolation = 'shared' | 'device' | 'queue';

export interface SmpLimits extends ServerLimits {
  readonly queues: number;
}

const DEFAULT_QUEUES = 2_000_000;
const DEFAULT_SERVERS = 20_000;
/** Servers that never completed a handshake and are dialled at the same time. */
const STRANGERS_AT_ONCE = 64;
/** Real addresses have one or two hosts; an address may not be a way to fill memory. */
const MAX_HOSTS = 8;
/** Units of single queues; far more of them than there can be servers at once. */
const FIRST_OWN_UNIT = 2 ** 31;
const MAX_OWN_UNITS = 2 ** 30;
/** How many share a connection: one queue, a group, all. */
const SHARING: Readonly<Record<Isolation, number>> = { queue: 0, device: 1, shared: 2 };
const sharing = (unit: number): number =>
  unit === SHARED ? SHARING.shared : unit >= FIRST_OWN_UNIT ? SHARING.queue : SHARING.device;
/** Random bytes in the name of a way through the proxy. */
const CIRCUIT_SIZE = 16;

export interface SmpSourceOptions {
  readonly crypto: Crypto;
  readonly clock: Clock;
  readonly sink: SourceSink;
  readonly log: Log;
  readonly metrics: SmpMetrics;
  /** Whose certificate servers that ask for one get; without it every queue is subscribed by itself. */
  readonly service?: ServiceIdentity | undefined;
  /** A SOCKS5 proxy for all connections; .onion hosts are reached by it only. */
  readonly proxy?: Endpoint | undefined;
  /** Default `shared`. Each unit goes its own way through the proxy; the service only with `shared`. */
  readonly isolation?: Isolation;
  /** Ranges of network addresses that may be dialled beside the public Internet. */
  readonly allow?: readonly string[];
  readonly limits?: Partial<SmpLimits>;
  /** Servers that are reached by another transport or port than their addresses say. */
  readonly ways?: readonly Way[];
  /** How connections are opened; TLS over TCP, and `ways`, unless said otherwise. */
  readonly dial?: Dial;
}

export class SmpSource implements Source<SmpQueue, NotifierKey> {
  private readonly options: SmpSourceOptions;
  private readonly guard: AddressGuard;
  private readonly queues: QueueTable;
  private readonly servers: ServerTable;
  private readonly followers = new Map<Server, Follower>();
  private readonly shared: FollowerShared;
  private readonly isolation: Isolation;
  private nextUnit = 0;
  private connections = 0;
  private associated = 0;
  private closed = false;
  private isHeld = false;
  /** A predecessor's servers and spellings by its numbers, until `begin`. */
  private readonly restoredServers = new Map<number, Server>();
  private readonly restoredSpellings = new Map<number, number>();

  constructor(options: SmpSourceOptions) {
    const { crypto, clock, sink, log, metrics, service } = options;
    const { queues = DEFAULT_QUEUES, servers = DEFAULT_SERVERS } = options.limits ?? {};
    const spellings = options.limits?.spellings ?? Math.min(2 * servers, MAX_NUMBERS);
    this.options = options;
    this.guard = new AddressGuard(options.allow);
    this.queues = new QueueTable(crypto, queues);
    this.isolation = options.isolation ?? 'shared';
    if (service && this.isolation !== 'shared') throw new RangeError('a service shares its connections');
    this.servers = new ServerTable({ servers, spellings }, () => this.circuit());
    const { proxy } = options;
    const open = tlsOpener({ guard: this.guard, alpn: SMP_ALPN, certificate: service?.tls, proxy });
    const dials = { tls: tlsDial(open, SMP_BLOCK_SIZE), websocket: webSocketDial(open, SMP_BLOCK_SIZE) };
    const dial = options.dial ?? dialByWays(options.ways ?? [], dials);
    this.shared = {
      crypto,
      clock,
      log,
      sink,
      metrics,
      queues: this.queues,
      early: new EarlySignals(metrics.smp_early_signals),
      turns: new Turns(),
      gate: new Gate(STRANGERS_AT_ONCE),
      connect: createConnect({ crypto, clock, dial, service }),
      openSession: (link, events) => new Session(link, this.queues, { crypto, clock, metrics }, events),
      random: uniform(crypto),
      reachesOnion: proxy !== undefined,
      linked: (up) => this.linked(up),
      associated: (by) => this.countAssociated(by),
      isHeld: () => this.isHeld,
      ended: (follower) => this.ended(follower),
    };
  }

  follow(
    { server: address, notifierId }: SmpQueue,
    key: NotifierKey,
    ref: number,
    group?: number,
  ): { handle: number } | { refused: FollowRefusal } {
    const port = portOf(address);
    if (port === undefined || notifierId.length !== ID_SIZE || !this.reachable(address)) {
      return this.refuse('prohibited');
    }
    const place = this.closed ? undefined : this.servers.use(address, port, this.unitOf(group));
    if (!place) return this.refuse('full');
    const { server, spelling } = place;
    const row = this.queues.add({ server: server.number, spelling, notifierId, key, ref });
    if (row === undefined) {
      this.release(spelling, server);
      return this.refuse('full');
    }
    this.follower(server).add(row);
    this.count();
    return { handle: row };
  }

  unfollow(handle: number): void {
    if (this.closed) return;
    const spelling = this.queues.spelling(handle);
    const follower = this.followers.get(this.servers.serverOf(spelling))!;
    follower.remove(handle);
    this.release(spelling, follower.server);
    this.count();
  }

  address(handle: number): SmpQueue {
    return {
      server: this.servers.address(this.queues.spelling(handle)),
      notifierId: this.queues.notifierId(handle),
    };
  }

  holds(handle: number, key: NotifierKey): boolean {
    return this.queues.holds(handle, key);
  }

  /** Isolated, a queue may cost a connection all the same; but no server that nobody knew. */
  knowsServer({ server: address }: SmpQueue): boolean {
    for (const server of this.servers.find(address)) if (this.followers.get(server)?.keptUp) return true;
    return false;
  }

  *serverStates(): Iterable<ServerState> {
    for (const state of this.servers.states()) {
      const follower = this.followers.get(this.servers.at(state.number));
      yield { ...state, associations: follower?.associations.state };
    }
  }

  spellingStates(): Iterable<SpellingState> {
    return this.servers.spellingStates();
  }

  /** Arrays are views. */
  queueState(handle: number): QueueState {
    return this.queues.state(handle);
  }

  /**
   * Takes over a predecessor's server. Throws `RangeError` where there is no room for it, as the next two do, or where
   * its connection is shared by more than our isolation allows.
   */
  restoreServer(state: ServerState): void {
    if (sharing(state.unit) > SHARING[this.isolation]) throw new RangeError('shared by too many');
    const server = this.servers.restore(state);
    if (!server) throw new RangeError('no room for a server');
    this.restoredServers.set(state.number, server);
    if (state.associations) this.follower(server).associations.restore(state.associations);
    if (state.unit >= FIRST_OWN_UNIT) this.nextUnit = Math.max(this.nextUnit, state.unit - FIRST_OWN_UNIT);
  }

  restoreSpelling({ number, server, address }: SpellingState): void {
    const known = this.restoredServers.get(server);
    const spelling = known && this.servers.restoreSpelling(known, address);
    if (spelling === undefined) throw new RangeError('no room for a spelling');
    this.restoredSpellings.set(number, spelling);
  }

  /** Takes over a queue, to be followed from `begin` on; its handle. */
  restoreQueue(state: QueueState, ref: number): number {
    const spelling = this.restoredSpellings.get(state.spelling);
    if (spelling === undefined) throw new RangeError('queue of no server');
    const server = this.servers.reuse(spelling);
    const row = this.queues.restore({ server: server.number, spelling, ref }, state);
    if (row === undefined) throw new RangeError('no room for a queue');
    this.follower(server).restore(row, state.isAssociated);
    return row;
  }

  /** All was taken over: follows it. Also ends a hold. */
  begin(): void {
    this.isHeld = false;
    // Those of queues of the predecessor's own.
    for (const spelling of this.restoredSpellings.values()) this.servers.releaseUnused(spelling);
    for (const server of this.restoredServers.values())
      if (server.spellings === 0) this.followers.delete(server);
    this.restoredServers.clear();
    this.restoredSpellings.clear();
    for (const follower of this.followers.values()) follower.begin();
    this.count();
  }

  /** A successor's word on a queue, or a predecessor's last one: what the server told it. */
  mirror(handle: number, status: FollowStatus): void {
    this.followers.get(this.servers.serverOf(this.queues.spelling(handle)))?.mirror(handle, status);
  }

  /** The same where the server may have told it signals that it could not hand on. */
  mirrorMissed(handle: number): void {
    this.followers.get(this.servers.serverOf(this.queues.spelling(handle)))?.mirrorMissed(handle);
  }

  /** Subscribes nothing and dials nobody until `begin`; what comes is told as ever. */
  hold(): void {
    this.isHeld = true;
    for (const follower of this.followers.values()) follower.hold();
  }

  /** Whether all that was asked before the hold is answered. */
  get isSettled(): boolean {
    return [...this.followers.values()].every((follower) => follower.isSettled);
  }

  /** Gives up the connections that don't answer. */
  loseUnsettled(): void {
    for (const follower of this.followers.values()) if (!follower.isSettled) follower.lose();
  }

  /** A successor follows everything from now on: hears all connections out, telling `sink`. */
  async drain(sink: SourceSink, isHandedOver: (ref: number) => boolean): Promise<void> {
    this.isHeld = true;
    const followers = [...this.followers.values()];
    await Promise.all(
      followers.map((follower) => new Promise<void>((done) => follower.drain(sink, isHandedOver, done))),
    );
  }

  /** Ends the connection that this queue is followed on, if there is one; the follower makes a new one. */
  reconnect(handle: number): void {
    if (this.closed) return;
    this.followers.get(this.servers.serverOf(this.queues.spelling(handle)))!.renew();
  }

  /**
   * A connection to a server as one of its users: an ordinary one, which nothing is followed on, under the same rules
   * for addresses; where connections are isolated, on a way of its own. Rejects like `Connect`, with the last host's
   * error.
   */
  async open(address: ServerAddress, signal: AbortSignal, reached?: (stage: Stage) => void): Promise<Link> {
    const { keyHash } = address;
    const port = portOf(address);
    if (port === undefined || !this.reachable(address)) throw new ForbiddenAddressError();
    const peer = {
      keyHash,
      port,
      circuit: this.circuit(),
      ordinaryUntilMs: Number.POSITIVE_INFINITY,
      reached,
    };
    let failure: unknown;
    for (const host of usableHosts(address.hosts, this.shared.reachesOnion)) {
      try {
        return await this.shared.connect(peer, host, signal);
      } catch (error) {
        if (signal.aborted) throw error;
        failure = error;
      }
    }
    throw failure;
  }

  async close(): Promise<void> {
    this.closed = true;
    for (const follower of this.followers.values()) follower.stop();
    this.followers.clear();
    this.queues.wipe();
    this.count();
  }

  /** Whether every host could be dialled as far as its text tells; names are judged when they are resolved. */
  private reachable({ hosts, keyHash }: ServerAddress): boolean {
    if (hosts.length === 0 || hosts.length > MAX_HOSTS || keyHash.length !== KEY_HASH_SIZE) return false;
    return !hosts.some((host) => this.guard.refuses(host));
  }

  private unitOf(group: number | undefined): number {
    if (this.isolation === 'shared') return SHARED;
    return this.isolation === 'device' && group !== undefined ? group : this.ownUnit();
  }

  /** A number for one queue alone; groups are numbered from below. */
  private ownUnit(): number {
    this.nextUnit = (this.nextUnit + 1) % MAX_OWN_UNITS;
    return FIRST_OWN_UNIT + this.nextUnit;
  }

  /** Name of a new way through the proxy. */
  private circuit(): string | undefined {
    return this.isolation === 'shared' ? undefined : toHex(this.options.crypto.randomBytes(CIRCUIT_SIZE));
  }

  private refuse(refused: FollowRefusal): { refused: FollowRefusal } {
    this.options.metrics.smp_refused_total.inc({ reason: refused });
    return { refused };
  }

  private follower(server: Server): Follower {
    let follower = this.followers.get(server);
    if (!follower) {
      follower = new Follower(server, this.shared);
      this.followers.set(server, follower);
    }
    return follower;
  }

  private release(spelling: number, server: Server): void {
    this.servers.release(spelling);
    if (server.spellings === 0 && !this.followers.has(server)) this.servers.remove(server);
  }

  private ended(follower: Follower): void {
    if (this.followers.get(follower.server) !== follower) return; // it has been told already
    this.followers.delete(follower.server);
    if (follower.server.spellings === 0) this.servers.remove(follower.server);
    this.count();
  }

  private linked(up: boolean): void {
    this.connections += up ? 1 : -1;
    this.options.metrics.smp_connections.set(this.connections);
  }

  private countAssociated(by: 1 | -1): void {
    this.associated += by;
    this.options.metrics.smp_associated_queues.set(this.associated);
  }

  private count(): void {
    const { metrics } = this.options;
    metrics.smp_queues.set(this.queues.size);
    metrics.smp_servers.set(this.followers.size);
  }
}
