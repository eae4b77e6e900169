/** A field as the tables of HPACK hold it (RFC 7541 §2.3). */
export interface Entry {
  readonly name: string;
  readonly value: string;
  /** Lengths of name and value as they were sent, and `ENTRY_OVERHEAD` (RFC 7541 §4.1). */
  readonly size: number;
}

export const ENTRY_OVERHEAD = 32;

/** Size of both sides' dynamic tables until a setting says otherwise (RFC 9113 §6.5.2). */
export const DEFAULT_TABLE_SIZE = 4096;

export const newEntry = (name: string, value: string): Entry => ({
  name,
  value,
  size: name.length + value.length + ENTRY_OVERHEAD,
});
