/** Faults as data: rules that say what goes wrong, for which pushes or connections, and how often. */

export type Fault =
  /** The answer comes later. */
  | { readonly latencyMs: number }
  | {
      readonly answer: {
        readonly status: number;
        readonly reason: string;
        readonly retryAfterSeconds?: number;
      };
    }
  /** RST_STREAM; `processed` = Apple did the work before (never with `refused`). */
  | { readonly reset: 'refused' | 'cancel' | 'internal'; readonly processed?: boolean }
  /** Never answered. */
  | { readonly stall: true; readonly processed?: boolean }
  /** The connection is cut. */
  | { readonly cut: true; readonly processed?: boolean }
  /** The connection goes silent and stays open: nothing is read or written any more. */
  | { readonly silence: true }
  /** GOAWAY with JSON; the last `back` streams count as not processed. A code other than 0 is an error. */
  | { readonly goaway: { readonly reason?: string; readonly back?: number; readonly code?: number } }
  /** Connections only: closed as soon as it is accepted. */
  | { readonly refuse: true };

export interface FaultRule {
  readonly on: 'push' | 'connection';
  readonly topic?: string;
  readonly token?: string;
  /** Lets the first so many matches pass. */
  readonly skip?: number;
  /** Then acts on every n-th match, beginning with the first. */
  readonly every?: number;
  /** How often it acts; without it, always. */
  readonly times?: number;
  readonly fault: Fault;
}

export interface FaultEvent {
  readonly on: 'push' | 'connection';
  readonly topic?: string | undefined;
  readonly token?: string | undefined;
}

/** More rules than allowed. */
export class ScriptError extends Error {
  override readonly name = 'ScriptError';
}

export class Script {
  private rules: { readonly rule: FaultRule; seen: number; acted: number }[] = [];
  private readonly max: number;

  constructor(max: number) {
    this.max = max;
  }

  add(...rules: readonly FaultRule[]): void {
    if (this.rules.length + rules.length > this.max) throw new ScriptError('too many faults');
    for (const rule of rules) this.rules.push({ rule, seen: 0, acted: 0 });
  }

  clear(): void {
    this.rules = [];
  }

  get isEmpty(): boolean {
    return this.rules.length === 0;
  }

  /** The faults that befall this event, in the order of the rules. */
  faults(event: FaultEvent): Fault[] {
    const faults: Fault[] = [];
    for (const state of this.rules) {
      const { rule } = state;
      if (!applies(rule, event)) continue;
      const nth = state.seen++ - (rule.skip ?? 0);
      if (nth < 0 || nth % (rule.every ?? 1) !== 0 || state.acted >= (rule.times ?? Infinity)) continue;
      state.acted++;
      faults.push(rule.fault);
    }
    return faults;
  }
}

function applies(rule: FaultRule, event: FaultEvent): boolean {
  return (
    rule.on === event.on &&
    (rule.topic === undefined || rule.topic === event.topic) &&
    (rule.token === undefined || rule.token === event.token)
  );
}
