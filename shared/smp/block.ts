/**
 * Blocks of one size on a stream: collecting them, padding (guide B.6), and the encryption inside TLS from version
 * 11 on (guide D). A chain of keys moves with every block, so each direction of a connection has exactly one writer.
 */
import { pad, unpad } from '../crypto/box.js';
import type { Crypto } from '../crypto/crypto.js';
import { type Bytes, utf8, wipe } from '../encoding/bytes.js';
import { DecodeError } from '../encoding/reader.js';
import { SINCE, SMP_BLOCK_SIZE } from './constants.js';

/** Turns contents into blocks and back, in the order in which they travel. */
export interface BlockCodec {
  /** Size of a padded content that `sealPadded` takes. */
  readonly paddedSize: number;
  /** Throws `RangeError` where the content doesn't fit. */
  seal(content: Bytes): Uint8Array;
  /** The same for a content that is padded already; the result shares no memory with it. */
  sealPadded(padded: Bytes): Uint8Array;
  /** Content of a block. Throws `DecodeError`; the next block may be good nevertheless. */
  open(block: Bytes): Uint8Array;
  /** Forgets keys. */
  close(): void;
}

/** Content of a padded block, as a view. Throws `DecodeError`. */
export function unpadBlock(padded: Bytes): Uint8Array {
  const content = unpad(padded);
  if (content === undefined) throw new DecodeError('wrong padding');
  return content;
}

/** Blocks without encryption: handshakes, old versions, NTF. */
export const plainBlocks = (size: number = SMP_BLOCK_SIZE): BlockCodec => ({
  paddedSize: size,
  seal: (content) => pad(content, size),
  sealPadded: (padded) => padded.slice(),
  open: unpadBlock,
  close() {},
});

/** Whether a session encrypts its blocks (guide D). */
export const encryptsBlocks = (version: number, hasClientKey: boolean, proxyServer: boolean): boolean =>
  version >= SINCE.encryptedBlocks && hasClientKey && !proxyServer;

const TAG_SIZE = 16;
const KEY_SIZE = 32;
const INIT_INFO = utf8('SimpleXSbChainInit');
const STEP_INFO = utf8('SimpleXSbChain');
const STEP_SIZE = KEY_SIZE + KEY_SIZE + 24;
const EMPTY = new Uint8Array(0);
const ZEROS = new Uint8Array(16);

/** The keys of one direction. */
class KeyChain {
  private readonly crypto: Crypto;
  private key: Uint8Array;

  constructor(crypto: Crypto, key: Uint8Array) {
    this.crypto = crypto;
    this.key = key;
  }

  /** Key and nonce of the next block; the chain moves on whatever becomes of that block. */
  next(): { key: Uint8Array; nonce: Uint8Array } {
    const okm = this.crypto.hkdfSha512(EMPTY, this.key, STEP_INFO, STEP_SIZE);
    wipe(this.key);
    this.key = okm.slice(0, KEY_SIZE);
    const blockKey = okm.subarray(KEY_SIZE, 2 * KEY_SIZE);
    // SimpleX's symmetric boxes take one HSalsa20 step more than NaCl's secretbox (guide D).
    const key = this.crypto.hsalsa20(blockKey, ZEROS);
    wipe(okm.subarray(0, 2 * KEY_SIZE));
    return { key, nonce: okm.subarray(2 * KEY_SIZE) };
  }

  wipe(): void {
    wipe(this.key);
  }
}

/** Encrypted blocks of one connection, both directions. */
export class BlockCipher implements BlockCodec {
  readonly paddedSize = SMP_BLOCK_SIZE - TAG_SIZE;
  private readonly crypto: Crypto;
  private readonly sending: KeyChain;
  private readonly receiving: KeyChain;

  /** @param secret raw X25519 secret of the session keys; wiped by the caller */
  constructor(crypto: Crypto, role: 'client' | 'server', sessionId: Bytes, secret: Bytes) {
    const okm = crypto.hkdfSha512(sessionId, secret, INIT_INFO, 2 * KEY_SIZE);
    const server = new KeyChain(crypto, okm.slice(0, KEY_SIZE));
    const client = new KeyChain(crypto, okm.slice(KEY_SIZE));
    wipe(okm);
    this.crypto = crypto;
    this.sending = role === 'client' ? client : server;
    this.receiving = role === 'client' ? server : client;
  }

  seal(content: Bytes): Uint8Array {
    const padded = pad(content, this.paddedSize);
    const block = this.sealPadded(padded);
    wipe(padded);
    return block;
  }

  sealPadded(padded: Bytes): Uint8Array {
    if (padded.length !== this.paddedSize) throw new RangeError('not a padded content');
    const { key, nonce } = this.sending.next();
    const block = this.crypto.secretboxSeal(key, nonce, padded);
    wipe(key);
    return block;
  }

  open(block: Bytes): Uint8Array {
    const { key, nonce } = this.receiving.next();
    const padded = this.crypto.secretboxOpen(key, nonce, block);
    wipe(key);
    if (padded === undefined) throw new DecodeError('forged block');
    return unpadBlock(padded);
  }

  close(): void {
    this.sending.wipe();
    this.receiving.wipe();
  }
}

/** Cuts a stream into blocks; never holds more than one that is not whole. */
export class BlockReader {
  private readonly size: number;
  private block: Uint8Array;
  private filled = 0;

  constructor(size: number = SMP_BLOCK_SIZE) {
    this.size = size;
    this.block = new Uint8Array(size);
  }

  /** The blocks that `chunk` completes, each in memory of its own. */
  push(chunk: Bytes): Uint8Array[] {
    const blocks: Uint8Array[] = [];
    for (let at = 0; at < chunk.length; ) {
      const part = chunk.subarray(at, at + this.size - this.filled);
      this.block.set(part, this.filled);
      at += part.length;
      this.filled += part.length;
      if (this.filled < this.size) break;
      blocks.push(this.block);
      this.block = new Uint8Array(this.size);
      this.filled = 0;
    }
    return blocks;
  }
}
