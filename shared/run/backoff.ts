/** Jittered exponential back-off: each delay is drawn from [half, whole] of a growing bound. */
export interface BackoffOptions {
  readonly minMs: number;
  readonly maxMs: number;
  /** By how much the bound grows from one delay to the next; 2 unless given. */
  readonly growth?: number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

export class Backoff {
  private readonly options: BackoffOptions;
  private attempt = 0;

  constructor(options: BackoffOptions) {
    this.options = options;
  }

  /** Nothing has failed since the start, or since the last success. */
  get isFresh(): boolean {
    return this.attempt === 0;
  }

  /** Milliseconds to wait before the next attempt. */
  next(): number {
    const { minMs, maxMs, growth = 2, random } = this.options;
    const bound = Math.min(maxMs, minMs * growth ** this.attempt++);
    return bound * (0.5 + random() / 2);
  }

  /** After a success: the next failure starts from the smallest delay. */
  reset(): void {
    this.attempt = 0;
  }
}
