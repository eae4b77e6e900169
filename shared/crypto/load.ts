/** Chooses the back end. Called once, in a composition root, which says in the log which one runs (`Crypto.backend`). */
import type { Crypto } from './crypto.js';
import { loadNativeSodium } from './native.js';
import { createCrypto } from './sodium-crypto.js';
import { loadWasmSodium } from './wasm.js';

/** The native back end; throws where this platform has no binary. */
export async function loadNativeCrypto(): Promise<Crypto> {
  return createCrypto('native', loadNativeSodium());
}

/** The WebAssembly back end: runs everywhere, at about a third of the speed. */
export async function loadWasmCrypto(): Promise<Crypto> {
  return createCrypto('wasm', await loadWasmSodium());
}

/** The native back end, else the WebAssembly one. */
export async function loadCrypto(): Promise<Crypto> {
  return loadNativeCrypto().catch(loadWasmCrypto);
}
