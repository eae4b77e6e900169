import assert from 'node:assert/strict';
import {
  chmodSync,
  linkSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, before, beforeEach, describe, test } from 'node:test';
import { type Epoch, Epochs, issuesAt } from '../../../../../services/gateway/capabilities/epochs.js';
import { KeyFolder } from '../../../../../services/gateway/capabilities/key-folder.js';
import type { Crypto } from '../../../../../shared/crypto/crypto.js';
import { loadCrypto } from '../../../../../shared/crypto/load.js';
import { slotOf } from '../../../../../shared/relay/verification.js';
import { seconds, VirtualClock } from '../../../../../shared/run/clock.js';
import { SecretFileError } from '../../../../../shared/run/files.js';
import { silentLog } from '../../../../../shared/run/log.js';

const DAY_SECONDS = 86_400;
const DAY = DAY_SECONDS * 1000;
const HOUR = 3_600_000;

let crypto: Crypto;
let folder: string;
let clock: VirtualClock;
const open: Epochs[] = [];
before(async () => {
  crypto = await loadCrypto();
});
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'porchlight-epochs-'));
  // In the middle of a slot.
  clock = new VirtualClock(1_800_000_123_000);
});
afterEach(() => {
  for (const epochs of open.splice(0)) epochs.close();
  rmSync(folder, { recursive: true });
});

function start(path = folder): Epochs {
  const epochs = new Epochs({ crypto, clock, log: silentLog, folder: new KeyFolder(path, 'epoch root') });
  open.push(epochs);
  return epochs;
}

const sameKeys = (a: Epoch, b: Epoch | undefined): void => {
  assert.deepEqual(b?.capabilityKey, a.capabilityKey);
  assert.deepEqual(b?.codeKey, a.codeKey);
};

describe('epochs', () => {
  test('a root issues for 7 days and opens for 45 more', () => {
    const epochs = start();
    const first = epochs.current();
    assert.equal(first.start, 1_800_000_000, 'starts with a slot');
    clock.jump(7 * DAY - 124_000);
    assert.equal(epochs.current(), first);
    clock.jump(1000);
    const second = epochs.current();
    assert.notEqual(second, first);
    assert.equal(second.start, first.start + 7 * DAY_SECONDS, 'the next slot belongs to the next root');
    clock.jump(45 * DAY - 1000);
    assert.equal(epochs.find(first.keyId), first);
    clock.jump(1000);
    assert.equal(epochs.find(first.keyId), undefined);
    assert.equal(issuesAt(first, first.start - 1), false);
    assert.equal(issuesAt(first, first.start + 7 * DAY_SECONDS), false);
  });

  test('a root past its days is overwritten and unlinked, but not by an hour of a wrong clock', async () => {
    const epochs = start();
    const first = epochs.current();
    const [name] = readdirSync(folder);
    const other = join(folder, 'another name');
    linkSync(join(folder, name!), other);
    clock.jump(53 * DAY);
    await clock.advance(HOUR / 2);
    clock.jump(-53 * DAY);
    await clock.advance(HOUR);
    assert.equal(epochs.find(first.keyId), first);
    clock.jump(53 * DAY);
    await clock.advance(HOUR + 120_000);
    assert.ok(!readdirSync(folder).includes(name!));
    assert.ok(readFileSync(other).every((byte) => byte === 0));
    assert.ok(
      first.capabilityKey.every((byte) => byte === 0),
      'also in memory',
    );
  });

  test('files are 0600 and hold the root alone', () => {
    const { capabilityKey } = start().current();
    const [name] = readdirSync(folder);
    const file = join(folder, name!);
    assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.equal(readFileSync(file).length, 45);
    assert.ok(!readFileSync(file, 'hex').includes(Buffer.from(capabilityKey).toString('hex')));
  });

  test('another process opens with the same keys, also those made after it started', async () => {
    const [a, b, c, d] = [start(), start(), start(), start()];
    const epoch = a.current();
    sameKeys(epoch, b.find(epoch.keyId));
    sameKeys(epoch, c.current());
    sameKeys(epoch, d.ofSlot(slotOf(seconds(clock)))[0]);
  });

  test('two that began in the same slot both open, and all choose one', async () => {
    // Both before either could see the other's.
    const elsewhere = mkdtempSync(join(tmpdir(), 'porchlight-epochs-'));
    const [a, other] = [start(), start(elsewhere)];
    const mine = [a.current(), other.current()];
    for (const name of readdirSync(elsewhere)) renameSync(join(elsewhere, name), join(folder, name));
    rmSync(elsewhere, { recursive: true });
    const b = start();
    await clock.advance(61_000);
    assert.deepEqual(a.current().keyId, b.current().keyId);
    for (const epoch of mine) for (const epochs of [a, b]) sameKeys(epoch, epochs.find(epoch.keyId));
    assert.equal(a.ofSlot(slotOf(seconds(clock) - 61)).length, 2);
  });

  test('a root that was taken away is gone within a minute', async () => {
    const epochs = start();
    const { keyId } = epochs.current();
    rmSync(folder, { recursive: true });
    new KeyFolder(folder, '');
    await clock.advance(61_000);
    assert.equal(epochs.find(keyId), undefined);
  });

  test('a file that could not be read is read once it can be', async () => {
    const [epochs, other] = [start(), start()];
    const made = other.current();
    const file = join(folder, readdirSync(folder)[0]!);
    chmodSync(file, 0o640);
    await clock.advance(60_000);
    assert.equal(epochs.find(made.keyId), undefined);
    chmodSync(file, 0o600);
    await clock.advance(60_000);
    sameKeys(made, epochs.find(made.keyId));
  });

  test('a root that others may read refuses the start, rather than to lose what it sealed', () => {
    const made = start().current();
    const file = join(folder, readdirSync(folder)[0]!);
    chmodSync(file, 0o644);
    assert.throws(
      () => start(),
      (e) => e instanceof SecretFileError && /mode 644 .*chmod 600/.test(e.message),
    );
    chmodSync(file, 0o600);
    sameKeys(made, start().current());
  });

  test('a folder that others may look into refuses the start', () => {
    chmodSync(folder, 0o750);
    assert.throws(
      () => start(),
      (e) => e instanceof SecretFileError && /mode 750 .*chmod 700/.test(e.message),
    );
  });

  test('a made-up id is looked for and not found', () => {
    assert.equal(start().find(new Uint8Array(4).fill(7)), undefined);
  });
});
