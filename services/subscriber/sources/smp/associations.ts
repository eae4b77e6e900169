/**
 * What one server is believed to hold of our service: how many queues, and the hash of their ids (design §3). A
 * reconnection then takes one command instead of one a queue, and its answer shows where both sides disagree. Which
 * queues these are is a bit in their rows; here are the sums, and what follows from them.
 */
import type { Crypto } from '../../../../shared/crypto/crypto.js';
import { sameBytes } from '../../../../shared/encoding/bytes.js';
import type { Clock } from '../../../../shared/run/clock.js';
import type { Log } from '../../../../shared/run/log.js';
import { IDS_HASH_SIZE, SINCE } from '../../../../shared/smp/constants.js';
import { toggleId } from '../../../../shared/smp/ids-hash.js';
import type { Link } from './connector.js';
import type { SmpMetrics } from './metrics.js';
import { FLAG, type QueueTable } from './queues.js';
import type { Server } from './servers.js';
import type { AssociationsState } from './source-state.js';

const DAY_MS = 24 * 3_600_000;

export interface ServiceContents {
  readonly count: number;
  /** Exclusive-or of MD5(notifierId); servers tell it from version 19 on. */
  readonly idsHash?: Uint8Array;
}

/** What an answer to NSUBS says of the server's side, `failed` where it is no success. */
type Verdict = 'same' | 'fewer' | 'more' | 'different' | 'failed';

export interface AssociationsShared {
  readonly crypto: Crypto;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: SmpMetrics;
  readonly queues: QueueTable;
  /** One queue more, or fewer, is subscribed with our service. */
  readonly associated: (by: 1 | -1) => void;
}

export class Associations {
  private readonly server: Server;
  private readonly shared: AssociationsShared;
  private readonly hash = new Uint8Array(IDS_HASH_SIZE);
  private count = 0;
  private serviceId: Uint8Array | undefined;
  private fromBefore = false;
  private hasHash = false;
  /** When every associated queue was last asked for by itself, or there was none. */
  private checkedMs = 0;

  constructor(server: Server, shared: AssociationsShared) {
    this.server = server;
    this.shared = shared;
  }

  /** A connection came up. The server may have forgotten the service: then its id is another one (guide G.3). */
  connected({ service, serviceRefused, version }: Link): void {
    const { smp_service_sessions_total: sessions } = this.shared.metrics;
    if (service) sessions.inc({ outcome: 'accepted' });
    if (serviceRefused) sessions.inc({ outcome: 'refused' });
    if (serviceRefused) this.leave();
    this.hasHash = version >= SINCE.serviceHash;
    this.fromBefore = service !== undefined && this.isOurs(service.id);
    this.serviceId = service?.id;
    if (!this.fromBefore) this.checked();
  }

  /** From now on for a day the server gets no certificate: the next session is an ordinary one. */
  leave(): void {
    this.server.ordinaryUntilMs = this.shared.clock.monotonic() + DAY_MS;
  }

  /** Whether the session is one of the service. */
  get inService(): boolean {
    return this.serviceId !== undefined;
  }

  /** Whether associations made on an earlier connection are worth anything on this one. */
  get held(): boolean {
    return this.fromBefore;
  }

  /** Whether a SOK with this id associates its queue with us. */
  isOurs(serviceId: Uint8Array | undefined): boolean {
    return this.serviceId !== undefined && serviceId !== undefined && sameBytes(serviceId, this.serviceId);
  }

  /** What a successor must know beside the queues; undefined outside of a service. The id is a view. */
  get state(): AssociationsState | undefined {
    const { serviceId, hasHash, checkedMs } = this;
    return serviceId && { serviceId, hasHash, checkedMs };
  }

  restore({ serviceId, hasHash, checkedMs }: AssociationsState): void {
    this.serviceId = serviceId.slice();
    this.hasHash = hasHash;
    this.checkedMs = checkedMs;
  }

  /** What the server should hold. */
  get expected(): Required<ServiceContents> {
    return { count: this.count, idsHash: this.hash };
  }

  /** Notes whether the server holds this queue with our service. */
  set(row: number, on: boolean): void {
    const { crypto, queues, associated } = this.shared;
    if (queues.has(row, FLAG.associated) === on) return;
    queues.set(row, FLAG.associated, on);
    const by = on ? 1 : -1;
    this.count += by;
    toggleId(crypto, this.hash, queues.notifierId(row));
    associated(by);
  }

  /**
   * Whether each associated queue must be asked for by itself after this answer to NSUBS. Missing ones at once; what
   * only asking for all of them could show, at most once a day: servers also hold queues that were unfollowed here.
   */
  mustAskEach(contents: ServiceContents | undefined): boolean {
    const { metrics, log } = this.shared;
    const verdict = this.judge(contents);
    metrics.smp_service_answers_total.inc({ outcome: verdict });
    if (verdict !== 'same') log.warn('a server holds other queues of our service', { kind: verdict });
    if (verdict === 'failed' || verdict === 'fewer') return true;
    return (verdict !== 'same' || !this.hasHash) && this.nextCheckMs === 0;
  }

  private judge(contents: ServiceContents | undefined): Verdict {
    if (!contents) return 'failed';
    if (contents.count !== this.count) return contents.count < this.count ? 'fewer' : 'more';
    return contents.idsHash && !sameBytes(contents.idsHash, this.hash) ? 'different' : 'same';
  }

  /** Each associated queue is being asked for. */
  checked(): void {
    this.checkedMs = this.shared.clock.monotonic();
  }

  /** Whether only asking for each queue shows what the server has forgotten: before version 19 it tells no hash. */
  get needsDailyCheck(): boolean {
    return this.inService && !this.hasHash;
  }

  /** Milliseconds until each may be asked for again without a queue missing. */
  get nextCheckMs(): number {
    return Math.max(0, this.checkedMs + DAY_MS - this.shared.clock.monotonic());
  }
}
