/** Capabilities and hashes of proven codes, in pooled rows outside the JavaScript heap; overwritten when dropped. */
import { Slab } from '../../../shared/memory/slab.js';
import { CAPABILITY_SIZE } from '../../../shared/relay/batch.js';

/** Of a proven code. */
export const CODE_HASH_SIZE = 32;

export class Vault {
  private readonly rows: Slab;

  constructor(maxDevices: number) {
    this.rows = new Slab({ rowBytes: CAPABILITY_SIZE + CODE_HASH_SIZE, maxRows: maxDevices });
  }

  /** Keeps a capability, in place of the one in `row`; the row. Throws `RangeError` on a wrong size. */
  keep(row: number | undefined, capability: Uint8Array): number {
    if (capability.length !== CAPABILITY_SIZE) throw new RangeError('not a capability');
    const kept = row ?? this.rows.allocate();
    if (kept === undefined) throw new RangeError('more capabilities than devices');
    this.rows.bytes(kept, 0, CAPABILITY_SIZE).set(capability);
    return kept;
  }

  /** A copy: the frame that carries it may outlive the row. Whoever takes it wipes it. */
  capability(row: number): Uint8Array {
    return this.rows.bytes(row, 0, CAPABILITY_SIZE).slice();
  }

  /** The kept hash of a proven code, a view; zeros where there is none. */
  codeHash(row: number): Uint8Array {
    return this.rows.bytes(row, CAPABILITY_SIZE, CODE_HASH_SIZE);
  }

  /** What a successor needs; the capability is a copy, to be wiped. */
  state(row: number): { capability: Uint8Array; codeHash: Uint8Array } {
    return { capability: this.capability(row), codeHash: this.codeHash(row) };
  }

  /** A row with what a predecessor held. */
  restore({
    capability,
    codeHash,
  }: {
    readonly capability: Uint8Array;
    readonly codeHash: Uint8Array;
  }): number {
    const row = this.keep(undefined, capability);
    this.codeHash(row).set(codeHash);
    return row;
  }

  /** Whether its code came back: then the capability wakes the phone. */
  isProven(row: number): boolean {
    return this.codeHash(row).some((byte) => byte !== 0);
  }

  /** Whether this very capability is kept; another one may have taken its place since. */
  holds(row: number, capability: Uint8Array): boolean {
    return this.rows.equals(row, 0, capability);
  }

  drop(row: number): void {
    this.rows.free(row);
  }
}
