/**
 * Strings of HPACK in its Huffman code (RFC 7541 §5.2, Appendix B): decoding only, we send raw strings.
 * The code is canonical, so the lengths say all: codes count upwards, shorter ones first, then by symbol.
 * Decoding takes four bits a step over a table of states; a state is an inner node of the code's tree.
 */
import { DecodeError } from '../../../../../shared/encoding/reader.js';

/** Bits of the code of each byte value; the last is EOS, which no string may contain. */
// biome-ignore format: sixteen a row
export const CODE_LENGTHS: readonly number[] = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
  28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
  6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
  5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
  13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
  7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
  15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
  6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
  20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
  24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
  22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
  21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
  26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
  19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
  20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
  26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
  30,
];

const EOS = 256;
const MAX_BITS = 30;
const STATES = 256;
/** The first states are what up to seven one bits lead to: the padding in which a string may end. */
const PADDING_STATES = 8;

/** A step of four bits: the next state, `EMITS` with a symbol above it, or `INVALID` where the step meets EOS. */
const EMITS = 0x100;
const SYMBOL_SHIFT = 9;
const INVALID = -1;

/** Inner nodes as pairs of children: a node's number, or -1 - symbol for a leaf. */
function codeTree(): Int16Array {
  const children = new Int16Array(2 * STATES);
  let nodes = PADDING_STATES;
  // Seven ones first, so that their nodes have the lowest numbers.
  for (let node = 0; node < PADDING_STATES - 1; node++) children[2 * node + 1] = node + 1;
  const insert = (code: number, length: number, symbol: number): void => {
    let node = 0;
    for (let bit = length - 1; bit > 0; bit--) {
      const child = 2 * node + ((code >>> bit) & 1);
      if (children[child] === 0) children[child] = nodes++;
      node = children[child]!;
    }
    children[2 * node + (code & 1)] = -1 - symbol;
  };
  let code = 0;
  for (let length = 1; length <= MAX_BITS; length++, code <<= 1) {
    for (let symbol = 0; symbol <= EOS; symbol++)
      if (CODE_LENGTHS[symbol] === length) insert(code++, length, symbol);
  }
  return children;
}

function step(tree: Int16Array, state: number, nibble: number): number {
  let node = state;
  let emitted = 0;
  for (let bit = 3; bit >= 0; bit--) {
    node = tree[2 * node + ((nibble >> bit) & 1)]!;
    if (node >= 0) continue;
    const symbol = -1 - node;
    if (symbol === EOS) return INVALID;
    emitted = EMITS | (symbol << SYMBOL_SHIFT); // one at most: no code is shorter than five bits
    node = 0;
  }
  return emitted | node;
}

function stepTable(): Int32Array {
  const tree = codeTree();
  return Int32Array.from({ length: 16 * STATES }, (_, i) => step(tree, i >> 4, i & 15));
}

const STEPS = stepTable();

/**
 * Decodes the whole `input` into `out` and returns how many bytes it wrote. Throws `DecodeError` for EOS, for padding
 * of more than seven bits or other bits than ones (RFC 7541 §5.2), and where `out` has no room.
 */
export function decodeHuffman(input: Uint8Array, out: Uint8Array): number {
  let state = 0;
  let length = 0;
  for (let i = 0; i < input.length; i++) {
    const byte = input[i]!;
    for (let shift = 4; shift >= 0; shift -= 4) {
      const next = STEPS[(state << 4) | ((byte >> shift) & 15)]!;
      if (next === INVALID) throw new DecodeError('EOS in a Huffman string');
      if ((next & EMITS) !== 0) out[length++] = next >> SYMBOL_SHIFT;
      state = next & 0xff;
    }
  }
  if (length > out.length) throw new DecodeError('Huffman string too long');
  if (state >= PADDING_STATES) throw new DecodeError('wrong padding of a Huffman string');
  return length;
}
