/**
 * The side of the hand-over that is replaced (README.md): proves itself, holds still, copies, makes way, commits, and
 * then only hands on what messaging servers still say. Until the successor has taken over any failure, of whichever
 * side, lets it serve on as if nothing had been.
 */
import type { Socket } from 'node:net';
import type { Crypto, KeyPair } from '../../../shared/crypto/crypto.js';
import { DecodeError } from '../../../shared/encoding/reader.js';
import { Writer } from '../../../shared/encoding/writer.js';
import { type Clock, sleep } from '../../../shared/run/clock.js';
import type { Log } from '../../../shared/run/log.js';
import type { MetricHandles } from '../../../shared/run/metrics.js';
import { FIRST_OWN_REF } from '../probe/queue-watch.js';
import type { SourceSink } from '../sources/source.js';
import { Channel, FOR_EVER, HandOverError } from './channel.js';
import { Forwarder } from './events.js';
import {
  decodeHello,
  decodeNames,
  encodeBegin,
  encodeChallenge,
  FORMAT,
  type NamedAddress,
  NONCE_SIZE,
} from './frames.js';
import type { Gate } from './gate.js';
import type { Journal } from './journal.js';
import type { handOverMetrics } from './metrics.js';
import { sign, verify } from './proof.js';
import { exportState, type Parts } from './state.js';
import { type Event, next, STATES, type State } from './states.js';

/** For answers of messaging servers that are awaited; a server that gives none is asked again by the successor. */
const SETTLE_MS = 3_000;
const LOOK_MS = 10;
/** From the last piece to the successor's word that it holds everything, and then to its word that it listens. */
const READY_MS = 30_000;

export interface PredecessorOptions {
  readonly crypto: Crypto;
  readonly clock: Clock;
  readonly identity: KeyPair;
  readonly log: Log;
  readonly metrics: MetricHandles<typeof handOverMetrics>;
  readonly parts: Parts;
  readonly gate: Gate;
  readonly journal: Journal;
  /** Where the source's reports go: what it hears last, too. */
  readonly sink: SourceSink;
  readonly doors: PredecessorDoors;
  /** Lets go of clients, listeners, control socket, pushes and secrets: another process is the subscriber. */
  readonly release: () => Promise<void>;
}

/** What is listened on, and what of that a successor may have. See `Doors`. */
export interface PredecessorDoors {
  readonly addresses: readonly NamedAddress[];
  lend(names: readonly string[]): void;
  takeBack(clock: Clock): Promise<void>;
}

export class Predecessor {
  /** Resolves when the successor needs us no longer. */
  readonly gone: Promise<void>;
  private readonly options: PredecessorOptions;
  private readonly watchers = new Set<(state: State) => void>();
  private readonly finish: () => void;
  private state: State = 'serving';
  private channel: Channel | undefined;
  private isStaying = false;
  /** The process is to end. */
  private isEnding = false;
  /** Only the successor knows who serves: it was told that it is the subscriber, and has not answered yet. */
  private isCommitted = false;
  /** Sockets that were lent are not all back. */
  private isTakingBack = false;

  constructor(options: PredecessorOptions) {
    let finish = (): void => {};
    this.gone = new Promise((resolve) => {
      finish = resolve;
    });
    this.options = options;
    this.finish = finish;
  }

  /** Whether another process is the subscriber. */
  get isReplaced(): boolean {
    return this.state === 'draining' || this.state === 'gone';
  }

  /** Tells each state from now on; returns how to end that. */
  watch(tell: (state: State) => void): () => void {
    this.watchers.add(tell);
    return () => this.watchers.delete(tell);
  }

  /** A successor asks on this connection. Settles when all is over. */
  readonly serve = async (socket: Socket): Promise<void> => {
    const channel = new Channel(socket, this.options.clock);
    if (this.isStaying || this.isEnding || this.isTakingBack || !this.step('asked')) {
      channel.abort('busy');
      return;
    }
    this.channel = channel;
    try {
      await this.authenticate(channel);
      this.step('proved');
      const names = await this.copy(channel);
      this.step('copied');
      await this.makeWay(channel, names);
    } catch (error) {
      this.resume(channel, reasonOf(error, this.options.log));
      return;
    }
    await this.handOver(channel);
  };

  /** Ends what is under way, when the process is told to stop. */
  close(): void {
    this.isEnding = true;
    this.channel?.abort('stopped');
  }

  /** No successor from now on; false where one has, or may have, all that we held. */
  stay(): boolean {
    if (this.isReplaced || this.isCommitted) return false;
    this.isStaying = true;
    this.channel?.abort('stopped');
    return true;
  }

