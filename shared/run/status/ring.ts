/** The newest items of a stream, a fixed number of them. */
export class Ring<T> {
  private readonly items: T[] = [];
  private readonly capacity: number;
  private next = 0;

  constructor(capacity: number) {
    this.capacity = capacity;
  }

  /** The oldest makes room. */
  push(item: T): void {
    this.items[this.next] = item;
    this.next = (this.next + 1) % this.capacity;
  }

  /** Oldest first. */
  all(): readonly T[] {
    return this.items.length < this.capacity
      ? this.items
      : [...this.items.slice(this.next), ...this.items.slice(0, this.next)];
  }
}
