/**
 * The two parts of undici that are used. Its index would load fetch, WebSockets, caches and mocks with them: 8 MB of
 * memory and 50 ms of every start.
 */
import { createRequire } from 'node:module';
import { setFlagsFromString } from 'node:v8';
import type * as undici from 'undici';

const load = createRequire(import.meta.url);

export const Client = load('undici/lib/dispatcher/client.js') as typeof undici.Client;
export const Pool = load('undici/lib/dispatcher/pool.js') as typeof undici.Pool;

/**
 * To be called before the first connection, which compiles undici's HTTP parser, and after cryptography was loaded,
 * which may be WebAssembly too and needs its speed. V8 would compile the parser once more, to make faster what is a
 * hundredth of our work: 10 MB that stay.
 */
export const keepParserSmall = (): void => setFlagsFromString('--liftoff-only');
