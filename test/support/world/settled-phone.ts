/** A phone that must not notice that the subscriber's process was replaced. */
import assert from 'node:assert/strict';
import { utf8 } from '../../../shared/encoding/bytes.js';
import { sleep, systemClock } from '../../../shared/run/clock.js';
import { Accountant } from './accountant.js';
import { eventually } from './eventually.js';
import { TestPhone } from './phone.js';
import type { World } from './world.js';

/** Between messages: a phone has its budget, and a queue its bound. */
const PAUSE_MS = 80;

/** Registered at `world.notificationServer`, and following a queue. */
export async function settledPhone(world: World): Promise<TestPhone> {
  const phone = new TestPhone(world);
  await eventually('registered', async () => {
    if (phone.sdk.status === undefined || phone.sdk.status === 'NEW') {
      await phone.sdk.register({ provider: 'AT', text: utf8(phone.token) }).catch(() => {});
    }
    return phone.sdk.status === 'ACTIVE';
  });
  await phone.stopPeriodicChecks();
  await phone.follow('queue');
  return phone;
}

/** Messages come all the while; each is told, and every id that the phone has stays good. */
export async function staysTheSame(
  world: World,
  phone: TestPhone,
  happens: () => Promise<void>,
): Promise<void> {
  const accountant = new Accountant([phone]);
  const before = phone.sdk.save();
  let isOver = false;
  const traffic = async (): Promise<void> => {
    while (!isOver) {
      await accountant.send(phone, 'queue');
      await sleep(systemClock, PAUSE_MS);
    }
  };
  await Promise.all([
    traffic(),
    happens().finally(() => {
      isOver = true;
    }),
  ]);
  await phone.receive('queue');
  assert.deepEqual(await accountant.settle(world.clock), []);
  await phone.sdk.check();
  assert.equal(phone.sdk.status, 'ACTIVE');
  const after = phone.sdk.save();
  assert.deepEqual(after.device?.registered, before.device?.registered);
  assert.deepEqual(
    after.subscriptions.map(({ subscriptionId }) => subscriptionId),
    before.subscriptions.map(({ subscriptionId }) => subscriptionId),
  );
}
