import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { afterEach, describe, test } from 'node:test';
import { connectThroughSocks, SocksError } from '../../../../shared/run/socks5.js';
import { type SocksServerOptions, startSocksServer } from '../../../support/socks-server.js';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** A target that speaks first, and a proxy. */
async function rig(options: SocksServerOptions = {}) {
  const target = createServer((socket) => void socket.on('error', () => {}).end('hello'));
  await new Promise<void>((resolve) => target.listen(0, '127.0.0.1', resolve));
  const { port } = target.address() as AddressInfo;
  const server = await startSocksServer({ names: { 'some.name': port }, ...options });
  closers.push(
    () => target.close(),
    () => server.close(),
  );
  const never = new AbortController().signal;
  const connect = (host: string, isolation?: string, signal = never) =>
    connectThroughSocks(
      { proxy: { host: '127.0.0.1', port: server.port }, target: { host, port }, isolation },
      signal,
    );
  return { server, port, connect };
}

async function heard(socket: Awaited<ReturnType<typeof connectThroughSocks>>): Promise<string> {
  let text = '';
  for await (const chunk of socket.setEncoding('latin1')) text += chunk;
  return text;
}

const fails = (code: SocksError['code']) => (error: unknown) =>
  error instanceof SocksError && error.code === code;

describe('SOCKS5', () => {
  test('a name is left to the proxy; what the target says first is not lost', async () => {
    const { server, port, connect } = await rig();
    assert.equal(await heard(await connect('some.name')), 'hello');
    assert.deepEqual(server.requests, [{ user: undefined, type: 'name', host: 'some.name', port }]);
  });

  test('an address goes as an address', async () => {
    const { server, connect } = await rig();
    assert.equal(await heard(await connect('127.0.0.1')), 'hello');
    assert.equal(server.requests[0]!.type, 'v4');
    await assert.rejects(connect('2001:db8::7'));
    assert.deepEqual(server.requests[1]!.host, '2001:0db8:0000:0000:0000:0000:0000:0007');
  });

  test('the name of a way is a user name', async () => {
    const { server, connect } = await rig();
    assert.equal(await heard(await connect('some.name', 'way-1')), 'hello');
    assert.equal(server.requests[0]!.user, 'way-1');
  });

  test('a proxy without user names is no isolated way', async () => {
    const { server, connect } = await rig({ anonymous: true });
    await assert.rejects(connect('some.name', 'way-1'), fails('auth'));
    assert.deepEqual(server.requests, []);
  });

  test('a target that can’t be reached is told apart from a proxy that can’t', async () => {
    const { server, connect } = await rig();
    await assert.rejects(connect('unknown.name'), fails('target'));
    await assert.rejects(connect('x'.repeat(256)), fails('target'));
    await assert.rejects(connect(''), fails('target'));
    server.close();
    await assert.rejects(connect('some.name'), fails('proxy'));
  });

  const GARBAGE: [what: string, bytes: number[]][] = [
    ['another version', [4, 0]],
    ['a method that was not offered', [5, 1]],
    ['none of the methods', [5, 0xff]],
    ['an unknown kind of address', [5, 0, 5, 0, 0, 2, 0, 0, 0, 0, 0, 0]],
    ['another version later', [5, 0, 4, 0, 0, 1, 0, 0, 0, 0, 0, 0]],
    ['a refusal', [5, 0, 5, 2, 0, 1, 0, 0, 0, 0, 0, 0]],
  ];
  for (const [what, bytes] of GARBAGE) {
    test(`${what}: an error, and no connection stays`, async () => {
      const { server, connect } = await rig({ garbage: Uint8Array.from(bytes) });
      await assert.rejects(connect('some.name'), SocksError);
      while (server.open > 0) await new Promise((resolve) => setImmediate(resolve));
    });
  }

  test('silence ends with the signal, also one that is aborted already', async () => {
    const { server, connect } = await rig({ deaf: true });
    const given = new AbortController();
    const waiting = connect('some.name', undefined, given.signal);
    while (server.open === 0) await new Promise((resolve) => setImmediate(resolve));
    given.abort();
    await assert.rejects(waiting, fails('proxy'));
    await assert.rejects(connect('some.name', undefined, given.signal), fails('proxy'));
    while (server.open > 0) await new Promise((resolve) => setImmediate(resolve));
  });

  test('a proxy that closes in the middle', async () => {
    const closing = createServer(
      (socket) =>
        void socket
          .on('error', () => {})
          .resume()
          .end(Uint8Array.of(5)),
    );
    closing.listen(0, '127.0.0.1');
    await once(closing, 'listening');
    closers.push(() => closing.close());
    const proxy = { host: '127.0.0.1', port: (closing.address() as AddressInfo).port };
    const target = { host: 'a', port: 1 };
    await assert.rejects(
      connectThroughSocks({ proxy, target }, new AbortController().signal),
      fails('proxy'),
    );
  });
});
