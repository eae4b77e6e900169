/** Takes rows of a slab by their numbers, in ascending order; the gaps are free again when all were taken. */
import type { Slab } from './slab.js';

export class NumberedRows {
  private readonly rows: Slab;
  private readonly gaps: number[] = [];
  private last = -1;

  /** @param rows of which none was ever used */
  constructor(rows: Slab) {
    this.rows = rows;
  }

  /** Throws `RangeError` where the number isn't above the last one, or is beyond the slab. */
  take(row: number): void {
    if (row <= this.last) throw new RangeError('rows out of order');
    while (this.last < row) {
      const next = this.rows.allocate();
      if (next === undefined) throw new RangeError('no room for the row');
      this.last = next;
      if (next < row) this.gaps.push(next);
    }
  }

  end(): void {
    for (const row of this.gaps.splice(0)) this.rows.free(row);
  }
}
