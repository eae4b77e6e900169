/** Before the commit: the addresses that a successor will have, and those that it never would. */
import assert from 'node:assert/strict';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { after, before, describe, test } from 'node:test';
import type { NtfListener } from '../../../../services/subscriber/clients/listener.js';
import { checkAddresses, Doors } from '../../../../services/subscriber/doors.js';
import { VirtualClock } from '../../../../shared/run/clock.js';
import { ConfigError } from '../../../../shared/run/config.js';
import type { ControlSocket } from '../../../../shared/run/control.js';
import { type ListenAddress, listenOn } from '../../../../shared/run/listen.js';

const HOST = '127.0.0.1';

describe('addresses of a successor', () => {
  const other: Server = createServer();
  let taken: ListenAddress;

  before(async () => {
    await listenOn(other, { host: HOST, port: 0 });
    taken = { host: HOST, port: (other.address() as AddressInfo).port };
  });
  after(() => other.close());

  const check = (wanted: readonly ListenAddress[], theirs: readonly ListenAddress[]): Promise<string[]> =>
    checkAddresses(
      wanted.map((listen, i) => ({ key: `listeners.${i}.listen`, listen })),
      theirs.map((address, i) => ({ name: `theirs ${i}`, ...address })),
    );

  const refused = (key: string) => (error: unknown) =>
    error instanceof ConfigError && error.problems[0]!.startsWith(`${key}: ${HOST}:${taken.port} is in use`);

  async function freePort(): Promise<number> {
    const server = createServer();
    await listenOn(server, { host: HOST, port: 0 });
    const { port } = server.address() as AddressInfo;
    await new Promise((resolve) => server.close(resolve));
    return port;
  }

  test('free ones may be bound, and are free again', async () => {
    const free = { host: HOST, port: await freePort() };
    assert.deepEqual(await check([free], []), []);
    await check([free, { host: HOST, port: 0 }, { host: HOST, port: 0 }], []);
  });

  test('one that is in use must be the old process’s, by whatever name or wildcard', async () => {
    assert.deepEqual(await check([taken], [{ host: HOST, port: 0 }, taken]), ['theirs 1']);
    await check([{ ...taken, host: 'localhost' }], [taken]);
    await check([taken], [{ ...taken, host: '::' }]);
    await check([{ ...taken, host: '0.0.0.0' }], [taken]);
    await assert.rejects(check([{ host: HOST, port: 0 }, taken], []), refused('listeners.1.listen'));
    await assert.rejects(check([taken], [{ ...taken, host: '127.0.0.2' }]), refused('listeners.0.listen'));
    await assert.rejects(check([taken], [{ ...taken, port: taken.port + 1 }]), refused('listeners.0.listen'));
  });

  test('it becomes free for one listener only, and a free one is free for one', async () => {
    await assert.rejects(check([taken, taken], [taken]), refused('listeners.1.listen'));
    const free = { host: HOST, port: await freePort() };
    await assert.rejects(check([free, free], []), ConfigError);
  });

  test('what the system refuses for another reason is refused', async () => {
    await assert.rejects(check([{ host: '192.0.2.1', port: 0 }], []), { code: 'EADDRNOTAVAIL' });
  });
});

describe('sockets of a predecessor', () => {
  const opened: Server[] = [];
  after(() => {
    for (const socket of opened) socket.close();
  });

  async function open(target: ListenAddress = { host: HOST, port: 0 }): Promise<Server> {
    const socket = createServer();
    await listenOn(socket, target);
    opened.push(socket);
    return socket;
  }

  const listener = (socket: Server): NtfListener => ({
    port: 0,
    socket,
    connections: 0,
    close: async () => void socket.close(),
  });

  /** Its control socket can't be made again at first, as where the disk is full. */
  async function doors(kept: string[] = []) {
    const found = new Doors(new Set(kept));
    for (const name of ['a', 'b']) found.listeners.set(name, listener(await open()));
    const calls: string[] = [];
    found.control = {
      release: () => calls.push('release'),
      reopen: async () => {
        if (calls.push('reopen') < 4) throw new ConfigError(['control.socket: cannot be made (ENOSPC)']);
      },
      close: async () => {},
    } satisfies ControlSocket;
    return { doors: found, calls };
  }

  test('are lent by name, and taken back as soon as the other process lets go', async () => {
    const clock = new VirtualClock();
    const { doors: found, calls } = await doors();
    const before = found.addresses;
    found.lend(['a']);
    assert.deepEqual(found.addresses, before.slice(1));
    const other = await open(before[0]!);
    let isBack = false;
    const back = found.takeBack(clock).then(() => {
      isBack = true;
    });
    await clock.advance(10_000);
    assert.deepEqual(found.addresses, before.slice(1));
    other.close();
    while (!isBack) await clock.advance(1_000);
    await back;
    assert.deepEqual(found.addresses, before);
    assert.deepEqual(calls, ['release', 'reopen', 'reopen', 'reopen']);
    assert.equal(clock.pending, 0);
  });

  test('that somebody else keeps are never lent', async () => {
    const { doors: found } = await doors(['a']);
    assert.deepEqual(
      found.addresses.map(({ name }) => name),
      ['b'],
    );
    found.lend(['a', 'b']);
    assert.deepEqual([...found.sockets.keys()], ['a']);
  });

  test('stay closed where the end came meanwhile', async () => {
    const clock = new VirtualClock();
    const { doors: found } = await doors();
    const [address] = found.addresses;
    found.lend(['a']);
    const other = await open(address);
    const back = found.takeBack(clock);
    await clock.advance(1_000);
    const closed = found.close();
    other.close();
    await clock.advance(10_000);
    await Promise.all([back, closed]);
    assert.deepEqual(found.addresses, []);
    assert.equal(clock.pending, 0);
  });
});
