import assert from 'node:assert/strict';
import {
  appendFileSync,
  chmodSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, before, beforeEach, describe, test } from 'node:test';
import { RevocationFolder } from '../../../../../services/gateway/capabilities/revocation-folder.js';
import type { RevocationEntry } from '../../../../../services/gateway/capabilities/revocation-store.js';
import type { Crypto } from '../../../../../shared/crypto/crypto.js';
import { loadCrypto } from '../../../../../shared/crypto/load.js';
import { VirtualClock } from '../../../../../shared/run/clock.js';
import { SecretFileError } from '../../../../../shared/run/files.js';
import { silentLog } from '../../../../../shared/run/log.js';
import { temporaryState } from '../../../../support/revocations.js';

const SECOND = 1_000;
const HOUR = 3_600 * SECOND;
const DAY = 24 * HOUR;
const RECORD = 36;

let crypto: Crypto;
let clock: VirtualClock;
let folder: ReturnType<typeof temporaryState>;
let opened: RevocationFolder[];

before(async () => {
  crypto = await loadCrypto();
});
beforeEach(() => {
  clock = new VirtualClock();
  folder = temporaryState();
  opened = [];
});
afterEach(async () => {
  for (const store of opened) await store.close();
  folder.remove();
});

const path = () => join(folder.state, 'revoked');
const file = () => join(path(), readdirSync(path())[0]!);
const entry = (n: number): RevocationEntry => ({
  pool: n % 2 === 0 ? 'proven' : 'owner',
  time: 1_000 + n,
  lookup: n,
  hash: new Uint8Array(20).fill(n),
});

/** A replica on the folder, and what it knows. */
async function open(): Promise<{ store: RevocationFolder; known: RevocationEntry[] }> {
  const store = new RevocationFolder({ crypto, clock, log: silentLog, path: path() });
  opened.push(store);
  const known: RevocationEntry[] = [];
  await store.start((entries) => void known.push(...entries));
  return { store, known };
}
const times = (entries: readonly RevocationEntry[]) => [...new Set(entries.map(({ time }) => time))].sort();

describe('the revoked set in the state folder', () => {
  test('closing waits for what is being written', async () => {
    const { store } = await open();
    let isWritten = false;
    const written = store.append([entry(1)]).then(() => {
      isWritten = true;
    });
    await store.close();
    await Promise.resolve();
    assert.ok(isWritten);
    await written;
  });

  test('a restart finds everything, in files that only their owner reads', async () => {
    const { store } = await open();
    await store.append([entry(1), entry(2)]);
    clock.jump(DAY);
    await store.append([entry(3)]);
    assert.deepEqual((await open()).known, [entry(1), entry(2), entry(3)]);
    assert.equal(readdirSync(path()).length, 2);
    assert.equal(statSync(file()).mode & 0o777, 0o600);
  });

  test('replicas on one folder learn from each other within seconds', async () => {
    const one = await open();
    const two = await open();
    await Promise.all([
      one.store.append([entry(1)]),
      two.store.append([entry(2)]),
      one.store.append([entry(3)]),
    ]);
    await clock.advance(2 * SECOND);
    for (const { known } of [one, two]) assert.deepEqual(times(known), [1001, 1002, 1003]);
  });

  test('a record that a killed process left in part costs no other, wherever it was cut', async () => {
    const { store } = await open();
    await store.append([entry(1), entry(2)]);
    const whole = readFileSync(file());
    for (let cut = 0; cut <= RECORD; cut++) {
      writeFileSync(file(), whole.subarray(0, whole.length - cut));
      appendFileSync(file(), whole.subarray(0, RECORD));
      appendFileSync(file(), whole.subarray(RECORD));
      assert.deepEqual(times((await open()).known), [1001, 1002], `cut ${cut}`);
    }
  });

  test('a record whose rest is still being written is read when it is whole', async () => {
    const { store, known } = await open();
    await store.append([entry(1)]);
    const whole = readFileSync(file());
    writeFileSync(file(), whole.subarray(0, 20));
    await clock.advance(2 * SECOND);
    appendFileSync(file(), whole.subarray(20));
    await clock.advance(2 * SECOND);
    assert.deepEqual(times(known), [1001]);
  });

  test('damage and foreign bytes are no entries', async () => {
    const { store } = await open();
    await store.append([entry(1), entry(2), entry(3)]);
    const bytes = readFileSync(file());
    bytes[RECORD + 10]! ^= 1;
    writeFileSync(file(), Buffer.concat([crypto.randomBytes(1000), bytes, crypto.randomBytes(999)]));
    writeFileSync(join(path(), 'notes.txt'), bytes);
    assert.deepEqual(times((await open()).known), [1001, 1003]);
  });

  test("a day's file is unlinked when it has been 46 days old for a day, unless only the clock was ahead", async () => {
    const { store } = await open();
    await store.append([entry(1)]);
    clock.jump(48 * DAY);
    await clock.advance(HOUR);
    clock.jump(-48 * DAY);
    await clock.advance(HOUR);
    assert.equal(readdirSync(path()).length, 1);
    clock.jump(47 * DAY);
    await clock.advance(DAY - HOUR);
    assert.equal(readdirSync(path()).length, 1);
    await clock.advance(2 * HOUR);
    assert.deepEqual(readdirSync(path()), []);
    await store.append([entry(2)]);
    assert.deepEqual((await open()).known, [entry(2)]);
  });

  test('says while it cannot be read, and recovers', async () => {
    const { store, known } = await open();
    assert.equal(store.readable, true);
    renameSync(path(), `${path()}.away`);
    await clock.advance(2 * SECOND);
    assert.equal(store.readable, false);
    await assert.rejects(store.append([entry(1)]));
    renameSync(`${path()}.away`, path());
    await clock.advance(2 * SECOND);
    assert.equal(store.readable, true);
    await store.append([entry(2)]);
    await clock.advance(2 * SECOND);
    assert.deepEqual(times(known), [1002]);
  });

  test('refuses a folder that others may look into, and more than it can hold', async () => {
    const { store } = await open();
    await assert.rejects(store.append(Array.from({ length: 20_001 }, (_, i) => entry(i & 0xff))));
    chmodSync(path(), 0o755);
    assert.throws(
      () => new RevocationFolder({ crypto, clock, log: silentLog, path: path() }),
      SecretFileError,
    );
  });
});
