/** libsodium built natively: the back end wherever `sodium-native` brings a binary for the platform (not on musl). */
import { createRequire } from 'node:module';
import type { Sodium } from './sodium.js';

/** Throws where there is no binary for this platform. */
export function loadNativeSodium(): Sodium {
  return createRequire(import.meta.url)('sodium-native') as Sodium; // it has no types of its own
}
