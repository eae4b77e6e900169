/** Before the commit: the addresses that a successor will have, and those that it never would. */
import assert from 'node:assert/strict';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { checkAddresses } from '../../../../services/subscriber/doors.js';
import { ConfigError } from '../../../../shared/run/config.js';
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

  const check = (wanted: readonly ListenAddress[], theirs?: readonly ListenAddress[]): Promise<void> =>
    checkAddresses(
      wanted.map((listen, i) => ({ key: `listeners.${i}.listen`, listen })),
      theirs,
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
    await check([free], []);
    await check([free, { host: HOST, port: 0 }, { host: HOST, port: 0 }], []);
  });

  test('one that is in use must be the old process’s, by whatever name or wildcard', async () => {
    await check([taken], [{ host: HOST, port: 0 }, taken]);
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

  test('an old process that does not say which are its own is trusted', async () => {
    await check([taken]);
  });

  test('what the system refuses for another reason is refused', async () => {
    await assert.rejects(check([{ host: '192.0.2.1', port: 0 }], []), { code: 'EADDRNOTAVAIL' });
  });
});
