/** A subscriber, a gateway and simulators that were stopped leave no timer and no socket behind, after a hand-over too. */
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { utf8 } from '../../shared/encoding/bytes.js';
import { sleep, systemClock } from '../../shared/run/clock.js';
import { eventually } from '../support/world/eventually.js';
import { asSuccessor, closeAll, settledWorld, takesOver, upgrade } from '../support/world/hand-over.js';
import { TestPhone } from '../support/world/phone.js';

/** What keeps this process alive, by kind; tests' own timers and pipes are the same before and after. */
const active = (): string => process.getActiveResourcesInfo().filter(isOurs).sort().join();
const isOurs = (kind: string): boolean => /^(TCP|TLS|HTTP|Pipe|GetAddr)/.test(kind);

describe('everybody stopped', () => {
  afterEach(closeAll);

  /** Stops the world, which must have begun after `before`. */
  async function leavesNothing(
    { clock }: Awaited<ReturnType<typeof settledWorld>>['world'],
    before: string,
  ): Promise<void> {
    await closeAll();
    await eventually('nothing left', () => clock.pending === 0 && active() === before);
  }

  test('after ordinary work', async () => {
    const before = active();
    const { world, phone } = await settledWorld();
    await phone.wakesUp('queue 0');
    await leavesNothing(world, before);
  });

  test('after a hand-over, on both sides', async () => {
    const before = active();
    const { world, phone } = await settledWorld();
    await upgrade(world);
    await phone.wakesUp('queue 0');
    await leavesNothing(world, before);
  });

  test('the successor first, while the old one still hears messaging servers out', async () => {
    const before = active();
    const { world } = await settledWorld();
    const server = world.messagingServers[0]!;
    server.faults.add({ kind: 'answer', word: 'NSUB', error: { kind: 'INTERNAL' }, times: 2 });
    const old = await world.upgradeSubscriber();
    await world.subscriber.close();
    await old.replaced;
    await old.close();
    await eventually('connections closed', () => server.counters().subscriptions === 0);
    await leavesNothing(world, before);
  });

  test('a phone that asked to register while all stood still', async () => {
    const before = active();
    const { world } = await settledWorld();
    const { channel } = await asSuccessor(world);
    await channel.expect('begin');
    const late = new TestPhone(world);
    const registered = late.sdk.register({ provider: 'AT', text: utf8(late.token) }).catch(() => 'closed');
    await sleep(systemClock, 100);
    await takesOver(channel);
    assert.equal(await registered, 'closed');
    await channel.close();
    await leavesNothing(world, before);
  });
});
