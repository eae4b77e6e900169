/**
 * Hand-over (design §5): one subscriber takes over from another while messages keep coming. Nothing is lost, no phone
 * has to do anything, and what phones hold stays good.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, afterEach, describe, test } from 'node:test';
import { writeSecretFile } from '../../shared/run/files.js';
import { servicePem } from '../support/service-identity.js';
import { Accountant } from '../support/world/accountant.js';
import { eventually } from '../support/world/eventually.js';
import { TestPhone } from '../support/world/phone.js';
import { startWorld, type World, type WorldOptions } from '../support/world/world.js';

const PHONES = 3;
const QUEUES_EACH = 4;
const MESSAGES = 1_000;
const UPGRADES = 3;

const worlds: World[] = [];
afterEach(async () => {
  for (const world of worlds.splice(0)) await world.close();
});
after(() => {});

async function settledWorld(options: WorldOptions = {}) {
  const world = await startWorld({ messagingServers: 2, ...options });
  worlds.push(world);
  const phones = Array.from({ length: PHONES }, () => new TestPhone(world));
  for (const phone of phones) {
    await phone.register();
    await phone.stopPeriodicChecks();
    for (let n = 0; n < QUEUES_EACH; n++) await phone.follow(`queue ${n}`, world.messagingServers[n % 2]!);
  }
  return { world, phones, accountant: new Accountant(phones) };
}

describe('a subscriber hands over', () => {
  test('1,000 messages across three upgrades in a row, 1,000 told', async () => {
    const { world, phones, accountant } = await settledWorld();
    let isOver = false;
    const traffic = async (): Promise<void> => {
      for (let n = 0; n < MESSAGES || !isOver; n++) {
        await accountant.send(phones[n % PHONES]!, `queue ${Math.floor(n / PHONES) % QUEUES_EACH}`);
      }
    };
    const upgrades = async (): Promise<void> => {
      for (let n = 0; n < UPGRADES; n++) {
        const before = await world.upgradeSubscriber();
        await before.replaced;
        await before.close();
      }
      isOver = true;
    };
    await Promise.all([traffic(), upgrades()]);
    assert.deepEqual(await accountant.settle(world.clock), []);
    assert.ok(accountant.sent >= MESSAGES);
    for (const phone of phones) {
      await phone.sdk.check();
      assert.equal(phone.sdk.status, 'ACTIVE');
      assert.equal(phone.results.filter((result) => result?.kind === 'verification').length, 1);
    }
  });
});
