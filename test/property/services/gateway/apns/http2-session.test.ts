/**
 * Fuzz of the HTTP/2 session: whatever a peer sends, the session ends with its own error or goes on, tells each
 * exchange at most once, and writes nothing but whole frames within the room it was given.
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ErrorCode, FrameType, Http2Error } from '../../../../../services/gateway/apns/http2/protocol.js';
import {
  frame,
  goaway,
  Peer,
  reset,
  type Sent,
  settings,
  windowUpdate,
  word,
} from '../../../../support/apns/http2-peer.js';

/** Mostly of streams that were opened. */
const streamId = fc.oneof(
  { weight: 20, arbitrary: fc.nat(5).map((n) => 2 * n + 1) },
  { weight: 1, arbitrary: fc.nat(0x7fff_ffff) },
);
const statuses = fc.constantFrom('200', '200', '400', '400', '410', '100', '503', '', 'x');

/** What a peer may say next; `peer` encodes heads, so that its table stays in step. */
const sensible = fc.oneof(
  fc.record({ id: streamId, status: statuses, isEnd: fc.boolean() }).map(
    ({ id, status, isEnd }) =>
      (peer: Peer) =>
        peer.head(id, { ':status': status }, isEnd ? 5 : 4),
  ),
  fc.record({ id: streamId, size: fc.nat(3_000), isEnd: fc.boolean() }).map(
    ({ id, size, isEnd }) =>
      (peer: Peer) =>
        peer.data(id, Buffer.alloc(size, '{'), isEnd),
  ),
  fc.record({ id: fc.constantFrom(1, 3, 4, 6, 9), value: fc.nat(9_000) }).map(
    ({ id, value }) =>
      () =>
        settings([id, value]),
  ),
  fc.record({ id: fc.oneof(streamId, fc.constant(0)), by: fc.oneof(fc.nat(9_000), fc.nat()) }).map(
    ({ id, by }) =>
      () =>
        windowUpdate(id, by),
  ),
  fc.record({ id: streamId, code: fc.nat(13) }).map(
    ({ id, code }) =>
      () =>
        reset(id, code),
  ),
  fc.record({ id: streamId, code: fc.nat(13) }).map(
    ({ id, code }) =>
      () =>
        goaway(id, code, '{"reason":1}'),
  ),
  fc.constant(() => frame(FrameType.PING, 0, 0, Buffer.alloc(8))),
);

const senseless = fc.oneof(
  fc.uint8Array({ maxLength: 64 }).map((bytes) => () => Buffer.from(bytes)),
  fc
    .record({ type: fc.nat(10), flags: fc.nat(255), id: streamId, payload: fc.uint8Array({ maxLength: 40 }) })
    .map(
      ({ type, flags, id, payload }) =>
        () =>
          frame(type, flags, id, payload),
    ),
);

const saying = fc.oneof({ weight: 20, arbitrary: sensible }, { weight: 1, arbitrary: senseless });

const step = fc.oneof(
  { weight: 4, arbitrary: saying.map((say) => ({ do: 'say' as const, say })) },
  { weight: 3, arbitrary: fc.nat(600).map((size) => ({ do: 'send' as const, size: size + 1 })) },
  { weight: 2, arbitrary: fc.constant({ do: 'read' as const }) },
  { weight: 1, arbitrary: fc.nat(9).map((index) => ({ do: 'cancel' as const, index })) },
);

type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

function play(peer: Peer, sent: Sent[], cancelled: Set<Sent>, next: Step): void {
  if (next.do === 'say') peer.say(next.say(peer));
  else if (next.do === 'read') peer.readOnce();
  else if (next.do === 'send') {
    if (peer.session.maxStreams > 0) sent.push(peer.send({ body: Buffer.alloc(next.size, 'x') }));
  } else {
    const one = sent[next.index];
    if (one === undefined || one.answers.length > 0) return;
    peer.session.cancel(one.exchange);
    cancelled.add(one);
  }
}

test('random peers', () => {
  const seen = new Set<unknown>();
  fc.assert(
    fc.property(
      fc.array(step, { minLength: 5, maxLength: 60 }),
      fc.integer({ min: 4_000, max: 9_000 }),
      (steps, room) => {
        const peer = new Peer(room).open();
        const sent: Sent[] = [peer.send(), peer.send(), peer.send({ body: Buffer.alloc(3_000) })];
        peer.readOnce();
        const cancelled = new Set<Sent>();
        try {
          for (const next of steps) play(peer, sent, cancelled, next);
        } catch (error) {
          assert.ok(error instanceof Http2Error, String(error));
          assert.ok(error.word in ErrorCode);
          seen.add(error.word);
        }
        peer.session.end();
        for (const { answers } of sent) seen.add(word(answers[0]));
        for (const one of sent) assert.equal(one.answers.length, cancelled.has(one) ? 0 : 1);
        assert.equal(peer.session.maxStreams, 0);
      },
    ),
    { numRuns: 400 },
  );
  const all = ['PROTOCOL_ERROR', 'FRAME_SIZE_ERROR', 200, 400, 'unknown', 'unprocessed'];
  for (const one of all) assert.ok(seen.has(one), `${one} was never seen`);
});
