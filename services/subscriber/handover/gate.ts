/**
 * Holds still what the subscriber remembers while it is copied. Registry and wake engine change only when a client, a
 * messaging server, a timer or a gateway's answer comes in; so each of these ways in leads through the gate, and while
 * it is held nothing comes through. Then nothing can be forgotten in a copy, whoever adds a field. Signals don't wait
 * here: see `journal.ts`.
 */
import type { Frame, Outcome } from '../../../shared/relay/batch.js';
import type { Clock } from '../../../shared/run/clock.js';
import type { GatewayLink } from '../outbound/gateway-link.js';

export class Gate {
  private waiting: (() => void)[] | undefined;

  get isHeld(): boolean {
    return this.waiting !== undefined;
  }

  /** Lets nothing through until `release`. */
  hold(): void {
    this.waiting ??= [];
  }

  /** Lets through what waited, in its order, and all that comes. */
  release(): void {
    const waiting = this.waiting ?? [];
    this.waiting = undefined;
    for (const enter of waiting) enter();
  }

  /** Runs `enter` now, or when released. Bounded by timers and requests there are. */
  pass(enter: () => void): void {
    if (this.waiting === undefined) enter();
    else this.waiting.push(enter);
  }

  /** Settles when released; undefined where nothing is held. */
  readonly passed = (): Promise<void> | undefined =>
    this.isHeld ? new Promise((resolve) => this.pass(resolve)) : undefined;
}

/** A successor's monotonic time goes on where its predecessor's stands, so that no time that it takes over changes. */
export const shiftedClock = (clock: Clock, shiftMs: number): Clock => ({
  now: () => clock.now(),
  monotonic: () => clock.monotonic() + shiftMs,
  after: (ms, run) => clock.after(ms, run),
});

/** Timers that are due while the gate is held run when it is released. */
export const gatedClock = (clock: Clock, gate: Gate): Clock => ({
  now: () => clock.now(),
  monotonic: () => clock.monotonic(),
  after(ms, run) {
    let isCancelled = false;
    const timer = clock.after(ms, () => gate.pass(() => isCancelled || run()));
    return {
      cancel() {
        isCancelled = true;
        timer.cancel();
      },
    };
  },
});

/** Answers that come while the gate is held are given when it is released; the gateway seems to be away meanwhile. */
export function gatedLink(link: GatewayLink, gate: Gate): GatewayLink {
  const gated = <T>(answer: Promise<T>): Promise<T> =>
    new Promise((resolve, reject) => {
      answer.then(
        (value) => gate.pass(() => resolve(value)),
        (error: unknown) => gate.pass(() => reject(error)),
      );
    });
  return {
    get facts() {
      return link.facts;
    },
    get available() {
      return !gate.isHeld && link.available;
    },
    onAvailable: (listener) => link.onAvailable(() => gate.pass(listener)),
    exchange: (sealedToken) => gated(link.exchange(sealedToken)),
    prove: (capability, code) => gated(link.prove(capability, code)),
    renew: (capability) => gated(link.renew(capability)),
    revoke: (capability) => gated(link.revoke(capability)),
    push: (frame: Frame): Promise<Outcome> => gated(link.push(frame)),
    askStatement: () => link.askStatement(),
    hello: () => link.hello(),
    close: () => link.close(),
  };
}
