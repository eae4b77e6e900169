/**
 * The numbers of a counter or gauge. Labels are closed sets, so each combination of their values has its place from
 * the start: counting is an addition in an array, which parts do many times for each signal or push.
 */

/** Each label with all its values. */
export type Labels = Readonly<Record<string, readonly string[]>>;
export type Words = Readonly<Record<string, string>>;

interface Axis {
  readonly label: string;
  readonly values: readonly string[];
  /** Between the places of two neighbouring values. */
  readonly step: number;
  readonly offsets: ReadonlyMap<string | undefined, number>;
}

export class Counts {
  private readonly axes: readonly Axis[];
  private readonly values: Float64Array;
  private readonly isUsed: boolean[];

  constructor(labels: Labels = {}) {
    let size = 1;
    this.axes = Object.entries(labels).map(([label, values]) => {
      const step = size;
      size *= values.length;
      return { label, values, step, offsets: new Map(values.map((value, i) => [value, i * step])) };
    });
    this.values = new Float64Array(size);
    this.isUsed = new Array<boolean>(size).fill(this.axes.length === 0);
  }

  add(labels: Words, by: number): void {
    if (by < 0) throw new RangeError('a counter only grows');
    this.values[this.use(labels)]! += by;
  }

  set(labels: Words, value: number): void {
    this.values[this.use(labels)] = value;
  }

  /** A combination of labels is there from its first use on; without labels from the start. */
  *entries(): Iterable<[labels: Words, value: number]> {
    for (const [place, isUsed] of this.isUsed.entries()) {
      if (!isUsed) continue;
      const words = this.axes.map(({ label, values, step }): [string, string] => [
        label,
        values[Math.floor(place / step) % values.length]!,
      ]);
      yield [Object.fromEntries(words), this.values[place]!];
    }
  }

  /** Its place. Throws `RangeError` where a value is not in its label's set: such code does not compile. */
  private use(labels: Words): number {
    let place = 0;
    for (const { label, offsets } of this.axes) {
      const offset = offsets.get(labels[label]);
      if (offset === undefined) throw new RangeError(`${label} has no such value`);
      place += offset;
    }
    this.isUsed[place] = true;
    return place;
  }
}
