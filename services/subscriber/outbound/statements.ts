/**
 * Holds the gateway's statement (relay.md §1): fetches it, checks it against the fingerprint in the address, renews
 * it before it ends. Nothing unchecked leaves this file. The fetch itself carries no secret and may therefore use a
 * connection that is not trusted yet; the answer counts only if it vouches for that connection.
 */
import type { Crypto } from '../../../shared/crypto/crypto.js';
import { fromUtf8, sameBytes } from '../../../shared/encoding/bytes.js';
import { PATHS } from '../../../shared/relay/constants.js';
import {
  checkStatement,
  type GatewayStatement,
  type StatementRefusal,
} from '../../../shared/relay/statement.js';
import { Backoff } from '../../../shared/run/backoff.js';
import type { Clock, Timer } from '../../../shared/run/clock.js';
import type { Log } from '../../../shared/run/log.js';
import type { MetricHandles } from '../../../shared/run/metrics.js';
import { type ConnectorOptions, createConnector, type TlsPeer } from './connector.js';
import { NO_TIMEOUTS, request } from './http.js';
import type { linkMetrics } from './metrics.js';
import { Client } from './undici.js';

export interface StatementsOptions {
  /** From the gateway's address. */
  readonly fingerprint: string;
  readonly origin: string;
  readonly connector: Omit<ConnectorOptions, 'trust'>;
  readonly crypto: Crypto;
  readonly clock: Clock;
  /** Unix seconds by the gateway's clock. */
  readonly now: () => number;
  readonly log: Log;
  readonly metrics: MetricHandles<typeof linkMetrics>;
  readonly random: () => number;
}

const FETCH_TIMEOUT_MS = 10_000;
/** A statement is asked for again after half of what is left of its time, within these bounds. */
const RENEW_MIN_MS = 60_000;
const RENEW_MAX_MS = 3_600_000;
const RETRY_MIN_MS = 10_000;
const RETRY_MAX_MS = 600_000;

/** What became of a fetched statement. */
export type StatementJudgement = 'accepted' | 'unreachable' | StatementRefusal;

export class Statements {
  private readonly options: StatementsOptions;
  private readonly retries: Backoff;
  private held: GatewayStatement | undefined;
  private running: Promise<StatementJudgement> | undefined;
  private timer: Timer | undefined;
  private closed = false;

  constructor(options: StatementsOptions) {
    this.options = options;
    this.retries = new Backoff({ minMs: RETRY_MIN_MS, maxMs: RETRY_MAX_MS, random: options.random });
  }

  /** The statement in force; undefined before the first, and where the last has expired. */
  get current(): GatewayStatement | undefined {
    return this.held && this.held.validUntil > this.options.now() ? this.held : undefined;
  }

  /** An ordinary certificate will do; another key only if the statement in force names it. */
  trusts(peer: TlsPeer): boolean {
    const statement = this.current;
    if (statement === undefined) return false;
    return (
      peer.authorized || (statement.tlsSpki !== undefined && sameBytes(statement.tlsSpki, peer.spkiHash))
    );
  }

  /** Fetches the statement now. Calls meanwhile share one fetch. */
  refresh(): Promise<StatementJudgement> {
    this.running ??= this.fetch().finally(() => {
      this.running = undefined;
    });
    return this.running;
  }

  close(): void {
    this.closed = true;
    this.timer?.cancel();
  }

  private async fetch(): Promise<StatementJudgement> {
    const result = await this.ask();
    if (this.closed) return result;
    this.options.metrics.link_statements_total.inc({ result });
    if (result === 'accepted') this.retries.reset();
    else this.options.log.warn('gateway statement not accepted', { reason: result });
    this.timer?.cancel();
    this.timer = this.options.clock.after(this.renewMs(result), () => void this.refresh());
    return result;
  }

  private renewMs(result: StatementJudgement): number {
    if (result !== 'accepted' || this.held === undefined) return this.retries.next();
    const half = ((this.held.validUntil - this.options.now()) * 1000) / 2;
    return Math.min(RENEW_MAX_MS, Math.max(RENEW_MIN_MS, half));
  }

  /** One GET over a connection of its own, whatever key that shows. */
  private async ask(): Promise<StatementJudgement> {
    let peer: TlsPeer | undefined;
    const trust = (shown: TlsPeer): boolean => {
      peer = shown;
      return true;
    };
    const { origin, connector, clock } = this.options;
    const client = new Client(origin, { connect: createConnector({ ...connector, trust }), ...NO_TIMEOUTS });
    try {
      const wanted = {
        method: 'GET',
        path: PATHS.gateway,
        headers: {},
        timeoutMs: FETCH_TIMEOUT_MS,
      } as const;
      const { status, body } = await request(client, clock, wanted);
      return status === 200 && peer !== undefined ? this.accept(fromUtf8(body), peer) : 'unreachable';
    } catch {
      return 'unreachable';
    } finally {
      client.destroy().catch(() => {});
    }
  }

  private accept(document: string, peer: TlsPeer): 'accepted' | StatementRefusal {
    const { crypto, fingerprint, now } = this.options;
    const result = checkStatement(crypto, document, {
      fingerprint,
      now: now(),
      ...(this.held && { seenIssuedAt: this.held.issuedAt }),
      ...(!peer.authorized && { tlsSpki: peer.spkiHash }),
    });
    if ('refused' in result) return result.refused;
    this.held = result.statement;
    return 'accepted';
  }
}
