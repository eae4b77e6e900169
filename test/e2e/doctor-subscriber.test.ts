/** `porchlight doctor subscriber` against a running subscriber, its gateway, and stand-ins of the others. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { toBase64url } from '../../shared/encoding/base64url.js';
import { askControl } from '../../shared/run/control-client.js';
import type { Finding } from '../../shared/run/doctor.js';
import { formatServer } from '../../shared/smp/address.js';
import { runCli } from '../support/cli.js';
import { eventually, eventuallyLater } from '../support/world/eventually.js';
import { TestPhone } from '../support/world/phone.js';
import { startWorld, type World } from '../support/world/world.js';

/** Longer than the longest wait for a signal or a push. */
const LONG_MS = 30_000;
/** The user's connection: handshake, PING, NEW, NKEY, SEND. */
const BLOCK_OF_SEND = 4;
const SERVER_HOPS = ['dial', 'TLS and identity', 'SMP handshake', 'NEW', 'NKEY', 'NSUB', 'SEND', 'NMSG'];
const PUSH_HOPS = ['mailbox', 'push sealed', 'push accepted'];
const NEAR_HOPS = [
  'gateway main: statement',
  'gateway main: signed hello',
  'gateway main: clocks',
  'gateway main: app of phones',
  'listener phones',
];

interface Question {
  readonly server?: string;
  readonly device?: string;
}

let world: World;
let phone: TestPhone;
before(async () => {
  world = await startWorld();
  phone = new TestPhone(world);
  await phone.register();
});
after(() => world.close());

const socket = () => join(world.subscriberFolder, 'control.sock');
const messagingServer = () => world.messagingServers[0]!;
const address = () => formatServer(messagingServer().address);
const phoneId = () => toBase64url(phone.authority.entityId);
const queues = () => messagingServer().counters().queues;

/** What the doctor finds; `said` with each finding as it comes. */
async function ask(question: Question, said: (finding: Finding) => void = () => {}): Promise<Finding[]> {
  const findings: Finding[] = [];
  for await (const line of askControl(socket(), { do: 'doctor', ...question })) {
    findings.push(line as unknown as Finding);
    said(findings.at(-1)!);
  }
  for (const { state, fix, detail } of findings) {
    assert.ok(detail.length > 0);
    assert.equal(fix !== undefined, state !== 'ok');
  }
  return findings;
}

const names = (findings: readonly Finding[]) => findings.map(({ name }) => name);
const last = (findings: readonly Finding[], name: string) => findings.find((f) => f.name === name);
const wrong = (findings: readonly Finding[]) =>
  findings.filter(({ state }) => state !== 'ok').map(({ name, state, detail }) => [name, state, detail]);

describe('all is well', () => {
  test('without a server: gateway, clocks, app and listener', async () => {
    const findings = await ask({});
    assert.deepEqual(names(findings), NEAR_HOPS);
    assert.deepEqual(wrong(findings), []);
  });

  test('with one: each hop has its time, and the queue is gone afterwards', async () => {
    const before = queues();
    const findings = await ask({ server: address() });
    assert.deepEqual(names(findings), [...NEAR_HOPS, ...SERVER_HOPS, 'DEL']);
    assert.deepEqual(wrong(findings), []);
    for (const name of SERVER_HOPS) assert.equal(typeof last(findings, name)!.ms, 'number');
    assert.match(last(findings, 'SMP handshake')!.detail, /version 18/);
    assert.equal(queues(), before);
    await eventually('nothing followed', async () => (await world.metric('subscriber', 'smp_queues')) === 0);
  });

  test('with a phone: the push reaches it', async () => {
    const pushes = phone.pushes.length;
    const findings = await ask({ server: address(), device: phoneId() });
    assert.deepEqual(names(findings), [...NEAR_HOPS, ...SERVER_HOPS, ...PUSH_HOPS, 'DEL']);
    assert.deepEqual(wrong(findings), []);
    await eventually('push', () => phone.pushes.length > pushes);
    assert.equal(queues(), 0);
  });

  test('in service mode too', async (t) => {
    const other = await startWorld({ subscriber: { SMP_SERVICE_CERTIFICATE: serviceFile() } });
    t.after(() => other.close());
    const [only] = other.messagingServers;
    const path = join(other.subscriberFolder, 'control.sock');
    const server = formatServer(only!.address);
    const findings: Finding[] = [];
    for await (const line of askControl(path, { do: 'doctor', server }))
      findings.push(line as unknown as Finding);
    assert.deepEqual(
      wrong(findings).filter(([name]) => !name!.startsWith('gateway')),
      [],
    );
  });
});

const serviceFile = () => join(world.subscriberFolder, 'service.pem');

