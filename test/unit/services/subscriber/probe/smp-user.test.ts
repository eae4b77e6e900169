import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SmpClosedError, SmpUser } from '../../../../../services/subscriber/probe/smp-user.js';
import type { TransportEvents } from '../../../../../services/subscriber/sources/smp/transport.js';
import { VirtualClock } from '../../../../../shared/run/clock.js';
import { plainBlocks } from '../../../../../shared/smp/block.js';
import { encodeBatch, encodeTransmission, smpSession } from '../../../../../shared/smp/transmission.js';
import { native as crypto } from '../../../../support/crypto.js';

const ANSWER_MS = 15_000;
const VERSION = 18;
const EMPTY = new Uint8Array(0);

/** A user whose server says only what the test says. */
function rig() {
  const clock = new VirtualClock();
  const params = smpSession(VERSION, new Uint8Array(32));
  let events: TransportEvents | undefined;
  const sent: Uint8Array[] = [];
  let closed = 0;
  const transport = {
    listen(to: TransportEvents) {
      events = to;
    },
    send: (block: Uint8Array) => sent.push(block) > 0,
    close: () => void closed++,
  };
  const link = { version: VERSION, params, blocks: plainBlocks(), serverKey: undefined, transport };
  const user = new SmpUser({ crypto, clock }, link);
  const say = (block: Uint8Array) => events!.block(block);
  const event = (command: string) => {
    const transmission = { auth: EMPTY, corrId: EMPTY, entityId: EMPTY, command: Buffer.from(command) };
    say(plainBlocks().seal(encodeBatch(params, [encodeTransmission(params, transmission)])));
  };
  return { clock, user, sent, say, event, closed: () => closed, drop: () => events!.closed() };
}

test('an answer that does not come in time ends the connection and all that waits', async () => {
  const { clock, user, closed } = rig();
  const waiting = [user.ping(), user.createQueue(), user.send(new Uint8Array(24), EMPTY)];
  const ended = Promise.all(waiting.map((asked) => assert.rejects(asked, SmpClosedError)));
  await clock.advance(ANSWER_MS - 1);
  assert.equal(closed(), 0);
  await clock.advance(1);
  await ended;
  assert.deepEqual([closed(), clock.pending], [1, 0]);
  await assert.rejects(user.ping(), SmpClosedError);
});

test('so does what can not be read, and the end of the connection', async () => {
  for (const end of ['garbage', 'closed'] as const) {
    const { clock, user, say, drop, closed } = rig();
    const asked = assert.rejects(user.ping(), SmpClosedError);
    if (end === 'garbage') say(new Uint8Array(16_384).fill(0xff));
    else drop();
    await asked;
    assert.deepEqual([closed(), clock.pending], [1, 0]);
  }
});

test('what nobody asked for is ignored: events, unknown words', () => {
  const { event, closed } = rig();
  for (const command of ['END', 'WHAT 1', 'PONG']) event(command);
  assert.equal(closed(), 0);
});
