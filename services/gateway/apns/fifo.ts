/** A first-in, first-out queue without a cost per waiting element. Unbounded: whoever fills it counts. */
const COMPACT_AT = 1024;

export class Fifo<T> {
  private items: (T | undefined)[] = [];
  private head = 0;

  get length(): number {
    return this.items.length - this.head;
  }

  peek(): T | undefined {
    return this.items[this.head];
  }

  push(item: T): void {
    this.items.push(item);
  }

  shift(): T | undefined {
    if (this.head === this.items.length) return undefined;
    const item = this.items[this.head];
    this.items[this.head++] = undefined;
    if (this.head === this.items.length) this.restart([]);
    else if (this.head > COMPACT_AT && this.head * 2 > this.items.length)
      this.restart(this.items.slice(this.head));
    return item;
  }

  /** Keeps only what `keep` says. */
  sift(keep: (item: T) => boolean): void {
    this.restart(this.items.slice(this.head).filter((item) => keep(item as T)));
  }

  private restart(items: (T | undefined)[]): void {
    this.items = items;
    this.head = 0;
  }
}
