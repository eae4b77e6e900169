/**
 * Hand-over between real processes: `porchlight upgrade`, and a second unit on a socket that both inherited. Their
 * phones hold on to what they have, and no connection is refused.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { descriptorOf } from '../../services/subscriber/handover/child.js';
import { makeSubscriber } from '../../services/subscriber/init.js';
import { formatGatewayAddress } from '../../shared/relay/identity.js';
import { listenOn } from '../../shared/run/listen.js';
import { parseServer } from '../../shared/smp/address.js';
import { runCli } from '../support/cli.js';
import { eventually } from '../support/world/eventually.js';
import { startHandOverProxy } from '../support/world/hand-over-proxy.js';
import type { TestPhone } from '../support/world/phone.js';
import { settledPhone, staysTheSame } from '../support/world/settled-phone.js';
import { HOST, startWorld, TOPIC, type World } from '../support/world/world.js';

const EXECUTABLE = fileURLToPath(new URL('../../services/cli/main.js', import.meta.url));
const SOME_PORT = 8443;
const ANY_PORT = `${HOST}:0`;

describe('hand-over between processes', () => {
  let world: World;
  let cwd: string;
  let address: string;
  const started: ChildProcess[] = [];

  before(async () => {
    world = await startWorld();
    cwd = mkdtempSync(join(tmpdir(), 'porchlight-upgrade-'));
    const { fingerprint, port } = world.gateway;
    const gateway = formatGatewayAddress({ fingerprint, host: 'localhost', port });
    const setting = { dir: join(cwd, 's'), gateway, host: HOST, port: SOME_PORT, topic: TOPIC };
    address = makeSubscriber(setting, { allowNetworks: ['127.0.0.0/8'] });
  });
  afterEach(() => {
    for (const { pid } of started.splice(0)) end(pid!);
  });
  after(async () => {
    await world.close();
    rmSync(cwd, { recursive: true, force: true });
  });

  const env = {
    PORCHLIGHT_SUBSCRIBER_LISTENERS_0_LISTEN: ANY_PORT,
    PORCHLIGHT_SUBSCRIBER_OBSERVE_LISTEN: ANY_PORT,
  };

  /** Ends a process and all that it started. */
  function end(pid: number): void {
    try {
      process.kill(-pid, 'SIGKILL');
    } catch {
      // it is gone
    }
  }

  /** A group of its own; `said` is what it and its successors have logged. */
  function run(
    command: string,
    args: readonly string[],
    sockets: readonly number[] = [],
    variables: Readonly<Record<string, string>> = {},
  ) {
    const stdio: StdioOptions = ['pipe', 'ignore', 'pipe', ...sockets];
    const all = { ...process.env, ...env, ...variables };
    const child = spawn(command, args, { cwd, env: all, stdio, detached: true });
    started.push(child);
    const output = { said: '', child };
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      output.said += text;
    });
    return output;
  }

  const times = (text: string, pattern: RegExp): number => text.match(new RegExp(pattern, 'g'))?.length ?? 0;

  /** A phone of the process at this port. */
  function phoneAt(port: number): Promise<TestPhone> {
    world.notificationServer = { ...parseServer(address, 'ntf'), port: String(port) };
    return settledPhone(world);
  }

  test('porchlight upgrade, twice in a row: same port, same ids, nothing untold', async () => {
    const service = run(process.execPath, [EXECUTABLE, 'subscriber', '--config', 's/subscriber.toml']);
    await eventually('ready', () => /: ready\n/.test(service.said));
    const port = Number(/listening.* port=(\d+)/.exec(service.said)![1]);
    const phone = await phoneAt(port);
    const told = service.said.length;
    for (let n = 1; n <= 2; n++) {
      await staysTheSame(world, phone, async () => {
        const { code, stdout, stderr } = await runCli(
          { cwd, env },
          'upgrade',
          '--config',
          's/subscriber.toml',
        );
        assert.deepEqual([code, stderr], [0, '']);
        assert.match(stdout, /offering\ncopying\nmirrored\ndraining\ndone/);
      });
      await eventually('gone', () => times(service.said.slice(told), /kind=gone/) === n);
    }
    const ports = [...service.said.matchAll(/listening.* port=(\d+)/g)].map((match) => Number(match[1]));
    assert.deepEqual(ports, [port, port, port]);
  });

  test('a new process that looks for the old one elsewhere ends, and the old one serves on', async () => {
    const file = join(cwd, 's/subscriber.toml');
    const unchanged = join(cwd, 's/unchanged.toml');
    const service = run(process.execPath, [EXECUTABLE, 'subscriber', '--config', file]);
    await eventually('ready', () => /: ready\n/.test(service.said));
    copyFileSync(file, unchanged);
    writeFileSync(file, readFileSync(file, 'utf8').replace(/control\.sock/, 'moved.sock'));
    const phone = await phoneAt(Number(/listening.* port=(\d+)/.exec(service.said)![1]));
    await staysTheSame(world, phone, async () => {
      const { code, stderr } = await runCli({ cwd, env }, 'upgrade', '--config', unchanged);
      assert.equal(code, 2);
      assert.match(stderr, /the new process ended \(status 3\); the old one serves on/);
    });
    assert.match(service.said, /^porchlight: cannot take over: nobody listens on control\.socket/m);
    assert.equal(times(service.said, /: ready\n/), 1);
    copyFileSync(unchanged, file);
  });

  test('a second unit on an inherited socket', async () => {
    const shared = createServer();
    await listenOn(shared, { host: HOST, port: 0 });
    const { port } = shared.address() as { port: number };
    const elsewhere = `PORCHLIGHT_SUBSCRIBER_LISTENERS_0_LISTEN=${HOST}:${SOME_PORT}`;
    const unit = `${elsewhere} LISTEN_FDS=1 LISTEN_FDNAMES=phones exec "${process.execPath}" "${EXECUTABLE}" subscriber --config s/subscriber.toml --take-over`;
    const start = `sh -c 'LISTEN_PID=$$ ${unit}' <&- &`;
    // As systemd does, the shell holds the socket and accepts nothing.
    const units = run('/bin/sh', ['-c', `${start}\nread next\n${start}\nwait`], [descriptorOf(shared)]);
    shared.close();
    await eventually('ready', () => /: ready\n/.test(units.said));
    const phone = await phoneAt(port);
    await staysTheSame(world, phone, async () => {
      units.child.stdin!.write('\n');
      await eventually('taken over', () => times(units.said, /: ready\n/) === 2);
    });
    await eventually('gone', () => /kind=gone/.test(units.said));
    const warning = `WARN .*inherited socket counts.* listen=${HOST}:${SOME_PORT} port=${port} name=phones\\n`;
    assert.equal(times(units.said, new RegExp(warning)), 2);
  });

  /** A subscriber that opened its sockets itself, and a phone of it. */
  async function settled() {
    const service = run(process.execPath, [EXECUTABLE, 'subscriber', '--config', 's/subscriber.toml']);
    await eventually('ready', () => /: ready\n/.test(service.said));
    const port = Number(/listening.* port=(\d+)/.exec(service.said)![1]);
    return { service, port, phone: await phoneAt(port) };
  }

  /** Another one, started by hand to take over at the same port. */
  function byHand(port: number, variables: Readonly<Record<string, string>> = {}) {
    const listen = { PORCHLIGHT_SUBSCRIBER_LISTENERS_0_LISTEN: `${HOST}:${port}` };
    const args = [EXECUTABLE, 'subscriber', '--config', 's/subscriber.toml', '--take-over'];
    return run(process.execPath, args, [], { ...listen, ...variables });
  }

  test('by hand, without a socket in common: killed at each step the old one serves on, and then it takes over', async () => {
    const { service, port, phone } = await settled();
    const path = join(cwd, 'proxy.sock');
    const target = join(cwd, 's/control.sock');
    for (const [n, at] of (['begin', 'ready', 'listening', 'commit', 'taken'] as const).entries()) {
      await staysTheSame(world, phone, async () => {
        const killed = new Promise<void>((resolve) => {
          void startHandOverProxy({ path, target, at, reached: () => resolve() });
        });
        const successor = byHand(port, { PORCHLIGHT_SUBSCRIBER_CONTROL_SOCKET: path });
        await killed;
        end(successor.child.pid!);
        await eventually('serves on', () => times(service.said, /: listening again\n/) === n + 1);
        rmSync(path, { force: true }); // what the killed one left
      });
    }
    await staysTheSame(world, phone, async () => {
      const successor = byHand(port);
      await eventually('taken over', () => /: ready\n/.test(successor.said));
    });
    await eventually('gone', () => /kind=gone/.test(service.said));
    assert.equal(times(service.said, /hand-over failed/), 5);
  });

  test('by hand, where the old one only inherited its socket: refused, and the old one serves on', async () => {
    const shared = createServer();
    await listenOn(shared, { host: HOST, port: 0 });
    const { port } = shared.address() as { port: number };
    const unit = `LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=phones exec "${process.execPath}" "${EXECUTABLE}" subscriber --config s/subscriber.toml`;
    const held = run('/bin/sh', ['-c', `sh -c '${unit}' & wait`], [descriptorOf(shared)]);
    shared.close();
    await eventually('ready', () => /: ready\n/.test(held.said));
    const phone = await phoneAt(port);
    await staysTheSame(world, phone, async () => {
      const successor = byHand(port);
      await eventually('ended', () => successor.child.exitCode !== null);
      assert.equal(successor.child.exitCode, 2);
      assert.match(
        successor.said,
        /^porchlight: listeners\.0\.listen: .* is in use, and the old process can not free it/m,
      );
    });
    assert.equal(times(held.said, /kind=mirrored/), 0);
  });
});
