/**
 * Encoder of header blocks (RFC 7541 §6) of one connection. What repeats goes into the dynamic table; values that are
 * secret are written as never-indexed literals and never become part of the table. Strings are written raw: to a peer
 * that hears the same few fields in every request a Huffman code saves nothing.
 * Blocks must be sent in the order in which they were written, each whole, or the peer's table falls out of step.
 */
import { DynamicTable } from './dynamic-table.js';
import { DEFAULT_TABLE_SIZE, type Entry, newEntry } from './entry.js';
import { writeInteger } from './integer.js';
import { STATIC_TABLE, staticField, staticName } from './static-table.js';

/** Most bytes that `begin` writes: two size updates. */
export const MAX_BEGIN_SIZE = 6;
/** Most bytes of a field beyond the lengths of its name and value: a byte of kind, and two lengths. */
export const MAX_FIELD_OVERHEAD = 11;

const INDEXED = 0x80;
const INCREMENTAL = 0x40;
const SIZE_UPDATE = 0x20;
const NEVER_INDEXED = 0x10;
const NOT_INDEXED = 0;

/**
 * The caller sees to it that `out` has room, by the bounds above: bytes beyond its end would be lost without an error.
 * Names and values have a character for each byte, none above U+00FF.
 */
export class HpackEncoder {
  private readonly table = new DynamicTable(DEFAULT_TABLE_SIZE, (entry) => this.forget(entry));
  /** name → value → serial number of what is in the table. */
  private readonly serials = new Map<string, Map<string, number>>();
  /** The smallest size that was set since the last block, and the last one; they differ from the table's until told. */
  private smallestSize = DEFAULT_TABLE_SIZE;
  private tableSize = DEFAULT_TABLE_SIZE;

  /** Obeys the peer's SETTINGS_HEADER_TABLE_SIZE, with the next block (RFC 7541 §4.2). We never use more than 4,096. */
  setMaxTableSize(peerSetting: number): void {
    this.tableSize = Math.min(peerSetting, DEFAULT_TABLE_SIZE);
    this.smallestSize = Math.min(this.smallestSize, this.tableSize);
  }

  /** Begins a block: tells a changed table size. Returns the offset behind what it wrote, as all that follow. */
  begin(out: Uint8Array, at: number): number {
    if (this.smallestSize < this.table.maxSize) at = this.resize(out, at, this.smallestSize);
    if (this.tableSize !== this.table.maxSize) at = this.resize(out, at, this.tableSize);
    this.smallestSize = this.tableSize;
    return at;
  }

  /** Writes a field that will come again: as an index, or as a literal that gets one where the table has room. */
  indexed(out: Uint8Array, at: number, name: string, value: string): number {
    const index = staticField(name, value) ?? this.dynamicIndex(this.serials.get(name)?.get(value));
    if (index !== undefined) return writeInteger(out, at, INDEXED, 7, index);
    const entry = newEntry(name, value);
    // An entry that does not fit would only empty the table (RFC 7541 §4.4).
    if (entry.size > this.table.maxSize) return this.literal(out, at, name, value);
    at = this.writeName(out, at, INCREMENTAL, 6, name);
    this.add(entry);
    return writeText(out, at, value);
  }

  /** Writes a field that will not come again. */
  literal(out: Uint8Array, at: number, name: string, value: string): number {
    return writeText(out, this.writeName(out, at, NOT_INDEXED, 4, name), value);
  }

  /**
   * Writes a never-indexed literal up to its value: the caller writes exactly `valueLength` bytes at the offset that is
   * returned. So a secret value never is a string, and no intermediary may put it into a table (RFC 7541 §7.1.3).
   */
  neverIndexed(out: Uint8Array, at: number, name: string, valueLength: number): number {
    return writeInteger(out, this.writeName(out, at, NEVER_INDEXED, 4, name), 0, 7, valueLength);
  }

  private resize(out: Uint8Array, at: number, size: number): number {
    this.table.resize(size);
    return writeInteger(out, at, SIZE_UPDATE, 5, size);
  }

  private writeName(out: Uint8Array, at: number, pattern: number, bits: number, name: string): number {
    const index = staticName(name) ?? this.dynamicName(name);
    if (index !== undefined) return writeInteger(out, at, pattern, bits, index);
    out[at] = pattern;
    return writeText(out, at + 1, name);
  }

  private dynamicName(name: string): number | undefined {
    const serials = this.serials.get(name);
    return serials && this.dynamicIndex(serials.values().next().value);
  }

  private dynamicIndex(serial: number | undefined): number | undefined {
    return serial && STATIC_TABLE.length + this.table.inserted + 1 - serial;
  }

  private add(entry: Entry): void {
    this.table.add(entry);
    const serials = this.serials.get(entry.name) ?? new Map<string, number>();
    this.serials.set(entry.name, serials.set(entry.value, this.table.inserted));
  }

  private forget({ name, value }: Entry): void {
    const serials = this.serials.get(name)!;
    serials.delete(value);
    if (serials.size === 0) this.serials.delete(name);
  }
}

/** A string without Huffman code (RFC 7541 §5.2). */
function writeText(out: Uint8Array, at: number, text: string): number {
  at = writeInteger(out, at, 0, 7, text.length);
  for (let i = 0; i < text.length; i++) out[at++] = text.charCodeAt(i);
  return at;
}
