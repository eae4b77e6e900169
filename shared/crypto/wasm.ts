/**
 * libsodium's WebAssembly build behind the calling form of the native one. It talks to the module below the public
 * wrappers, for they leave keys and plaintexts behind in the WebAssembly heap: here every call works in one arena
 * that is overwritten before the call returns.
 */
import type { Bytes } from '../encoding/bytes.js';
import type { AeadDecrypt, AeadEncrypt, Sodium } from './sodium.js';

type Pointer = number;
/** A function of the module: addresses and lengths in, 0 or -1 out. A 64-bit length is two numbers, low word first. */
type WasmFunction = (...args: readonly number[]) => number;

interface WasmMemory {
  readonly HEAPU8: Uint8Array; // replaced by the module when the heap grows
  _malloc(size: number): Pointer;
  _free(at: Pointer): void;
}

type WasmModule = WasmMemory & { readonly [K in keyof Sodium as `_${K}`]: WasmFunction };

const ARENA_START = 64 * 1024;
/** Bytes of a key of BLAKE2b, whose length is an argument. */
const KEY = 32;

/** Throws where the runtime has no WebAssembly. */
export async function loadWasmSodium(): Promise<Sodium> {
  const { default: wrappers } = await import('libsodium-wrappers-sumo');
  await wrappers.ready;
  return wasmSodium((wrappers as unknown as { readonly libsodium: WasmModule }).libsodium);
}

/** Scratch memory in the module's heap: holds the arguments of one call, then zeros. */
class Arena {
  private readonly memory: WasmMemory;
  private size = ARENA_START;
  private base: Pointer;

  constructor(memory: WasmMemory) {
    this.memory = memory;
    this.base = memory._malloc(this.size);
  }

  /**
   * Copies `inputs` in, calls `f` with the addresses of `outs` and then of `inputs`, and copies `outs` back if it
   * returned 0. Returns whether it did.
   */
  call(outs: readonly Uint8Array[], inputs: readonly Bytes[], f: WasmFunction): boolean {
    const arrays = [...outs, ...inputs];
    const total = arrays.reduce((sum, array) => sum + array.length, 0);
    this.reserve(total);
    const at: Pointer[] = [];
    let end = this.base;
    for (const array of arrays) {
      this.memory.HEAPU8.set(array, end);
      at.push(end);
      end += array.length;
    }
    const done = f(...at) === 0;
    if (done) {
      for (const [i, out] of outs.entries()) {
        out.set(this.memory.HEAPU8.subarray(at[i]!, at[i]! + out.length));
      }
    }
    this.memory.HEAPU8.fill(0, this.base, end);
    return done;
  }

  private reserve(size: number): void {
    if (size <= this.size) return;
    const base = this.memory._malloc(size);
    if (base === 0) throw new RangeError('no WebAssembly memory for so long a message');
    this.memory._free(this.base); // holds zeros
    this.base = base;
    this.size = size;
  }
}

/** An operation that only fails on a bug, or where it has an X25519 in it on a bad key. */
function must(done: boolean): void {
  if (!done) throw new Error('libsodium refused');
}

function wasmSodium(lib: WasmModule): Sodium {
  const arena = new Arena(lib);
  const encrypt =
    (f: WasmFunction): AeadEncrypt =>
    (c, m, ad, _nsec, nonce, key) =>
      must(
        arena.call([c], [m, ad, nonce, key], (c, mAt, adAt, nonce, key) =>
          f(c!, 0, mAt!, m.length, 0, adAt!, ad.length, 0, 0, nonce!, key!),
        ),
      );
  const decrypt =
    (f: WasmFunction): AeadDecrypt =>
    (m, _nsec, c, ad, nonce, key) =>
      must(
        arena.call([m], [c, ad, nonce, key], (m, cAt, adAt, nonce, key) =>
          f(m!, 0, 0, cAt!, c.length, 0, adAt!, ad.length, 0, nonce!, key!),
        ),
      );
  return {
    crypto_scalarmult: (q, n, p) => must(arena.call([q], [n, p], lib._crypto_scalarmult)),
    crypto_scalarmult_base: (q, n) => must(arena.call([q], [n], lib._crypto_scalarmult_base)),
    crypto_box_easy: (c, m, n, pk, sk) =>
      must(
        arena.call([c], [m, n, pk, sk], (c, mAt, n, pk, sk) =>
          lib._crypto_box_easy(c!, mAt!, m.length, 0, n!, pk!, sk!),
        ),
      ),
    crypto_secretbox_easy: (c, m, n, k) =>
      must(
        arena.call([c], [m, n, k], (c, mAt, n, k) =>
          lib._crypto_secretbox_easy(c!, mAt!, m.length, 0, n!, k!),
        ),
      ),
    crypto_secretbox_open_easy: (m, c, n, k) =>
      arena.call([m], [c, n, k], (m, cAt, n, k) =>
        lib._crypto_secretbox_open_easy(m!, cAt!, c.length, 0, n!, k!),
      ),
    crypto_stream_salsa20_xor: (c, m, n, k) =>
      must(
        arena.call([c], [m, n, k], (c, mAt, n, k) =>
          lib._crypto_stream_salsa20_xor(c!, mAt!, m.length, 0, n!, k!),
        ),
      ),
    crypto_onetimeauth: (tag, m, k) =>
      must(arena.call([tag], [m, k], (tag, mAt, k) => lib._crypto_onetimeauth(tag!, mAt!, m.length, 0, k!))),
    crypto_generichash: (hash, m, k) =>
      must(
        arena.call([hash], [m, k], (at, mAt, k) =>
          lib._crypto_generichash(at!, hash.length, mAt!, m.length, 0, k!, KEY),
        ),
      ),
    crypto_sign_seed_keypair: (pk, sk, seed) =>
      must(arena.call([pk, sk], [seed], lib._crypto_sign_seed_keypair)),
    crypto_sign_detached: (sig, m, sk) =>
      must(
        arena.call([sig], [m, sk], (sig, mAt, sk) =>
          lib._crypto_sign_detached(sig!, 0, mAt!, m.length, 0, sk!),
        ),
      ),
    crypto_sign_verify_detached: (sig, m, pk) =>
      arena.call([], [sig, m, pk], (sig, mAt, pk) =>
        lib._crypto_sign_verify_detached(sig!, mAt!, m.length, 0, pk!),
      ),
    crypto_aead_chacha20poly1305_ietf_encrypt: encrypt(lib._crypto_aead_chacha20poly1305_ietf_encrypt),
    crypto_aead_chacha20poly1305_ietf_decrypt: decrypt(lib._crypto_aead_chacha20poly1305_ietf_decrypt),
    crypto_aead_xchacha20poly1305_ietf_encrypt: encrypt(lib._crypto_aead_xchacha20poly1305_ietf_encrypt),
    crypto_aead_xchacha20poly1305_ietf_decrypt: decrypt(lib._crypto_aead_xchacha20poly1305_ietf_decrypt),
  };
}
