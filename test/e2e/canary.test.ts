/** A canary of a running subscriber against the messaging server's stand-in, and what breaks its path. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, test } from 'node:test';
import { type SmpStandIn, startSmpServer } from '../../services/simulators/smp/server.js';
import { systemClock } from '../../shared/run/clock.js';
import { writeSecretFile } from '../../shared/run/files.js';
import { formatServer } from '../../shared/smp/address.js';
import { native as crypto } from '../support/crypto.js';
import { servicePem } from '../support/service-identity.js';
import { eventuallyLater } from '../support/world/eventually.js';
import { TestPhone } from '../support/world/phone.js';
import { startWorld, type World } from '../support/world/world.js';

const TIMING = { deliveryMs: 20, endMs: 20 };
/** Of the connection that queues are followed on: handshake, NSUB, then whatever comes next. */
const NEXT_BLOCK = 2;

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

interface Rig {
  readonly world: World;
  readonly server: SmpStandIn;
  count(sample: string): Promise<number>;
  /** Lets time pass until the canary says so. */
  until(state: string): Promise<void>;
}

/** A subscriber whose canary has heard its first signal. */
async function singing(more: Readonly<Record<string, string>> = {}): Promise<Rig> {
  const server = await startSmpServer({ crypto, clock: systemClock, timing: TIMING });
  cleanups.push(() => server.close());
  const world = await startWorld({
    subscriber: { SMP_CANARIES: formatServer(server.address), SMP_CANARY_MINUTES: '1', ...more },
  });
  cleanups.push(() => world.close());
  const count = (sample: string) => world.metric('subscriber', sample);
  const isIn = async (state: string) => (await count(`canary_servers{state="${state}"}`)) === 1;
  const until = (state: string) => eventuallyLater(world.clock, state, () => isIn(state));
  await until('ok');
  return { world, server, count, until };
}

function serviceFile(): string {
  const folder = mkdtempSync(join(tmpdir(), 'porchlight-canary-'));
  cleanups.push(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'service.pem');
  writeSecretFile(file, servicePem());
  return file;
}

describe('canary', () => {
  for (const mode of ['as an ordinary client', 'as a service']) {
    test(`sends itself messages, and hears of them (${mode})`, async () => {
      const env = mode === 'as a service' ? { SMP_SERVICE_CERTIFICATE: serviceFile() } : {};
      const { world, server, count } = await singing(env);
      const arrived = () => count('canary_messages_total{result="arrived"}');
      await eventuallyLater(world.clock, 'more', async () => (await arrived()) >= 3);
      assert.equal(server.counters().queues, 1);
      assert.equal(await count('canary_signal_seconds_count'), await arrived());
      assert.equal(await count('canary_reconnects_total'), 0);
      assert.equal(await count('smp_associated_queues'), mode === 'as a service' ? 1 : 0);
      const log = world.logLines.join('');
      assert.ok(!log.includes(formatServer(server.address)) && !log.includes(String(server.port)));
      await world.close();
      assert.equal(server.counters().queues, 0, 'the end deletes its queue');
    });
  }

  test('signals that vanish: silence is told, that connection is made anew, the others are not', async () => {
    const { world, server, count, until } = await singing();
    const phone = new TestPhone(world);
    await phone.register();
    await phone.follow('home');
    const others = world.messagingServers[0]!.counters().sessions;
    server.faults.add({ kind: 'vanish', times: 1_000 });
    await until('silent');
    assert.equal(await count('canary_reconnects_total'), 1);
    assert.equal(await count('smp_disconnects_total{cause="canary"}'), 1);
    server.faults.clear();
    await until('ok');
    assert.equal(world.messagingServers[0]!.counters().sessions, others);
    await phone.wakesUp('home');
  });

  test('a connection that is silently dead is found and replaced', async () => {
    const { world, server, count, until } = await singing();
    server.faults.add({ kind: 'stall', block: NEXT_BLOCK });
    const ended = async (): Promise<boolean> => {
      const causes = ['silent', 'canary'].map((cause) => count(`smp_disconnects_total{cause="${cause}"}`));
      return Math.max(...(await Promise.all(causes))) > 0;
    };
    await eventuallyLater(world.clock, 'replaced', ended);
    const before = await count('canary_messages_total{result="arrived"}');
    const again = async () => (await count('canary_messages_total{result="arrived"}')) > before;
    await eventuallyLater(world.clock, 'heard again', again);
    await until('ok');
    assert.equal(await count('canary_queues_total'), 1);
  });

  test('a server that restarts, and one that comes back without its queues', async () => {
    const { world, server, count, until } = await singing();
    const arrived = () => count('canary_messages_total{result="arrived"}');
    const more = async (n: number) => {
      const goal = (await arrived()) + n;
      await eventuallyLater(world.clock, 'more', async () => (await arrived()) >= goal);
    };
    await server.restart({ graceful: false });
    await more(2);
    assert.equal(await count('canary_queues_total'), 1);
    const { identity, port } = server;
    await server.close();
    await until('unreachable');
    const next = await startSmpServer({ crypto, clock: systemClock, timing: TIMING, identity, port });
    cleanups.push(() => next.close());
    await until('ok');
    await more(1);
    assert.equal(await count('canary_queues_total'), 2);
    assert.equal(next.counters().queues, 1);
  });
});
