import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { Roster, RosterError } from '../../../../../services/gateway/limits/roster.js';
import { loadCrypto } from '../../../../../shared/crypto/load.js';
import { toBase64urlBare } from '../../../../../shared/encoding/base64url.js';
import { VirtualClock } from '../../../../../shared/run/clock.js';
import { SecretFileError } from '../../../../../shared/run/files.js';
import { silentLog } from '../../../../../shared/run/log.js';

const crypto = await loadCrypto();
const folder = mkdtempSync(join(tmpdir(), 'porchlight-roster-'));
after(() => rmSync(folder, { recursive: true }));

const newKey = () => toBase64urlBare(crypto.ed25519KeyPair().publicKey);
let files = 0;

function setUp(mode: 'open' | 'listed', keys: string[] = [], file = join(folder, `${++files}.json`)) {
  const clock = new VirtualClock();
  const make = () => new Roster({ crypto, clock, log: silentLog, mode, keys, file });
  return { clock, file, make, roster: make() };
}

describe('list of subscribers', () => {
  test('mode listed: those of the configuration and those added, and no others', () => {
    const [configured, added, other] = [newKey(), newKey(), newKey()];
    const { roster } = setUp('listed', [configured]);
    const admits = (key: string) => roster.admits(roster.tagOf(key));
    assert.deepEqual([configured, added, other].map(admits), [true, false, false]);
    roster.put(added, { name: 'friends of Ada' });
    assert.deepEqual([configured, added, other].map(admits), [true, true, false]);
    assert.ok(roster.remove(added) && roster.remove(configured));
    assert.ok(!roster.remove(other));
    assert.deepEqual([configured, added, other].map(admits), [false, false, false]);
  });

  test('what was changed outlives a restart, in a file of mode 0600', () => {
    const [configured, added] = [newKey(), newKey()];
    const { roster, make, file } = setUp('listed', [configured]);
    roster.put(added, { rate: 7, requests: 2 });
    roster.remove(configured);
    assert.equal(statSync(file).mode & 0o777, 0o600);
    const again = make();
    assert.equal(again.find(again.tagOf(added))?.rate, 7);
    assert.ok(!again.admits(again.tagOf(configured)), 'also where the configuration still names it');
    again.put(configured, {});
    assert.ok(make().admits(again.tagOf(configured)));
  });

  test('mode open: anybody, but whom the operator gave nothing', () => {
    const [banned, other] = [newKey(), newKey()];
    const { roster } = setUp('open');
    roster.put(banned, { rate: 0 });
    assert.deepEqual(
      [banned, other].map((key) => roster.admits(roster.tagOf(key))),
      [false, true],
    );
    roster.remove(banned);
    assert.ok(roster.admits(roster.tagOf(banned)));
  });

  test('another process of the same folder sees it within a second', async () => {
    const { roster, make, clock } = setUp('listed');
    const replica = make();
    const key = newKey();
    roster.put(key, {});
    await clock.advance(1_000);
    assert.ok(replica.admits(replica.tagOf(key)));
    roster.remove(key);
    await clock.advance(1_000);
    assert.ok(!replica.admits(replica.tagOf(key)));
  });

  test('changes of two processes in the same moment are both kept', async () => {
    const { file, make } = setUp('listed');
    const lists = [0, 1].map(() => Array.from({ length: 15 }, newKey));
    const url = new URL('../../../../support/roster-worker.js', import.meta.url);
    const codes = lists.map((keys) => {
      const worker = new Worker(url, { workerData: { file, keys } });
      return new Promise((resolve) => worker.once('exit', resolve));
    });
    assert.deepEqual(await Promise.all(codes), [0, 0]);
    assert.deepEqual(new Set(make().all.map(({ key }) => key)), new Set(lists.flat()));
    assert.ok(!existsSync(`${file}.lock`));
  });

  test('a lock that a killed process left is broken; one that is held is waited for, but not for long', () => {
    const { roster, file, clock } = setUp('listed');
    const lock = `${file}.lock`;
    const lockedAgo = (ms: number) => {
      writeFileSync(lock, '');
      utimesSync(lock, (clock.now() - ms) / 1000, (clock.now() - ms) / 1000);
    };
    const key = newKey();
    lockedAgo(60_000);
    roster.put(key, {});
    assert.ok(!existsSync(lock));
    lockedAgo(1_000);
    assert.throws(() => roster.remove(key), RosterError);
    assert.ok(existsSync(lock) && roster.admits(roster.tagOf(key)));
  });

  test('a file that became bad leaves the last list in use; at the start it is refused', async () => {
    const { roster, make, clock, file } = setUp('listed');
    const key = newKey();
    roster.put(key, {});
    const good = readFileSync(file);
    for (const bad of [
      '{',
      '[]',
      '{"version":2,"subscribers":[]}',
      '{"version":1,"subscribers":[{"key":"A"}]}',
    ]) {
      writeFileSync(file, bad);
      await clock.advance(1_000);
      assert.ok(roster.admits(roster.tagOf(key)));
      assert.throws(make, SecretFileError);
    }
    writeFileSync(file, good);
    chmodSync(file, 0o644);
    assert.throws(make, SecretFileError);
  });

  test('a file that can no longer be looked at leaves the last list in use too', async () => {
    const { roster, clock, file } = setUp('listed');
    const key = newKey();
    roster.put(key, {});
    rmSync(file);
    symlinkSync(file, file);
    await clock.advance(1_000);
    assert.ok(roster.admits(roster.tagOf(key)));
  });
});
