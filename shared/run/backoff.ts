/** Jittered exponential back-off: each delay is drawn from [half, whole] of a doubling bound. */
export interface BackoffOptions {
  readonly minMs: number;
  readonly maxMs: number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

export class Backoff {
  private readonly options: BackoffOptions;
  private attempt = 0;

  constructor(options: BackoffOptions) {
    this.options = options;
  }

  /** Milliseconds to wait before the next attempt. */
  next(): number {
    const { minMs, maxMs, random } = this.options;
    const bound = Math.min(maxMs, minMs * 2 ** Math.min(this.attempt++, 30));
    return bound * (0.5 + random() / 2);
  }

  /** After a success: the next failure starts from the smallest delay. */
  reset(): void {
    this.attempt = 0;
  }
}
