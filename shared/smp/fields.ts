/**
 * Parameters of commands as data: a layout names its fields in the order of the wire, and both directions and the
 * TypeScript type follow from it. A field may exist from some protocol version on only.
 */
import { type Bytes, utf8 } from '../encoding/bytes.js';
import {
  type AuthAlgorithm,
  decodePublicKey,
  encodePublicKey,
  type Key,
  ofAlgorithm,
} from '../encoding/keys.js';
import { DecodeError, type Reader } from '../encoding/reader.js';
import type { Writer } from '../encoding/writer.js';

export interface Field<T> {
  read(r: Reader, version: number): T;
  write(w: Writer, value: T, version: number): void;
}

/** A field whose value may be missing. */
export interface Optional<T> extends Field<T | undefined> {
  readonly optional: true;
  /** First version that has the field at all. */
  readonly since?: number;
}

export type Layout = Readonly<Record<string, Field<unknown> & { readonly since?: number }>>;
/** A layout's names and fields, in order. */
export type Fields = readonly (readonly [name: string, field: Layout[string]])[];

type OptionalNames<L> = { [N in keyof L]: L[N] extends Optional<infer _> ? N : never }[keyof L];
type ValueOf<F> = F extends Optional<infer T> ? Exclude<T, undefined> : F extends Field<infer T> ? T : never;

/** The values of a layout's fields. */
export type Values<L> = { readonly [N in Exclude<keyof L, OptionalNames<L>>]: ValueOf<L[N]> } & {
  readonly [N in OptionalNames<L>]?: ValueOf<L[N]>;
};

const exists = (field: Layout[string], version: number): boolean => version >= (field.since ?? 0);

/** Whether any of the fields exists in this version. */
export const hasFields = (fields: Fields, version: number): boolean =>
  fields.some(([, field]) => exists(field, version));

/** Reads the fields that the version has into `values`; what is absent is left out. Throws `DecodeError`. */
export function readFields<T extends object>(fields: Fields, r: Reader, version: number, values: T): T {
  for (const [name, field] of fields) {
    if (!exists(field, version)) continue;
    const value = field.read(r, version);
    if (value !== undefined) (values as Record<string, unknown>)[name] = value;
  }
  return values;
}

/** Writes the fields that the version has. Throws `RangeError` where a value doesn't fit its field. */
export function writeFields(fields: Fields, w: Writer, values: object, version: number): void {
  for (const [name, field] of fields) {
    if (exists(field, version)) field.write(w, (values as Record<string, unknown>)[name], version);
  }
}

export const shortString: Field<Bytes> = {
  read: (r) => r.shortString(),
  write: (w, value) => void w.shortString(value),
};

/** All bytes that are left. */
export const tail: Field<Bytes> = { read: (r) => r.tail(), write: (w, value) => void w.bytes(value) };

/** Exactly `size` bytes, without length. */
export const fixed = (size: number): Field<Bytes> => ({
  read: (r) => r.take(size),
  write: (w, value) => void w.bytes(sized(size, value, RangeError)),
});

/** A short string of exactly `size` bytes. */
export const shortFixed = (size: number): Field<Bytes> => ({
  read: (r) => sized(size, r.shortString(), DecodeError),
  write: (w, value) => void w.shortString(sized(size, value, RangeError)),
});

function sized(size: number, bytes: Bytes, Failure: new (message: string) => Error): Bytes {
  if (bytes.length !== size) throw new Failure('wrong size');
  return bytes;
}

export const i64: Field<number> = { read: (r) => r.i64(), write: (w, value) => void w.i64(value) };

/** A key that may authorise commands, public, as DER. */
export const authKey: Field<Key<AuthAlgorithm>> = {
  read: (r) => ofAlgorithm(decodePublicKey(r.shortString()), 'ed25519', 'ed448', 'x25519'),
  write: (w, key) => void w.shortString(encodePublicKey(key)),
};

/** A raw X25519 public key (32), which travels as DER. */
export const dhKey: Field<Bytes> = {
  read: (r) => ofAlgorithm(decodePublicKey(r.shortString()), 'x25519').raw,
  write: (w, raw) => void w.shortString(encodePublicKey({ algorithm: 'x25519', raw })),
};

/** One of some letters. */
export const letter = <const T extends string>(...letters: readonly T[]): Field<T> => ({
  read(r) {
    const found = letters.find((known) => r.accept(known));
    if (found === undefined) throw new DecodeError('unknown letter');
    return found;
  },
  write: (w, value) => void w.bytes(utf8(value)),
});

/** `0`, or `1` and the value. */
export const maybe = <T>(field: Field<T>): Optional<T> => ({
  optional: true,
  read: (r, version) => r.maybe(() => field.read(r, version)),
  write: (w, value, version) => void w.maybe(value, (present) => field.write(w, present, version)),
});

/** Some fields as one value. */
export function group<const L extends Layout>(layout: L): Field<Values<L>> {
  const fields: Fields = Object.entries(layout);
  return {
    read: (r, version) => readFields(fields, r, version, {}) as Values<L>,
    write: (w, value, version) => writeFields(fields, w, value, version),
  };
}

/** A field that exists from a version on only; there it must have a value, unless it is optional itself. */
export const since = <T>(version: number, field: Field<T> | Optional<T>): Optional<T> => ({
  optional: true,
  since: version,
  read: (r, v) => field.read(r, v),
  write(w, value, v) {
    if (value === undefined && !('optional' in field)) throw new RangeError('missing field');
    field.write(w, value as T, v);
  },
});
