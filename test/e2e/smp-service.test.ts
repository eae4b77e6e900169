/** Sessions as a service over real TLS, between the SMP source and the stand-in. */
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { connectSmp, type OwnQueue, type SmpClient } from '../../services/simulators/smp/client.js';
import type { SmpStandInOptions } from '../../services/simulators/smp/options.js';
import { type SmpStandIn, startSmpServer } from '../../services/simulators/smp/server.js';
import { authKeyPair } from '../../services/subscriber/probe/smp-user.js';
import type { ServiceIdentity } from '../../services/subscriber/sources/smp/service-identity.js';
import { createIdentity, toPem } from '../../shared/crypto/x509.js';
import { utf8 } from '../../shared/encoding/bytes.js';
import { systemClock as clock } from '../../shared/run/clock.js';
import { native as crypto } from '../support/crypto.js';
import { newServiceIdentity, serviceIdentityFrom } from '../support/service-identity.js';
import { smpSource } from '../support/smp-source.js';

const COUNT = 5;
const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function connect(server: SmpStandIn): Promise<SmpClient> {
  const { host, port, address } = server;
  const client = await connectSmp({ crypto, host, port, keyHash: address.keyHash });
  closers.push(() => client.close());
  return client;
}

/** A server and a user with queues at it. */
async function rig(options: Partial<SmpStandInOptions> = {}) {
  const timing = { deliveryMs: 20, endMs: 20 };
  const server = await startSmpServer({ crypto, clock, timing, ...options });
  closers.push(() => server.close());
  const user = await connect(server);
  const queues: OwnQueue[] = [];
  for (let i = 0; i < COUNT; i++) queues.push(await user.createQueue({ notifier: true }));
  return { server, user, queues };
}

/** A source as this service that follows the queues under refs 0, 1, 2, … */
async function follow(server: SmpStandIn, queues: readonly OwnQueue[], service: ServiceIdentity) {
  const made = smpSource(crypto, { service });
  closers.push(() => made.source.close());
  for (const [ref, { notifier }] of queues.entries()) {
    made.source.follow({ server: server.address, notifierId: notifier!.id }, notifier!.key, ref);
  }
  await made.sink.until(() => made.sink.count('active') === queues.length);
  return made;
}

const chainOf = (algorithm: 'ed25519' | 'ed448'): ServiceIdentity => {
  const { leafCert, caCert, leafKey } = createIdentity({ algorithm, commonName: 'x', now: new Date() });
  const certificates = toPem('CERTIFICATE', leafCert) + toPem('CERTIFICATE', caCert);
  return serviceIdentityFrom(certificates + toPem('PRIVATE KEY', leafKey));
};

describe('SMP source as a service', () => {
  for (const [max, what, service] of [
    [18, 'one self-signed certificate', newServiceIdentity()],
    [20, 'one self-signed certificate', newServiceIdentity()],
    [18, 'a chain of two with Ed448', chainOf('ed448')],
  ] as const) {
    test(`version ${max}, ${what}: associates, comes back by one command, hears all`, async () => {
      const { server, user, queues } = await rig({ versions: { min: 6, max } });
      const { sink, metrics } = await follow(server, queues, service);
      assert.equal(metrics.count('smp_associated_queues'), COUNT);
      const before = server.counters().commands;
      server.dropConnections();
      await sink.until(() => sink.missed.length === COUNT && sink.count('active') === COUNT);
      assert.equal(server.counters().commands, before + 1);
      assert.equal(metrics.count('smp_service_answers_total', 'same'), 1);
      user.close();
      await (await connect(server)).send(queues[3]!.senderId, utf8('hello'));
      await sink.until(() => sink.signals.length === 1);
      assert.equal(sink.signals[0]!.ref, 3);
    });
  }

  test('a server without services, and one below version 16: as an ordinary client', async () => {
    for (const options of [{ services: false }, { versions: { min: 6, max: 15 } }]) {
      const { server, queues } = await rig(options);
      const { metrics } = await follow(server, queues, newServiceIdentity());
      assert.equal(metrics.count('smp_associated_queues'), 0);
      assert.equal(metrics.count('smp_service_sessions_total', 'refused'), 0);
    }
  });

  test('an ordinary subscriber takes one queue, its owner deletes another', async () => {
    const { server, user, queues } = await rig();
    const { sink, metrics } = await follow(server, queues, newServiceIdentity());
    await (await connect(server)).subscribeNotifications(queues[0]!.notifier!);
    await user.disableNotifications(queues[1]!);
    await sink.until(() => sink.last(0) === 'end' && sink.last(1) === 'deleted');
    assert.equal(metrics.count('smp_associated_queues'), COUNT - 2);
  });

  test('a second process with the certificate: the first goes on as an ordinary client, both hear their own', async () => {
    const { server, user, queues } = await rig();
    const service = newServiceIdentity();
    const first = await follow(server, queues.slice(0, 3), service);
    const second = await follow(server, queues.slice(3), service);
    await first.sink.until(() => first.sink.missed.length === 3 && first.sink.count('active') === 3);
    assert.equal(first.metrics.count('smp_service_ended_total'), 1);
    for (const { senderId } of queues) await user.send(senderId, utf8('hello'));
    await first.sink.until(() => first.sink.signals.length === 3);
    await second.sink.until(() => second.sink.signals.length === 2);
    assert.equal(second.metrics.count('smp_associated_queues'), 2);
  });

  test('the server lost its services: all are asked for, and associated again', async () => {
    const { server, queues } = await rig();
    const { sink, metrics } = await follow(server, queues, newServiceIdentity());
    server.forgetServices();
    server.dropConnections();
    await sink.until(() => sink.missed.length === COUNT && sink.count('active') === COUNT);
    assert.equal(metrics.count('smp_associated_queues'), COUNT);
    server.dropConnections();
    await sink.until(() => sink.missed.length === 2 * COUNT && sink.count('active') === COUNT);
    assert.equal(metrics.count('smp_service_answers_total', 'same'), 1);
  });

  test('new notifier credentials belong to no service', async () => {
    const { server, user, queues } = await rig({ versions: { min: 6, max: 20 } });
    const { sink, metrics } = await follow(server, queues, newServiceIdentity());
    await user.enableNotifications(queues[2]!);
    await sink.until(() => sink.last(2) === 'deleted');
    server.dropConnections();
    await sink.until(() => sink.missed.length === COUNT - 1);
    assert.equal(metrics.count('smp_service_answers_total', 'same'), 1);
  });

  test('a key that is not the queue’s shows AUTH, and the others stay', async () => {
    const { server, queues } = await rig();
    const { source, sink } = await follow(server, queues.slice(1), newServiceIdentity());
    const { privateKey } = authKeyPair(crypto);
    source.follow({ server: server.address, notifierId: queues[0]!.notifier!.id }, privateKey, 9);
    await sink.until(() => sink.last(9) === 'auth');
    assert.equal(sink.count('active'), COUNT - 1);
  });
});
