/** Connections without a network: a test answers each request itself. */
import type {
  Answer,
  Connection,
  ConnectionListener,
  Dial,
  Exchange,
} from '../../../services/gateway/apns/connection.js';

export class FakeConnection implements Connection {
  maxStreams = 0;
  isDestroyed = false;
  isDraining = false;
  /** Whether PINGs are answered. */
  isAlive = true;
  readonly waiting: { exchange: Exchange; authorization: string }[] = [];
  readonly cancelled: Exchange[] = [];
  private readonly listener: ConnectionListener;

  constructor(listener: ConnectionListener) {
    this.listener = listener;
  }

  send(authorization: string, exchange: Exchange): boolean {
    if (this.isDestroyed || this.isDraining) return false;
    this.waiting.push({ exchange, authorization });
    return true;
  }

  cancel(exchange: Exchange): void {
    this.cancelled.push(exchange);
    const at = this.waiting.findIndex((each) => each.exchange === exchange);
    if (at >= 0) this.waiting.splice(at, 1);
  }

  ping(pong: () => void): void {
    if (this.isAlive) queueMicrotask(pong);
  }

  drain(): void {
    this.isDraining = true;
    this.maxStreams = 0;
  }

  destroy(): void {
    if (this.isDestroyed) return;
    this.isDestroyed = true;
    this.maxStreams = 0;
    queueMicrotask(() => this.lose());
  }

  settings(maxStreams: number): void {
    this.maxStreams = maxStreams;
    this.listener.settings();
  }

  goaway(reason?: string): void {
    this.maxStreams = 0;
    this.listener.goaway(reason);
  }

  /** Answers the oldest request. */
  answer(answer: Answer): void {
    this.waiting.shift()!.exchange.answered(answer);
  }

  status(status: number, reason?: string, more: Partial<Extract<Answer, { kind: 'response' }>> = {}): void {
    this.answer({ kind: 'response', status, reason, ...more });
  }

  /** The connection ends; what was on it has an unknown outcome. */
  lose(code?: string): void {
    this.isDestroyed = true;
    this.maxStreams = 0;
    for (const { exchange } of this.waiting.splice(0)) exchange.answered({ kind: 'unknown' });
    this.listener.closed(code);
  }
}

/** A dial that keeps every connection it made, in order. */
export function fakeDial(): { dial: Dial; made: FakeConnection[] } {
  const made: FakeConnection[] = [];
  const dial: Dial = (listener) => {
    const connection = new FakeConnection(listener);
    made.push(connection);
    return connection;
  };
  return { dial, made };
}
