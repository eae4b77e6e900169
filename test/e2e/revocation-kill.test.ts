/** A process that is killed while it adds to the revoked set costs nothing that it had saved, nor what others add. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { RevocationFolder } from '../../services/gateway/capabilities/revocation-folder.js';
import type { RevocationEntry } from '../../services/gateway/capabilities/revocation-store.js';
import { loadCrypto } from '../../shared/crypto/load.js';
import { systemClock } from '../../shared/run/clock.js';
import { silentLog } from '../../shared/run/log.js';
import { temporaryState } from '../support/revocations.js';

const SAVED = 200;
const PARENT = 1_000_000;

/** Adds entries without end, and says after each how many were saved. */
const CHILD = (module: string, crypto: string, clock: string, path: string, first: number) => `
  const { RevocationFolder } = await import(${JSON.stringify(module)});
  const { loadCrypto } = await import(${JSON.stringify(crypto)});
  const { systemClock } = await import(${JSON.stringify(clock)});
  const log = { debug() {}, info() {}, warn() {}, error() {} };
  const store = new RevocationFolder({ crypto: await loadCrypto(), clock: systemClock, log, path: ${JSON.stringify(path)} });
  for (let time = ${first}; ; time++) {
    await store.append([{ pool: 'proven', time, lookup: time, hash: new Uint8Array(20) }]);
    process.stdout.write(time + '\\n');
  }`;

const url = (path: string) => new URL(path, import.meta.url).href;

test('two processes are killed in the middle of their work, a third one goes on', async () => {
  const { state, remove } = temporaryState();
  const path = join(state, 'revoked');
  const crypto = await loadCrypto();
  const store = new RevocationFolder({ crypto, clock: systemClock, log: silentLog, path });
  const run = async (first: number): Promise<number> => {
    const modules = ['services/gateway/capabilities/revocation-folder.js', 'shared/crypto/load.js'];
    const [folder, load] = modules.map((module) => url(`../../${module}`));
    const source = CHILD(folder!, load!, url('../../shared/run/clock.js'), path, first);
    const child = spawn(process.execPath, ['--input-type=module', '-e', source], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let saved = 0;
    for await (const line of createInterface({ input: child.stdout })) {
      saved = Number(line);
      await store.append([{ pool: 'owner', time: PARENT + saved, lookup: 0, hash: new Uint8Array(20) }]);
      if (saved === first + SAVED) child.kill('SIGKILL');
    }
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    return saved;
  };
  const saved = await Promise.all([run(1), run(100_000)]);
  const known: RevocationEntry[] = [];
  await store.start((entries) => void known.push(...entries));
  await store.close();
  const times = new Set(known.map(({ time }) => time));
  for (const [i, first] of [1, 100_000].entries()) {
    assert.ok(saved[i]! >= first + SAVED);
    for (let time = first; time <= saved[i]!; time++) {
      assert.ok(times.has(time) && times.has(PARENT + time), `${time}`);
    }
  }
  remove();
});
