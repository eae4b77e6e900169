/** The SMP source beside real clients of a messaging server: what one sends, the other hears. */
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { connectSmp, type OwnQueue, type SmpClient } from '../../services/simulators/smp/client.js';
import { type SmpStandIn, startSmpServer } from '../../services/simulators/smp/server.js';
import { cbDecrypt } from '../../shared/crypto/box.js';
import { utf8 } from '../../shared/encoding/bytes.js';
import { systemClock as clock } from '../../shared/run/clock.js';
import { native as crypto } from '../support/crypto.js';
import { smpSource } from '../support/smp-source.js';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** A server in a hurry, a user of it with `count` queues, and a source that follows them under refs 0, 1, 2, … */
async function setUp(count: number) {
  const server = await startSmpServer({ crypto, clock, timing: { deliveryMs: 20, endMs: 20 } });
  closers.push(() => server.close());
  const user = await connect(server);
  const queues: OwnQueue[] = [];
  for (let i = 0; i < count; i++) queues.push(await user.createQueue({ notifier: true }));
  const { source, sink, metrics } = smpSource(crypto);
  closers.push(() => source.close());
  const handles = queues.map(({ notifier }, ref) => {
    const followed = source.follow({ server: server.address, notifierId: notifier!.id }, notifier!.key, ref);
    assert.ok('handle' in followed);
    return followed.handle;
  });
  await sink.until(() => sink.count('active') === count);
  return { server, user, queues, source, sink, metrics, handles };
}

async function connect(server: SmpStandIn): Promise<SmpClient> {
  const client = await connectSmp({
    crypto,
    host: server.host,
    port: server.port,
    keyHash: server.address.keyHash,
  });
  closers.push(() => client.close());
  return client;
}

const send = (user: SmpClient, queue: OwnQueue) => user.send(queue.senderId, utf8('hello'));

describe('SMP source and server stand-in', () => {
  test('a message with the flag is a signal whose metadata the phone can open', async () => {
    const { user, queues, sink } = await setUp(3);
    await send(user, queues[1]!);
    await sink.until(() => sink.signals.length === 1);
    const { ref, nonce, metadata } = sink.signals[0]!;
    assert.equal(ref, 1);
    assert.equal(cbDecrypt(crypto, queues[1]!.notifier!.secret, nonce, metadata)?.[0], 24, 'a message id');
  });

  test('another subscriber ends it, deletion deletes it', async () => {
    const { server, user, queues, sink } = await setUp(3);
    await (await connect(server)).subscribeNotifications(queues[0]!.notifier!);
    await user.disableNotifications(queues[1]!);
    await sink.until(() => sink.last(0) === 'end' && sink.last(1) === 'deleted');
    assert.equal(sink.last(2), 'active');
  });

  test('after a cut all is subscribed again, told as maybe missed, and hears what comes next', async () => {
    const { server, user, queues, sink } = await setUp(10);
    server.dropConnections();
    await sink.until(() => sink.missed.length === 10 && sink.count('active') === 10);
    user.close();
    await send(await connect(server), queues[4]!);
    await sink.until(() => sink.signals.length === 1);
    assert.equal(sink.signals[0]!.ref, 4);
  });

  test('an unfollowed queue is silent, and can be followed again', async () => {
    const { server, user, queues, source, sink, metrics, handles } = await setUp(2);
    source.unfollow(handles[0]!);
    await send(user, queues[0]!);
    await send(user, queues[1]!);
    await sink.until(() => sink.signals.length === 1);
    assert.equal(sink.signals[0]!.ref, 1);
    const { id, key } = queues[0]!.notifier!;
    source.follow({ server: server.address, notifierId: id }, key, 7);
    await sink.until(() => sink.last(7) === 'active');
    await send(user, queues[0]!);
    await sink.until(() => sink.signals.some(({ ref }) => ref === 7));
    assert.equal(metrics.count('smp_servers'), 1);
  });
});
