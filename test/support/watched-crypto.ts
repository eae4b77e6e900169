/** A `Crypto` that remembers every array it was given or gave, so that a test can see what was left in them. */
import type { Crypto } from '../../shared/crypto/crypto.js';

export function watchedCrypto(crypto: Crypto): { crypto: Crypto; seen: Uint8Array[] } {
  const seen: Uint8Array[] = [];
  const watch = (value: unknown): void => {
    if (value instanceof Uint8Array) seen.push(value);
  };
  const watching = new Proxy(crypto, {
    get(target, name, receiver) {
      const member: unknown = Reflect.get(target, name, receiver);
      if (typeof member !== 'function') return member;
      return (...args: unknown[]): unknown => {
        args.forEach(watch);
        const result = (member as (...all: unknown[]) => unknown).apply(target, args);
        watch(result);
        return result;
      };
    },
  });
  return { crypto: watching, seen };
}
