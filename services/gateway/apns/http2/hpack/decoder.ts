/**
 * Decoder of header blocks (RFC 7541 §3, §6) of one connection. Every block must pass through it whole and in order,
 * also those nobody waits for, or its table falls out of step; after an error it is good for nothing more.
 * It judges the compression only, not whether names and values are allowed in HTTP.
 */
import { latin1 } from '../../../../../shared/encoding/bytes.js';
import { DecodeError, Reader } from '../../../../../shared/encoding/reader.js';
import { DynamicTable } from './dynamic-table.js';
import { DEFAULT_TABLE_SIZE, ENTRY_OVERHEAD, type Entry } from './entry.js';
import { decodeHuffman } from './huffman.js';
import { readInteger } from './integer.js';
import { STATIC_TABLE } from './static-table.js';

const DEFAULT_LIST_SIZE = 16_384;
/** A block may set the size twice: the smallest since the last block, then the current one (RFC 7541 §4.2). */
const MAX_SIZE_UPDATES = 2;

const INDEXED = 0x80;
const INCREMENTAL = 0x40;
const SIZE_UPDATE = 0x20;
const HUFFMAN = 0x80;

export interface DecoderOptions {
  /** The SETTINGS_HEADER_TABLE_SIZE we sent; 4,096 where we sent none. */
  readonly maxTableSize?: number;
  /** Most that the fields of a block may count together: name, value and 32 each (RFC 9113 §6.5.2). */
  readonly maxListSize?: number;
  /** Names to report; values of others are not even made into strings. All where absent. */
  readonly wanted?: ReadonlySet<string>;
}

/** Takes a field; its name and value have a character for each byte. */
export type Emit = (name: string, value: string) => void;

export class HpackDecoder {
  private readonly table: DynamicTable;
  private readonly maxTableSize: number;
  private readonly maxListSize: number;
  private readonly wanted: ReadonlySet<string> | undefined;
  /** Where Huffman strings are unpacked; none that is larger would be accepted. */
  private readonly scratch: Uint8Array;
  /** The first block must shrink a table that starts larger than we allow (RFC 9113 §4.3.1). */
  private mustShrink: boolean;
  private roomInList = 0;

  constructor(options: DecoderOptions = {}) {
    this.maxTableSize = options.maxTableSize ?? DEFAULT_TABLE_SIZE;
    this.maxListSize = options.maxListSize ?? DEFAULT_LIST_SIZE;
    this.wanted = options.wanted;
    this.scratch = new Uint8Array(this.maxListSize);
    this.table = new DynamicTable(this.maxTableSize);
    this.table.resize(Math.min(this.maxTableSize, DEFAULT_TABLE_SIZE));
    this.mustShrink = this.maxTableSize < DEFAULT_TABLE_SIZE;
  }

  /**
   * Decodes the complete block in `bytes` from `start` to `end` and calls `emit` for each wanted field, in order.
   * Throws `DecodeError`, which is the connection's end (COMPRESSION_ERROR); fields may have been emitted before it.
   */
  decode(bytes: Uint8Array, start: number, end: number, emit: Emit): void {
    const r = new Reader(bytes.subarray(start, end));
    this.roomInList = this.maxListSize;
    this.sizeUpdates(r);
    while (r.remaining > 0) this.field(r, r.u8(), emit);
  }

  private sizeUpdates(r: Reader): void {
    for (let i = 0; i < MAX_SIZE_UPDATES && (r.bytes[r.offset]! & 0xe0) === SIZE_UPDATE; i++) {
      const size = readInteger(r, r.u8(), 5);
      if (size > this.maxTableSize) throw new DecodeError('HPACK table above its limit');
      this.table.resize(size);
      this.mustShrink = false;
    }
    if (this.mustShrink) throw new DecodeError('HPACK table not shrunk');
  }

  private field(r: Reader, first: number, emit: Emit): void {
    if (first >= INDEXED) this.indexed(this.entry(readInteger(r, first, 7)), emit);
    else if (first >= INCREMENTAL) this.table.add(this.literal(r, readInteger(r, first, 6), emit));
    else if (first >= SIZE_UPDATE) throw new DecodeError('HPACK size update out of place');
    else this.literal(r, readInteger(r, first, 4), emit); // not indexed, or never to be
  }

  private indexed(entry: Entry, emit: Emit): void {
    this.charge(entry.size);
    if (this.isWanted(entry.name)) emit(entry.name, entry.value);
  }

  private literal(r: Reader, nameIndex: number, emit: Emit): Entry {
    const name = nameIndex === 0 ? latin1(this.text(r)) : this.entry(nameIndex).name;
    const bytes = this.text(r);
    const size = name.length + bytes.length + ENTRY_OVERHEAD;
    this.charge(size);
    const isWanted = this.isWanted(name);
    const value = isWanted ? latin1(bytes) : '';
    if (isWanted) emit(name, value);
    return { name, value, size };
  }

  /** Bytes of a string, valid until the next is read (RFC 7541 §5.2). */
  private text(r: Reader): Uint8Array {
    const first = r.u8();
    const bytes = r.take(readInteger(r, first, 7));
    return (first & HUFFMAN) === 0 ? bytes : this.scratch.subarray(0, decodeHuffman(bytes, this.scratch));
  }

  /** Static entries come first, then the dynamic ones from the newest on (RFC 7541 §2.3.3). */
  private entry(index: number): Entry {
    const staticLength = STATIC_TABLE.length;
    const entry = index <= staticLength ? STATIC_TABLE[index - 1] : this.table.get(index - staticLength);
    if (entry === undefined) throw new DecodeError('unknown HPACK index');
    return entry;
  }

  private charge(size: number): void {
    this.roomInList -= size;
    if (this.roomInList < 0) throw new DecodeError('header list too large');
  }

  private isWanted(name: string): boolean {
    return this.wanted === undefined || this.wanted.has(name);
  }
}
