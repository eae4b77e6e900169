import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Mailbox } from '../../../../../services/subscriber/wake/mailbox.js';
import { MAX_METADATA, MailboxPool } from '../../../../../services/subscriber/wake/mailbox-pool.js';

const NONCE = new Uint8Array(24).fill(7);
const META = new Uint8Array(144).fill(8);

function mailbox(poolSize = 100) {
  const pool = new MailboxPool(poolSize);
  const box = new Mailbox(pool);
  let time = 1000;
  return {
    pool,
    box,
    /** One signal a second; queues 10..19 are at server 1, 20..29 at server 2. */
    put: (...refs: number[]) =>
      refs.map((ref) => box.put(ref, Math.floor(ref / 10), time++, NONCE, META)).at(-1),
    /** A push with as much as it takes, accepted. */
    tell: (second = 0, max = 6) => {
      const { entries } = box.window(max);
      box.sent(entries);
      box.accepted(second);
      return entries.map(({ ref }) => ref);
    },
    refs: () => box.window(14).entries.map(({ ref }) => ref),
  };
}

test('keeps the latest signal of each queue, in the order of receipt', () => {
  const { box, put, refs } = mailbox();
  put(10, 11, 12);
  assert.equal(put(10), 'replaced');
  assert.deepEqual(refs(), [11, 12, 10]);
  const [first] = box.window(1).entries;
  assert.deepEqual([first!.time, first!.nonce, first!.metadata], [1001, NONCE, META]);
  assert.equal(box.untold, 3);
});

test('tells the oldest six untold first, then the rest behind told ones as filler', () => {
  const { box, put, tell } = mailbox();
  put(10, 11, 12, 13, 14, 15, 16, 17, 18);
  assert.deepEqual(tell(), [10, 11, 12, 13, 14, 15]);
  assert.equal(box.untold, 3);
  assert.deepEqual(tell(), [13, 14, 15, 16, 17, 18]);
  assert.equal(box.untold, 0);
  assert.equal(box.sequence, 2);
});

test('what arrives while a push is under way is untold, also for a queue that the push carries', () => {
  const { box, put, refs } = mailbox();
  put(10, 11);
  box.sent(box.window(6).entries);
  put(10, 12);
  box.accepted(0);
  assert.equal(box.untold, 2);
  assert.deepEqual(refs(), [11, 10, 12]);
});

test('a push that failed told nothing', () => {
  const { box, put } = mailbox();
  put(10, 11);
  box.sent(box.window(6).entries);
  box.failed();
  box.accepted(0);
  assert.equal(box.untold, 2);
});

test('told entries age out an hour after their first accepted push, untold ones never', () => {
  const { box, put, tell, pool, refs } = mailbox();
  put(10);
  tell(100);
  put(11);
  tell(200);
  put(12);
  assert.equal(box.age(3699), 3700);
  assert.equal(box.age(3700), 3800);
  assert.deepEqual(refs(), [11, 12]);
  assert.equal(box.age(1_000_000), undefined);
  assert.deepEqual(refs(), [12]);
  assert.equal(pool.size, 1);
});

test('full, the oldest told entry of the fullest server goes first and nothing overflows', () => {
  const { box, put, tell, refs } = mailbox();
  put(20, 10, 11);
  tell();
  put(12, 13, 14, 15, 16, 17, 18, 19, 21, 22, 23);
  assert.equal(box.size, 14);
  put(30);
  assert.deepEqual(refs(), [20, 11, 12, 13, 14, 15, 16, 17, 18, 19, 21, 22, 23, 30]);
  assert.equal(box.overflow, false);
});

test('full of untold entries, the oldest of the fullest server goes and overflow is set', () => {
  const { box, put, refs } = mailbox();
  put(20, 21, 22, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 23);
  assert.equal(put(30), 'new');
  assert.ok(!refs().includes(10) && refs().includes(20));
  assert.equal(box.overflow, true);
});

test('between servers that have as many, the newcomer gives way to itself', () => {
  const { put, refs } = mailbox();
  put(10, 20, 11, 21, 12, 22, 13, 23, 14, 24, 15, 25, 16, 26);
  put(27);
  assert.deepEqual(refs(), [10, 11, 21, 12, 22, 13, 23, 14, 24, 15, 25, 16, 26, 27]);
});

test('a full pool loses the signal and sets overflow; what is known is still replaced', () => {
  const { box, put } = mailbox(2);
  put(10, 11);
  assert.equal(put(12), 'lost');
  assert.equal(box.overflow, true);
  assert.equal(put(10), 'replaced');
});

test('metadata of any length is kept up to its bound, beyond it none; rows are overwritten when they go', () => {
  const { box, pool } = mailbox();
  box.put(1, 1, 1, NONCE, new Uint8Array(MAX_METADATA).fill(9));
  box.put(2, 1, 1, NONCE, new Uint8Array(0));
  box.put(3, 1, 1, NONCE, new Uint8Array(MAX_METADATA + 1).fill(9));
  const [long, empty, longer] = box.window(6).entries;
  assert.equal(long!.metadata.length, MAX_METADATA);
  assert.deepEqual([empty!.metadata.length, longer!.metadata.length], [0, 0]);
  box.clear();
  assert.ok(long!.metadata.every((byte) => byte === 0) && long!.nonce.every((byte) => byte === 0));
  assert.deepEqual([box.size, box.untold, pool.size], [0, 0, 0]);
});

test('an entry that can be told in no push is dropped for the overflow flag', () => {
  const { box, put, tell, refs } = mailbox();
  put(10);
  tell();
  put(11, 12);
  box.dropUnsendable();
  assert.deepEqual(refs(), [10, 12]);
  assert.equal(box.overflow, true);
});
