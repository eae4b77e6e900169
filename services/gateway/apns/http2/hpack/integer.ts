/** Integers of HPACK: in the low bits of a first byte, or beyond it seven bits a byte (RFC 7541 §5.1). */
import { DecodeError, type Reader } from '../../../../../shared/encoding/reader.js';

/** Far above any index, length or size that is accepted; keeps arithmetic in 31 bits. */
const MAX_INTEGER = 2 ** 28;
/** Bits of a fifth further byte, the last that is read: it may only be padding or carry the highest bit. */
const MAX_SHIFT = 28;

/** The integer whose first byte `first` was read already; its prefix is the low `bits`. Throws `DecodeError`. */
export function readInteger(r: Reader, first: number, bits: number): number {
  const full = (1 << bits) - 1;
  let value = first & full;
  if (value < full) return value;
  for (let shift = 0; shift <= MAX_SHIFT; shift += 7) {
    const byte = r.u8();
    value += (byte & 0x7f) * 2 ** shift;
    if (value > MAX_INTEGER) break;
    if (byte < 0x80) return value;
  }
  throw new DecodeError('HPACK integer too large');
}

/** Writes `value` with `pattern` in the bits above the prefix; returns the offset behind it. */
export function writeInteger(
  out: Uint8Array,
  at: number,
  pattern: number,
  bits: number,
  value: number,
): number {
  const full = (1 << bits) - 1;
  if (value < full) {
    out[at] = pattern | value;
    return at + 1;
  }
  out[at++] = pattern | full;
  let rest = value - full;
  for (; rest >= 0x80; rest >>>= 7) out[at++] = 0x80 | (rest & 0x7f);
  out[at++] = rest;
  return at;
}
