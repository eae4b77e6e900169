/** Names of what this gateway has seen today, bounded. */
export class SeenToday {
  private readonly capacity: number;
  private readonly keys = new Set<string>();
  private day = 0;

  constructor(capacity: number) {
    this.capacity = capacity;
  }

  get size(): number {
    return this.keys.size;
  }

  has(key: string, day: number): boolean {
    return day === this.day && this.keys.has(key);
  }

  /** False where it was known, or where there is no room. */
  add(key: string, day: number): boolean {
    if (day > this.day) {
      this.keys.clear();
      this.day = day;
    }
    if (day < this.day || this.keys.size >= this.capacity || this.keys.has(key)) return false;
    this.keys.add(key);
    return true;
  }
}
