/**
 * The two parts of undici that are used. Its index would load fetch, WebSockets, caches and mocks with them: 8 MB of
 * memory and 50 ms of every start.
 */
import { createRequire } from 'node:module';
import type * as undici from 'undici';

const load = createRequire(import.meta.url);

export const Client = load('undici/lib/dispatcher/client.js') as typeof undici.Client;
export const Pool = load('undici/lib/dispatcher/pool.js') as typeof undici.Pool;