describe('what is wrong is named, and mended how', () => {
  test('another identity', async () => {
    const server = formatServer({ ...messagingServer().address, keyHash: new Uint8Array(32) });
    const findings = await ask({ server });
    assert.deepEqual(wrong(findings), [
      ['TLS and identity', 'failed', 'the server has another identity than the address names'],
    ]);
    assert.match(last(findings, 'TLS and identity')!.fix!, /fingerprint/);
  });

  test('a server that is down, that is no SMP server, that nobody may dial', async (t) => {
    const server = await world.addMessagingServer();
    const text = formatServer(server.address);
    await server.down();
    t.after(() => server.up());
    assert.deepEqual(wrong(await ask({ server: text })), [['dial', 'failed', 'nobody listens there']]);
    const port = world.notificationServer.port;
    const notifications = formatServer({ ...server.address, port });
    assert.equal(wrong(await ask({ server: notifications }))[0]![0], 'TLS and identity');
    const forbidden = formatServer({ ...server.address, hosts: ['10.0.0.1'] });
    assert.match(last(await ask({ server: forbidden }), 'dial')!.fix!, /allow_networks/);
  });

  test('a server that refuses commands, and the queue that was made before', async () => {
    const { faults } = messagingServer();
    faults.add({ kind: 'answer', word: 'NEW', error: { kind: 'AUTH' } });
    const refused = await ask({ server: address() });
    assert.match(last(refused, 'NEW')!.fix!, /create_password/);
    for (const word of ['NKEY', 'NSUB', 'SEND'] as const) {
      faults.add({ kind: 'answer', word, error: { kind: 'AUTH' } });
      const findings = await ask({ server: address() });
      assert.deepEqual([wrong(findings)[0]![0], last(findings, 'DEL')?.state], [word, 'ok']);
      assert.equal(queues(), 0);
    }
  });

  test('a signal that never comes', async () => {
    const lost = () => messagingServer().counters().notificationsLost;
    const before = lost();
    messagingServer().faults.add({ kind: 'vanish' });
    const findings = await ask({ server: address() }, ({ name }) => {
      if (name === 'SEND')
        void eventually('lost', () => lost() > before).then(() => world.clock.leap(LONG_MS));
    });
    assert.deepEqual(wrong(findings), [['NMSG', 'failed', 'no signal came']]);
    assert.deepEqual([last(findings, 'DEL')?.state, queues()], ['ok', 0]);
  });

  test('a server that goes silent, and lets nobody in again: the queue stays behind, and that is said', async () => {
    const { faults, address: silent } = await world.addMessagingServer();
    faults.add({ kind: 'stall', block: BLOCK_OF_SEND });
    const findings = await ask({ server: formatServer(silent) }, ({ name }) => {
      if (name !== 'NSUB') return;
      faults.add({ kind: 'refuse', forMs: 10 * LONG_MS });
      world.clock.leap(LONG_MS);
    });
    const troubles = wrong(findings).map(([name, state]) => [name, state]);
    assert.deepEqual(troubles, [
      ['SEND', 'failed'],
      ['DEL', 'warning'],
    ]);
  });

  test('a phone that is unknown, or named without a server, and a server that is none', async () => {
    const device = toBase64url(new Uint8Array(24));
    for (const wanted of [device, 'nonsense']) {
      const findings = await ask({ server: address(), device: wanted });
      assert.deepEqual(wrong(findings), [['--device', 'failed', 'no such phone is registered']]);
    }
    assert.equal(wrong(await ask({ device: phoneId() }))[0]![0], '--device');
    assert.equal(wrong(await ask({ server: 'smp.example' }))[0]![0], '--server');
  });

  test('a gateway that is down: the signal still comes to the mailbox, the push does not leave', async () => {
    await world.gateway.close();
    const findings = await ask({ server: address(), device: phoneId() });
    await world.startGateway();
    const [gateway, push, ...more] = wrong(findings);
    assert.deepEqual(gateway, ['gateway main: statement', 'failed', 'not accepted: unreachable']);
    assert.ok(PUSH_HOPS.slice(1).includes(push![0]!));
    assert.deepEqual(
      [more, last(findings, 'mailbox')?.state, last(findings, 'DEL')?.state],
      [[], 'ok', 'ok'],
    );
    const isUp = async () => (await world.metric('subscriber', 'link_available')) === 1;
    await eventuallyLater(world.clock, 'gateway back', isUp);
  });

  test('two at once: the second is told to wait', async () => {
    let second: Promise<Finding[]> | undefined;
    await ask({}, () => (second ??= ask({ server: address() })));
    assert.deepEqual(wrong((await second)!), [['doctor', 'failed', 'another one is at work']]);
  });

  test('whoever asked goes away: the queue is deleted all the same', async () => {
    for await (const { name } of askControl(socket(), { do: 'doctor', server: address() }))
      if (name === 'NEW') break;
    await eventually('deleted', () => queues() === 0);
    await eventually('ready for the next', async () => wrong(await ask({})).length === 0);
  });
});

test('the command prints a table, a fix below what fails, and nothing secret in the log', async () => {
  const doctor = (...more: string[]) =>
    runCli({ cwd: world.subscriberFolder }, 'doctor', 'subscriber', '--config', 'subscriber.toml', ...more);
  const well = await doctor('--server', address(), '--device', phoneId());
  assert.equal(well.code, 0, well.stdout + well.stderr);
  assert.match(well.stdout, /^hop +state +time +detail$/m);
  assert.match(well.stdout, /^configuration and files +ok +complete/m);
  assert.match(well.stdout, /^NMSG +ok +\d+ ms +the signal arrived$/m);
  assert.match(well.stdout, /^push accepted +ok +\d+ ms /m);
  await world.gateway.close();
  const ill = await doctor();
  await world.startGateway();
  assert.equal(ill.code, 1);
  assert.match(
    ill.stdout,
    /^gateway main: statement +failed +\d+ ms +not accepted: unreachable\n +check host and port/m,
  );
  const log = world.logLines.join('');
  for (const secret of [phoneId(), address(), toBase64url(messagingServer().address.keyHash)]) {
    assert.ok(!log.includes(secret));
  }
});

test('a subscriber that does not run: what can be checked is, and how to start it is said', async () => {
  const cwd = world.subscriberFolder;
  const env = { PORCHLIGHT_SUBSCRIBER_CONTROL_SOCKET: join(cwd, 'nobody.sock') };
  const { code, stdout } = await runCli({ cwd, env }, 'doctor', 'subscriber', '--config', 'subscriber.toml');
  assert.equal(code, 1);
  assert.match(stdout, /^configuration and files +ok/m);
  assert.match(
    stdout,
    /^subscriber +failed .*no service listens there.*\n +start it with "porchlight subscriber/m,
  );
});
