/**
 * Lets a bounded number through at once; the others wait in order. Bounds how many servers that never proved
 * themselves are dialled at the same time, so that hanging ones cost sockets, not the way of the others.
 */
export class Gate {
  private readonly limit: number;
  private readonly waiting = new Set<() => void>();
  private inside = 0;

  constructor(limit: number) {
    this.limit = limit;
  }

  /** Whether somebody waits. */
  get crowded(): boolean {
    return this.waiting.size > 0;
  }

  /** Calls `enter` now or when a place is free. Whoever entered must `leave` once. */
  pass(enter: () => void): void {
    if (this.inside >= this.limit) {
      this.waiting.add(enter);
      return;
    }
    this.inside++;
    enter();
  }

  /** Takes back a wait. */
  drop(enter: () => void): void {
    this.waiting.delete(enter);
  }

  leave(): void {
    this.inside--;
    const [next] = this.waiting;
    if (!next) return;
    this.waiting.delete(next);
    this.pass(next);
  }
}