  private async authenticate(channel: Channel): Promise<void> {
    const { crypto, identity } = this.options;
    const { min, max, nonce: successorNonce } = decodeHello(await channel.expect('hello'));
    if (FORMAT < min || FORMAT > max) throw new HandOverError('version');
    const nonce = crypto.randomBytes(NONCE_SIZE);
    const exchange = { format: FORMAT, successorNonce, predecessorNonce: nonce };
    const signature = sign(crypto, identity, 'predecessor', exchange);
    await channel.send('challenge', encodeChallenge({ format: FORMAT, nonce: nonce.slice(), signature }));
    const proof = await channel.expect('proof');
    if (!verify(crypto, identity, 'successor', exchange, proof)) throw new HandOverError('key');
  }

  /** From here on nothing that we remember changes. The names of listeners whose addresses the successor needs. */
  private async copy(channel: Channel): Promise<string[]> {
    const { parts, gate, journal, clock, doors } = this.options;
    parts.source.hold();
    await this.settle();
    gate.hold();
    journal.hold();
    await sleep(clock, 0); // what was let in before has run to its end
    await channel.send('begin', encodeBegin(clock.monotonic(), doors.addresses));
    let count = 0;
    for (const { piece, records } of exportState(parts)) {
      count += records;
      await channel.send('state', piece);
    }
    await channel.send('end', new Writer().u32(count).done());
    return decodeNames(await channel.expect('ready', READY_MS));
  }

  /**
   * The successor proves that it can listen before it is the subscriber. Once it was told that it is, it says so before
   * it does anything else: if it ends without that word, it has done nothing.
   */
  private async makeWay(channel: Channel, names: readonly string[]): Promise<void> {
    this.options.doors.lend(names);
    await channel.send('free');
    await channel.expect('listening', READY_MS);
    this.isCommitted = true;
    channel.post('commit');
    await channel.expect('taken', FOR_EVER);
  }

  /** An NSUB that is answered after the successor's would take its queue back: none may be under way. */
  private async settle(): Promise<void> {
    const { parts, clock } = this.options;
    const until = clock.monotonic() + SETTLE_MS;
    while (!parts.source.isSettled && clock.monotonic() < until) await sleep(clock, LOOK_MS);
    parts.source.loseUnsettled();
    while (!parts.source.isSettled) await sleep(clock, LOOK_MS); // rows go back, a piece a turn
  }

  private resume(channel: Channel, reason: HandOverError['reason']): void {
    const { parts, gate, journal, log, metrics } = this.options;
    log.warn('hand-over failed', { reason, kind: this.state });
    channel.abort(reason);
    this.channel = undefined;
    // It may serve already: we stay still until our end.
    if (this.isCommitted && this.isEnding) return;
    this.isCommitted = false;
    gate.release();
    journal.release();
    parts.source.begin();
    metrics.handover_total.inc({ outcome: 'failed' });
    this.step('failed');
    if (!this.isEnding) void this.takeBack();
  }

  private async takeBack(): Promise<void> {
    const { doors, clock, log } = this.options;
    this.isTakingBack = true;
    await doors.takeBack(clock);
    this.isTakingBack = false;
    log.info('listening again');
  }

  /** No way back: what is kept goes to the successor, and then everything that comes. */
  private async handOver(channel: Channel): Promise<void> {
    const { parts, journal, sink, metrics, release, log } = this.options;
    const forwarder = new Forwarder(channel, metrics);
    this.step('committed');
    channel.lost(() => !this.isOver && log.error('the successor ended'));
    journal.release(forwarder);
    await release().catch(() => log.error('not everything could be let go of'));
    forwarder.flush();
    channel.post('released');
    const isLost = new Promise<void>((resolve) => channel.lost(resolve));
    await Promise.race([parts.source.drain(sink, isOfPhone), isLost]);
    forwarder.flush();
    this.step('drained');
    channel.post('finished');
    metrics.handover_total.inc({ outcome: 'done' });
    await Promise.all([channel.close(), parts.source.close()]);
    this.finish();
  }

  private get isOver(): boolean {
    return this.state === 'gone';
  }

  private step(event: Event): boolean {
    const state = next(this.state, event);
    if (state === undefined) return false;
    this.state = state;
    this.options.metrics.handover_state.set(STATES.indexOf(state));
    this.options.log.info('hand-over', { kind: state });
    for (const tell of this.watchers) tell(state);
    return true;
  }
}

/** Our own queues end with us. */
const isOfPhone = (ref: number): boolean => ref < FIRST_OWN_REF;

function reasonOf(error: unknown, log: Log): HandOverError['reason'] {
  if (error instanceof HandOverError) return error.reason;
  if (error instanceof DecodeError) return 'frame';
  log.error('hand-over failed by a bug', { kind: error instanceof Error ? error.name : 'unknown' });
  return 'state';
}
