/** The subscriber's units under a real systemd: an upgrade by `systemctl reload`, and what goes wrong with it. */
import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { formatGatewayAddress } from '../../shared/relay/identity.js';
import { listenOn } from '../../shared/run/listen.js';
import { parseServer } from '../../shared/smp/address.js';
import { root } from '../support/paths.js';
import { Machine } from '../support/systemd/machine.js';
import { eventually } from '../support/world/eventually.js';
import type { TestPhone } from '../support/world/phone.js';
import { settledPhone, staysTheSame } from '../support/world/settled-phone.js';
import { HOST, startWorld, TOPIC, type World } from '../support/world/world.js';

const SERVICE = 'porchlight-subscriber.service';
const SOCKET = 'porchlight-subscriber.socket';
const [A, B] = ['porchlight-subscriber@a.service', 'porchlight-subscriber@b.service'];
const FOLDER = '/var/lib/porchlight-subscriber';
const CONFIG = `${FOLDER}/subscriber.toml`;
const USER = 'porchlight-subscriber';
const AS_USER = ['setpriv', '--reuid', USER, '--regid', USER, '--clear-groups'];

async function freePort(): Promise<number> {
  const server = createServer();
  await listenOn(server, { host: HOST, port: 0 });
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

describe('units of the subscriber', () => {
  const machine = new Machine();
  let world: World;
  let phone: TestPhone;
  let gateway: string;

  before(async () => {
    world = await startWorld();
    const port = await freePort();
    await machine.start({
      'etc/porchlight-units/porchlight-subscriber.socket.d/port.conf': `[Socket]\nListenStream=\nListenStream=${HOST}:${port}\n`,
      'etc/porchlight/subscriber.env':
        'PORCHLIGHT_SUBSCRIBER_SMP_ALLOW_NETWORKS_0=127.0.0.0/8\nPORCHLIGHT_SUBSCRIBER_OBSERVE_LISTEN=127.0.0.1:0\n',
    });
    const { fingerprint, port: gatewayPort } = world.gateway;
    gateway = formatGatewayAddress({ fingerprint, host: 'localhost', port: gatewayPort });
    const init = ['init', 'subscriber', '--dir', FOLDER, '--host', HOST, '--port', String(port)];
    const { status, said } = machine.run(
      ...[...AS_USER, 'porchlight', ...init, '--gateway', gateway, '--topic', TOPIC],
    );
    assert.equal(status, 0, said);
    assert.equal(machine.run('systemctl', 'start', SERVICE).status, 0);
    world.notificationServer = parseServer(/ntf:\/\/\S+/.exec(said)![0], 'ntf');
    phone = await settledPhone(world);
  });
  after(async () => {
    await machine.close();
    await world.close();
  });

  const states = (): string[] => [SERVICE, A, B].map((unit) => machine.state(unit));

  const running = (): string[] => [SERVICE, A, B].filter((unit) => machine.state(unit) === 'active');

  /** Status of `systemctl reload`, beside which phones go on. */
  const reload = (): Promise<number | null> => machine.lasting('systemctl', 'reload', SERVICE);

  /** @param wanted exit status of the one that could not take over */
  async function failsToReload(wanted: number): Promise<void> {
    const before = running();
    await staysTheSame(world, phone, async () => {
      assert.equal(await reload(), 1);
    });
    assert.deepEqual(running(), before);
    const other = before.includes(A) ? B : A;
    const show = ['show', '--property=ExecMainStatus', '--value', other];
    assert.equal(machine.run('systemctl', ...show).said.trim(), String(wanted));
  }

  test('reload: b takes over from a, then a from b, and a phone keeps all; no phone starts an instance', async () => {
    assert.deepEqual(states(), ['active', 'active', 'inactive']);
    for (const wanted of [
      ['active', 'inactive', 'active'],
      ['active', 'active', 'inactive'],
    ]) {
      await staysTheSame(world, phone, async () => {
        assert.equal(await reload(), 0);
      });
      for (let n = 0; n < 5; n++) await phone.sdk.check();
      assert.deepEqual(states(), wanted);
    }
  });

  test('twice at once is one hand-over', async () => {
    assert.deepEqual(await Promise.all([reload(), reload()]), [0, 0]);
    assert.equal(running().length, 2);
    await reload();
  });

  test('upgrade says what to do instead', () => {
    const { status, said } = machine.run(...AS_USER, 'porchlight', 'upgrade', '--config', CONFIG);
    assert.equal(status, 2);
    assert.match(said, /systemctl reload porchlight-subscriber/);
  });

  test('a broken configuration: reload fails, and the old one serves on', async () => {
    machine.run('sh', '-c', `cp -p ${CONFIG} ${CONFIG}.good && echo 'nonsense = 1' >> ${CONFIG}`);
    await failsToReload(2);
    machine.run('mv', `${CONFIG}.good`, CONFIG);
  });

  test('a control socket of another name: reload fails, and the old one serves on', async () => {
    assert.equal(machine.run('sed', '-i.good', 's/control[.]sock/moved.sock/', CONFIG).status, 0);
    await failsToReload(3);
    assert.equal(machine.run('test', '-e', '/run/porchlight-instances/hand-over').status, 1);
    machine.run('mv', `${CONFIG}.good`, CONFIG);
  });

  test('another identity: reload fails, and the old one serves on', async () => {
    const other = `porchlight init subscriber --dir /run/other --host ${HOST} --gateway ${gateway} >/dev/null`;
    const change = `mv identity.key good && cp /run/other/identity.key . && chown ${USER} identity.key`;
    assert.equal(machine.run('sh', '-c', `${other} && cd ${FOLDER} && ${change}`).status, 0);
    await failsToReload(3);
    machine.run('mv', `${FOLDER}/good`, `${FOLDER}/identity.key`);
  });

  test('stop ends everything, and a phone starts nothing', async () => {
    assert.equal(machine.run('systemctl', 'stop', SERVICE).status, 0);
    await assert.rejects(phone.sdk.check());
    assert.deepEqual(running(), []);
    assert.equal(await reload(), 1);
  });

  test('restart after an instance ended by itself: one instance', async () => {
    machine.run('systemctl', 'start', SERVICE);
    machine.run('systemctl', 'stop', A);
    machine.run('systemctl', 'restart', SERVICE);
    await eventually('one runs', () => /^active,active,(inactive|failed)$/.test(states().join()));
  });

  test('removal of the package ends everything, the socket too', () => {
    const prerm = join(root, 'deploy', 'debian', 'files', 'prerm');
    machine.run('systemctl', 'enable', SERVICE);
    assert.equal(machine.run('sh', prerm, 'upgrade', '0.2.0').status, 0);
    assert.ok(running().includes(SERVICE));
    const { status, said } = machine.run('sh', prerm, 'remove');
    assert.equal(status, 0, said);
    assert.deepEqual(running(), []);
    assert.equal(machine.state(SOCKET), 'inactive');
    assert.match(machine.run('systemctl', 'is-enabled', SERVICE).said, /^disabled/);
  });
});
