/** Chaos's network does what it is told to, and only that. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { after, before, beforeEach, describe, test } from 'node:test';
import { sleep, systemClock } from '../../../shared/run/clock.js';
import { Network } from '../../chaos/network.js';

/** When it is closed, be it with an error. */
const closing = (socket: Socket): Promise<unknown> => new Promise((resolve) => socket.once('close', resolve));

/** Says everything back. */
const echo = createServer((socket) => socket.on('error', () => {}).pipe(socket));

describe('the network between two parties', () => {
  let network: Network;
  before(async () => {
    await once(echo.listen(0, '127.0.0.1'), 'listening');
    network = await Network.start(() => (echo.address() as AddressInfo).port);
  });
  after(async () => {
    await network.close();
    echo.close();
  });
  beforeEach(() => network.mend());

  async function open(): Promise<Socket> {
    const socket = connect(network.port, '127.0.0.1');
    socket.on('error', () => {});
    await once(socket, 'connect');
    return socket;
  }

  async function said(socket: Socket, text: string): Promise<string> {
    socket.write(text);
    const [answer] = (await once(socket, 'data')) as [Buffer];
    return answer.toString();
  }

  test('passes everything on, in order, slowly if told so', async () => {
    const socket = await open();
    assert.equal(await said(socket, 'at once'), 'at once');
    network.slow(20);
    const before = systemClock.monotonic();
    assert.equal(await said(socket, 'later'), 'later');
    assert.ok(systemClock.monotonic() - before >= 20);
    socket.destroy();
  });

  test('cuts what is connected, and lets new connections pass', async () => {
    const socket = await open();
    await said(socket, 'hello');
    const closed = closing(socket);
    network.cut();
    await closed;
    const next = await open();
    assert.equal(await said(next, 'again'), 'again');
    next.destroy();
  });

  test('cuts in the middle of what is said', async () => {
    const socket = await open();
    await said(socket, 'hello');
    network.cutAfter(3);
    const closed = closing(socket);
    socket.write('more than three bytes');
    await closed;
  });

  test('refuses new connections until it is mended', async () => {
    network.refuse();
    const socket = connect(network.port, '127.0.0.1');
    socket.on('error', () => {});
    await closing(socket);
    network.mend();
    const next = await open();
    assert.equal(await said(next, 'again'), 'again');
    next.destroy();
  });

  test('what is frozen stays so, whatever is mended', async () => {
    const socket = await open();
    await said(socket, 'hello');
    network.freeze();
    network.mend();
    let heard = false;
    socket.on('data', () => {
      heard = true;
    });
    socket.write('is anybody there?');
    const next = await open();
    assert.equal(await said(next, 'yes'), 'yes');
    await sleep(systemClock, 20);
    assert.ok(!heard && !socket.destroyed);
    socket.destroy();
  });
});
