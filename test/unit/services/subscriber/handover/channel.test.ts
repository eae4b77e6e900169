/** The connection of a hand-over: its end comes after all that was sent, or after too long. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { afterEach, describe, test } from 'node:test';
import { Channel, STALL_MS } from '../../../../../services/subscriber/handover/channel.js';
import { VirtualClock } from '../../../../../shared/run/clock.js';

/** More than kernels keep for a connection. */
const FRAMES = 400;
const FRAME_BYTES = 100 * 1024;

const sockets: Socket[] = [];

/** A channel, and the socket at its other end, which reads nothing yet. */
async function pair() {
  const clock = new VirtualClock();
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const other = connect((server.address() as { port: number }).port, '127.0.0.1');
  const [socket] = (await once(server, 'connection')) as [Socket];
  server.close();
  sockets.push(socket, other);
  return { clock, channel: new Channel(socket, clock), other };
}

describe('the end of a hand-over connection', () => {
  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.destroy();
  });

  test('comes when the other side has taken everything', async () => {
    const { clock, channel, other } = await pair();
    for (let n = 0; n < FRAMES; n++) channel.post('event', new Uint8Array(FRAME_BYTES));
    let isClosed = false;
    const closed = channel.close().then(() => {
      isClosed = true;
    });
    await clock.advance(STALL_MS - 1);
    assert.equal(isClosed, false);
    let received = 0;
    other.on('data', (chunk: Buffer) => {
      received += chunk.length;
    });
    await Promise.all([closed, once(other, 'end')]);
    assert.equal(received, FRAMES * (FRAME_BYTES + 5));
  });

  test('comes where the other side takes nothing in the middle of it', async () => {
    const { clock, channel } = await pair();
    const sending = (async () => {
      for (;;) await channel.send('state', new Uint8Array(FRAME_BYTES));
    })();
    const isStalled = assert.rejects(sending, { reason: 'stalled' });
    await clock.advance(STALL_MS);
    await isStalled;
    assert.equal(channel.isOpen, false);
  });

  test('comes all the same where it takes nothing', async () => {
    const { clock, channel } = await pair();
    for (let n = 0; n < FRAMES; n++) channel.post('event', new Uint8Array(FRAME_BYTES));
    const closed = channel.close();
    await clock.advance(STALL_MS);
    await closed;
  });
});
