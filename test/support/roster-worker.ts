/** Another process of the same state folder: adds keys to the list, one after the other, as fast as it can. */
import { workerData } from 'node:worker_threads';
import { Roster } from '../../services/gateway/limits/roster.js';
import { loadCrypto } from '../../shared/crypto/load.js';
import { systemClock } from '../../shared/run/clock.js';
import { silentLog } from '../../shared/run/log.js';

const { file, keys } = workerData as { file: string; keys: readonly string[] };
const crypto = await loadCrypto();
const roster = new Roster({ crypto, clock: systemClock, log: silentLog, mode: 'listed', keys: [], file });
for (const key of keys) roster.put(key, {});
