/** What tests of HPACK need beside the codec: blocks in and out, and the Huffman coder that the product does not have. */
import type { HpackDecoder } from '../../../services/gateway/apns/http2/hpack/decoder.js';
import { CODE_LENGTHS } from '../../../services/gateway/apns/http2/hpack/huffman.js';
import { writeInteger } from '../../../services/gateway/apns/http2/hpack/integer.js';
import { fromHex } from '../../../shared/encoding/bytes.js';

export type Field = readonly [name: string, value: string];

/** Bytes of hex with spaces, as RFC 7541 prints it. */
export const bytesOf = (hex: string): Uint8Array => fromHex(hex.replaceAll(/\s/g, ''))!;

/** The fields of a block. It stands inside a larger array, as in a connection's input. */
export function decodeBlock(decoder: HpackDecoder, block: Uint8Array): Field[] {
  const fields: Field[] = [];
  const input = Buffer.alloc(block.length + 2, 0xff);
  input.set(block, 1);
  decoder.decode(input, 1, 1 + block.length, (name, value) => fields.push([name, value]));
  return fields;
}

/** What `write` writes into a buffer of `room` bytes; writing beyond it fails. */
export function written(write: (out: Buffer, at: number) => number, room = 16_384): Buffer {
  const out = Buffer.alloc(room);
  const end = write(out, 0);
  if (end > room) throw new RangeError(`${end} bytes`);
  return out.subarray(0, end);
}

/** Codes as texts of 0 and 1: shorter ones first, then by symbol, each the one before plus one. */
function codes(): string[] {
  const symbols = [...CODE_LENGTHS.keys()].sort((a, b) => CODE_LENGTHS[a]! - CODE_LENGTHS[b]! || a - b);
  const texts: string[] = [];
  let next = 0n;
  let bits = 0;
  for (const symbol of symbols) {
    next <<= BigInt(CODE_LENGTHS[symbol]! - bits);
    bits = CODE_LENGTHS[symbol]!;
    texts[symbol] = next.toString(2).padStart(bits, '0');
    next++;
  }
  return texts;
}

export const HUFFMAN_CODES: readonly string[] = codes();

/** Bytes of a text of 0 and 1, which `padding` fills up. */
export function bitsToBytes(bits: string, padding = '1'): Uint8Array {
  const whole = bits.padEnd(Math.ceil(bits.length / 8) * 8, padding);
  return Uint8Array.from(whole.match(/.{8}/g) ?? [], (byte) => Number.parseInt(byte, 2));
}

export const encodeHuffman = (bytes: Uint8Array): Uint8Array =>
  bitsToBytes(Array.from(bytes, (byte) => HUFFMAN_CODES[byte]!).join(''));

/** A string literal (RFC 7541 §5.2) of characters up to U+00FF. */
export function stringLiteral(text: string, isHuffman: boolean): Uint8Array {
  const raw = Buffer.from(text, 'latin1');
  const bytes = isHuffman ? encodeHuffman(raw) : raw;
  const length = written((out, at) => writeInteger(out, at, isHuffman ? 0x80 : 0, 7, bytes.length));
  return Buffer.concat([length, bytes]);
}
