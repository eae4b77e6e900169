import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CanaryRig, INTERVAL_MS } from '../../../../support/canary.js';

const MINUTE = 60_000;
/** The first message leaves in the first half minute. */
const FIRST_MS = MINUTE;

/** A canary whose first message has come back. */
async function singing(): Promise<CanaryRig> {
  const rig = new CanaryRig();
  await rig.clock.advance(FIRST_MS);
  assert.equal(rig.canary.state, 'ok');
  return rig;
}

const results = (rig: CanaryRig, result: string): number =>
  rig.metrics.count('canary_messages_total', result);

test('a message each few minutes, and each signal counts; no device hears of it', async () => {
  const rig = await singing();
  await rig.clock.advance(4 * INTERVAL_MS + 5 * MINUTE);
  assert.equal(rig.sent, results(rig, 'arrived'));
  assert.ok(rig.sent >= 5 && rig.sent <= 6);
  assert.equal(rig.metrics.count('canary_signal_seconds'), rig.sent);
  assert.deepEqual([rig.queues.size, rig.following, rig.openUsers, rig.reconnects], [1, 1, 0, 0]);
  assert.deepEqual([rig.registry.signals, rig.registry.statuses.size], [[], 0]);
});

test('silence: the path is broken, the connection is made anew once, and the next signal heals it', async () => {
  const rig = await singing();
  rig.tells = false;
  await rig.clock.advance(INTERVAL_MS + MINUTE);
  assert.deepEqual([rig.canary.state, rig.reconnects, results(rig, 'silent')], ['silent', 1, 1]);
  rig.tells = true;
  await rig.clock.advance(INTERVAL_MS + MINUTE);
  assert.deepEqual([rig.canary.state, rig.reconnects], ['ok', 1]);
});

test('a silence that goes on for a day is no storm of connections', async () => {
  const rig = await singing();
  rig.tells = false;
  await rig.clock.advance(24 * 60 * MINUTE);
  assert.ok(results(rig, 'silent') > 200);
  assert.ok(rig.reconnects >= 5 && rig.reconnects <= 12, String(rig.reconnects));
  rig.tells = true;
  await rig.clock.advance(2 * INTERVAL_MS);
  rig.tells = false;
  const before = rig.reconnects;
  await rig.clock.advance(INTERVAL_MS + MINUTE);
  assert.equal(rig.reconnects, before + 1, 'the next silence starts anew');
});

test('a connection that is away is not made anew: that is what its follower does', async () => {
  const rig = await singing();
  rig.tells = false;
  rig.report('inactive');
  await rig.clock.advance(INTERVAL_MS + 3 * MINUTE);
  assert.deepEqual([rig.canary.state, rig.reconnects, results(rig, 'unfollowed')], ['silent', 0, 1]);
  rig.tells = true;
  rig.report('active');
  await rig.clock.advance(INTERVAL_MS + MINUTE);
  assert.equal(rig.canary.state, 'ok');
});

test('nor one that is lost while its message is under way', async () => {
  const rig = await singing();
  rig.tells = false;
  for (const { sent } = rig; rig.sent === sent; ) await rig.clock.advance(1_000);
  rig.report('inactive');
  await rig.clock.advance(MINUTE);
  assert.deepEqual([rig.canary.state, rig.reconnects], ['silent', 0]);
});

test('a signal after its time does not count for the next message', async () => {
  const rig = await singing();
  rig.tells = false;
  await rig.clock.advance(INTERVAL_MS + MINUTE);
  rig.signal();
  await rig.clock.advance(INTERVAL_MS + MINUTE);
  assert.equal(results(rig, 'silent'), 2);
});

for (const kind of ['auth', 'deleted', 'end'] as const) {
  test(`a queue that is lost (${kind}) is made anew`, async () => {
    const rig = await singing();
    rig.report(kind);
    await rig.clock.advance(INTERVAL_MS + MINUTE);
    assert.deepEqual([rig.canary.state, rig.metrics.count('canary_queues_total')], ['ok', 2]);
    assert.deepEqual([rig.queues.size, rig.following], [1, 1]);
  });
}

test('a server that forgot its queues, before the source knows', async () => {
  const rig = await singing();
  rig.queues.clear();
  await rig.clock.advance(2 * INTERVAL_MS + MINUTE);
  assert.equal(results(rig, 'lost'), 1);
  assert.deepEqual([rig.canary.state, rig.queues.size, rig.reconnects], ['ok', 1, 0]);
});

test('the queue is replaced long before it is full', async () => {
  const rig = await singing();
  await rig.clock.advance(110 * INTERVAL_MS);
  assert.equal(rig.metrics.count('canary_queues_total'), 2);
  assert.deepEqual([rig.queues.size, rig.following], [1, 1]);
});

test('a server that is away, refuses, or does not confirm', async () => {
  const rig = await singing();
  rig.reachable = false;
  await rig.clock.advance(INTERVAL_MS + MINUTE);
  assert.deepEqual([rig.canary.state, results(rig, 'unreachable')], ['unreachable', 1]);
  rig.reachable = true;
  rig.error = { kind: 'QUOTA' };
  await rig.clock.advance(INTERVAL_MS + MINUTE);
  assert.deepEqual([rig.canary.state, results(rig, 'refused')], ['unreachable', 1]);
  rig.error = undefined;
  rig.confirms = false;
  await rig.clock.advance(INTERVAL_MS + 2 * MINUTE);
  assert.deepEqual([rig.canary.state, results(rig, 'unfollowed')], ['silent', 1]);
  assert.deepEqual([rig.queues.size, rig.openUsers, rig.reconnects], [1, 0, 0]);
});

test('close deletes the queue and leaves no timer', async () => {
  for (const waited of [0, FIRST_MS, FIRST_MS + INTERVAL_MS + 500]) {
    const rig = new CanaryRig();
    await rig.clock.advance(waited);
    await rig.canary.close();
    await rig.clock.advance(0);
    assert.deepEqual([rig.queues.size, rig.following, rig.openUsers, rig.clock.pending], [0, 0, 0, 0]);
  }
});

test('a server that does not answer delays the end by no more than two seconds', async () => {
  const rig = await singing();
  rig.keeps = true;
  let ended = false;
  void rig.canary.close().then(() => {
    ended = true;
  });
  await rig.clock.advance(2_000);
  assert.deepEqual([ended, rig.following, rig.openUsers, rig.clock.pending], [true, 0, 0, 0]);
});
