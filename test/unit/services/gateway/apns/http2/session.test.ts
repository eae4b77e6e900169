/** What comes back: responses in every shape, resets, GOAWAY, PING, and peers that break the rules. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  ErrorCode,
  Flag,
  FrameType,
  Setting,
} from '../../../../../../services/gateway/apns/http2/protocol.js';
import {
  AUTHORIZATION,
  frame,
  goaway,
  Peer,
  reset,
  settings,
  uint32,
  type Written,
  windowUpdate,
  word,
} from '../../../../../support/apns/http2-peer.js';
import { push } from '../../../../../support/apns/setup.js';

const {
  CONTINUATION,
  DATA,
  GOAWAY,
  HEADERS,
  PING,
  PRIORITY,
  PUSH_PROMISE,
  RST_STREAM,
  SETTINGS,
  WINDOW_UPDATE,
} = FrameType;
const REASON = '{"reason":"BadDeviceToken"}';
const refusal = { ':status': '400', 'apns-id': 'ABC' };

/** An open session with this many pushes written. */
function written(count: number): { peer: Peer; answers: (index: number) => (string | number | undefined)[] } {
  const peer = new Peer().open();
  const sent = Array.from({ length: count }, () => peer.send());
  peer.read();
  return { peer, answers: (index) => sent[index]!.answers.map(word) };
}

const resets = (frames: readonly Written[]): number[][] =>
  frames
    .filter(({ type }) => type === RST_STREAM)
    .map(({ streamId, payload }) => [streamId, payload.readUInt32BE()]);

describe('a response', () => {
  const answered = (say: (peer: Peer) => Buffer[]) => {
    const peer = new Peer().open();
    const { answers } = peer.send();
    peer.read();
    peer.say(...say(peer));
    return { answers, frames: peer.read() };
  };

  it('200', () => {
    const { answers, frames } = answered((peer) => [peer.ok(1)]);
    assert.deepEqual(answers, [{ kind: 'response', status: 200 }]);
    assert.deepEqual(frames, []);
  });

  it('of an error, with all that is known of it', () => {
    const head = { ':status': '410', date: 'Sat, 21 Nov 2026 10:00:00 GMT', 'retry-after': '17' };
    const json = '{"reason":"Unregistered","timestamp":1454402113774}';
    const { answers } = answered((peer) => [peer.head(1, head), peer.data(1, json)]);
    assert.deepEqual(answers, [
      {
        kind: 'response',
        status: 410,
        reason: 'Unregistered',
        timestampMs: 1454402113774,
        retryAfterSeconds: 17,
        dateMs: Date.UTC(2026, 10, 21, 10),
      },
    ]);
  });

  for (const [shape, say] of [
    [
      'in many pieces',
      (peer) => [peer.head(1, refusal), ...[...REASON].map((c) => peer.data(1, c, false)), peer.data(1, '')],
    ],
    [
      'with padding',
      (peer) => [
        frame(
          HEADERS,
          Flag.END_HEADERS | Flag.PADDED,
          1,
          Buffer.concat([Buffer.of(3), peer.block(refusal), Buffer.alloc(3)]),
        ),
        frame(
          DATA,
          Flag.END_STREAM | Flag.PADDED,
          1,
          Buffer.concat([Buffer.of(2), Buffer.from(REASON), Buffer.alloc(2)]),
        ),
      ],
    ],
    [
      'with a priority',
      (peer) => [
        frame(
          HEADERS,
          Flag.END_HEADERS | Flag.PRIORITY,
          1,
          Buffer.concat([Buffer.alloc(5), peer.block(refusal)]),
        ),
        peer.data(1, REASON),
      ],
    ],
    [
      'whose head is continued',
      (peer) => {
        const block = peer.block(refusal);
        return [
          frame(HEADERS, 0, 1, block.subarray(0, 2)),
          frame(CONTINUATION, 0, 1, block.subarray(2, 5)),
          frame(CONTINUATION, Flag.END_HEADERS, 1, block.subarray(5)),
          peer.data(1, REASON),
        ];
      },
    ],
    [
      'after interim ones',
      (peer) => [
        peer.head(1, { ':status': '103' }),
        peer.head(1, { ':status': '100' }),
        peer.head(1, refusal),
        peer.data(1, REASON),
      ],
    ],
    [
      'with trailers',
      (peer) => [
        peer.head(1, refusal),
        peer.data(1, REASON, false),
        peer.head(1, { checksum: '1' }, Flag.END_HEADERS | Flag.END_STREAM),
      ],
    ],
    [
      'between frames of other kinds',
      (peer) => [
        frame(PRIORITY, 0, 1, Buffer.alloc(5)),
        peer.head(1, refusal),
        frame(0xfa, 0xff, 0, Buffer.alloc(100)),
        windowUpdate(0, 1),
        frame(SETTINGS, 0, 0, Buffer.from('00ff00000001', 'hex')),
        peer.data(1, REASON),
      ],
    ],
    [
      'that is reset once it has said enough',
      (peer) => [peer.head(1, refusal), peer.data(1, REASON, false), reset(1, 0)],
    ],
  ] as readonly (readonly [string, (peer: Peer) => Buffer[]])[]) {
    it(shape, () => {
      const [answer, ...more] = answered(say).answers;
      assert.deepEqual(more, []);
      assert.ok(answer?.kind === 'response');
      assert.deepEqual([answer.status, answer.reason], [400, 'BadDeviceToken']);
    });
  }

  for (const [shape, say] of [
    ['without a status', (peer) => [peer.head(1, { 'apns-id': 'x' })]],
    ['with a status that is none', (peer) => [peer.head(1, { ':status': '2OO' })]],
    [
      'that ends with an interim one',
      (peer) => [peer.head(1, { ':status': '100' }, Flag.END_HEADERS | Flag.END_STREAM)],
    ],
    ['whose body comes first', (peer) => [peer.data(1, REASON)]],
  ] as readonly (readonly [string, (peer: Peer) => Buffer[]])[]) {
    it(`${shape} is none: its stream is reset`, () => {
      const { answers, frames } = answered(say);
      assert.deepEqual(answers.map(word), ['unknown']);
      assert.deepEqual(resets(frames), [[1, ErrorCode.PROTOCOL_ERROR]]);
    });
  }

  it('that asks for patience in other words than whole seconds asks for none', () => {
    for (const text of ['soon', '1.5', '-1', '', 'Sat, 21 Nov 2026 10:00:00 GMT', '99999999999']) {
      const [answer] = answered((peer) => [
        peer.head(1, { ':status': '429', 'retry-after': text, date: 'x' }),
        peer.data(1, ''),
      ]).answers;
      assert.deepEqual(answer, {
        kind: 'response',
        status: 429,
        reason: undefined,
        timestampMs: undefined,
        retryAfterSeconds: undefined,
      });
    }
  });

  it('with a second head that is no trailer is reset, and was an answer', () => {
    const { answers, frames } = answered((peer) => [peer.head(1, refusal), peer.head(1, refusal)]);
    assert.deepEqual(answers.map(word), [400]);
    assert.deepEqual(resets(frames), [[1, ErrorCode.PROTOCOL_ERROR]]);
  });

  it('that is not JSON, or endless, has no reason', () => {
    assert.deepEqual(
      answered((peer) => [peer.head(1, refusal), peer.data(1, '<html>')]).answers.map(word),
      [400],
    );
    const { answers, frames } = answered((peer) => [
      peer.head(1, refusal),
      ...Array.from({ length: 9 }, () => peer.data(1, ' '.repeat(1000), false)),
    ]);
    assert.deepEqual(answers.map(word), [400]);
    assert.deepEqual(resets(frames), [[1, ErrorCode.CANCEL]]);
  });

  it('to a request that is not written whole ends it', () => {
    const peer = new Peer().open([Setting.INITIAL_WINDOW_SIZE, 5]);
    const { answers } = peer.send();
    peer.read();
    peer.say(peer.head(1, { ':status': '413' }, Flag.END_HEADERS | Flag.END_STREAM), windowUpdate(1, 9));
    assert.deepEqual(answers.map(word), [413]);
    assert.deepEqual(resets(peer.read()), [[1, ErrorCode.CANCEL]]);
  });

  for (const [shape, say] of [
    ['200', (peer) => [peer.ok(1)]],
    ['200 without an end', (peer) => [peer.head(1, { ':status': '200' })]],
    ['200 with a body', (peer) => [peer.head(1, { ':status': '200' }), peer.data(1, '{}')]],
  ] as readonly (readonly [string, (peer: Peer) => Buffer[]])[]) {
    it(`${shape}, before the request is written whole: the rest of it follows`, () => {
      const peer = new Peer().open([Setting.INITIAL_WINDOW_SIZE, 5]);
      const { answers } = peer.send();
      peer.read();
      peer.say(...say(peer));
      assert.deepEqual([peer.read(), answers], [[], []]);
      peer.say(windowUpdate(1, 9_999));
      const [data, ...more] = peer.read();
      assert.deepEqual([data!.type, data!.flags, data!.payload.length], [DATA, 1, push('').body.length - 5]);
      assert.deepEqual(more, []);
      assert.deepEqual(answers.map(word), [200]);
      peer.session.end();
      assert.deepEqual(answers.map(word), [200]);
    });

    it(`${shape}, of a peer that does not want the rest`, () => {
      const peer = new Peer().open([Setting.INITIAL_WINDOW_SIZE, 5]);
      const { answers } = peer.send();
      peer.read();
      peer.say(...say(peer), reset(1, 0));
      assert.deepEqual(answers.map(word), [200]);
      peer.say(windowUpdate(1, 9_999));
      assert.deepEqual(peer.read(), []);
    });
  }
});

describe('heads in pieces', () => {
  it('one after another', () => {
    const { peer, answers } = written(40);
    for (let n = 0; n < 40; n++) {
      const block = peer.block({ ...refusal, filler: String(n).repeat(500) });
      const id = 2 * n + 1;
      peer.say(
        frame(HEADERS, 0, id, block.subarray(0, 2)),
        frame(CONTINUATION, Flag.END_HEADERS, id, block.subarray(2)),
        peer.data(id, REASON),
      );
      assert.deepEqual(answers(n), [400]);
    }
  });
});

describe('bodies', () => {
  it('may be nothing but padding', () => {
    const { peer, answers } = written(1);
    peer.say(peer.head(1, refusal), frame(DATA, Flag.END_STREAM | Flag.PADDED, 1, Buffer.of(2, 0, 0)));
    assert.deepEqual(answers(0), [400]);
  });

  it('open the connection’s window again', () => {
    const { peer } = written(40);
    let closed = 0;
    for (let n = 0; n < 40; n++) {
      const id = 2 * n + 1;
      peer.say(peer.head(id, refusal), peer.data(id, Buffer.alloc(16_000), false));
      closed += 16_000;
      for (const { type, streamId, payload } of peer.read()) {
        if (type === WINDOW_UPDATE && streamId === 0) closed -= payload.readUInt32BE();
      }
      assert.ok(closed >= 0 && closed < 0x8000, `${closed} bytes`);
    }
  });

  it('of a 200 are not listened to for ever', () => {
    const { peer, answers } = written(1);
    peer.say(peer.head(1, { ':status': '200' }));
    for (let n = 0; n < 3; n++) peer.say(peer.data(1, Buffer.alloc(8_000), false));
    assert.deepEqual(answers(0), [200]);
    assert.deepEqual(resets(peer.read()), [[1, ErrorCode.CANCEL]]);
  });
});

describe('streams that the peer leaves open', () => {
  const unended = (allowed: number, sent: number) => {
    const peer = new Peer().open([Setting.MAX_CONCURRENT_STREAMS, allowed]);
    const answers = Array.from({ length: sent }, () => peer.send().answers);
    peer.read();
    for (let n = 0; n < allowed; n++) peer.say(peer.head(2 * n + 1, { ':status': '200' }));
    assert.deepEqual(
      answers.slice(0, allowed).map((each) => each.map(word)),
      Array(allowed).fill([200]),
    );
    return peer;
  };
  const pong = ({ payload }: Written): Buffer => frame(PING, Flag.ACK, 0, payload);

  it('are answered at 200, and left alone where nobody needs their places', () => {
    const peer = unended(3, 3);
    assert.deepEqual(peer.read(), []);
    peer.say(peer.data(1, ''), peer.data(3, ''), peer.data(5, ''));
    assert.deepEqual(peer.read(), []);
  });

  it('are reset after a round trip where others need their places', () => {
    const peer = unended(3, 5);
    const [ping, ...more] = peer.read();
    assert.deepEqual([ping!.type, more], [PING, []]);
    peer.say(peer.data(3, ''));
    assert.deepEqual(
      peer.read().map(({ type, streamId }) => [type, streamId]),
      [
        [HEADERS, 7],
        [DATA, 7],
      ],
    );
    peer.say(pong(ping!));
    const frames = peer.read();
    assert.deepEqual(
      resets(frames),
      [1, 5].map((id) => [id, ErrorCode.CANCEL]),
    );
    assert.ok(frames.some(({ type, streamId }) => type === HEADERS && streamId === 9));
    peer.say(peer.data(1, ''), peer.data(5, ''));
    assert.deepEqual(peer.read(), []);
  });

  it('are reset where they are hundreds', () => {
    const peer = unended(300, 300);
    const ping = peer.read().find(({ type }) => type === PING)!;
    peer.say(pong(ping));
    assert.equal(resets(peer.read()).length, 300);
  });

  it('keep no session open that takes no more', () => {
    const peer = unended(3, 3);
    peer.session.drain();
    const [ping] = peer.read();
    assert.equal(peer.session.isDone, false);
    peer.say(pong(ping!));
    assert.equal(peer.session.isDone, true);
  });
});

describe('a reset', () => {
  it('REFUSED_STREAM: not processed; any other: unknown', () => {
    const { peer, answers } = written(2);
    peer.say(reset(1, ErrorCode.REFUSED_STREAM), reset(3, ErrorCode.CANCEL));
    assert.deepEqual([answers(0), answers(1)], [['unprocessed'], ['unknown']]);
  });

  it('frees its place', () => {
    const peer = new Peer().open([Setting.MAX_CONCURRENT_STREAMS, 1]);
    peer.send();
    peer.send();
    peer.read();
    peer.say(reset(1, 0));
    assert.equal(peer.read().length, 2);
  });

  it('from this side: the answer that comes anyway is not told', () => {
    const peer = new Peer().open();
    const { exchange, answers } = peer.send();
    peer.read();
    peer.session.cancel(exchange);
    peer.session.cancel(exchange);
    assert.deepEqual(resets(peer.read()), [[1, ErrorCode.CANCEL]]);
    peer.say(peer.head(1, refusal), peer.data(1, REASON), windowUpdate(1, 5), reset(1, 0));
    assert.deepEqual(answers, []);
    const { answers: next } = peer.send();
    peer.read();
    // The table was kept in step by the block that nobody waited for.
    peer.say(peer.head(3, refusal), peer.data(3, REASON));
    assert.deepEqual(next.map(word), [400]);
  });
});

describe('GOAWAY', () => {
  it('ends what it names at once, lets the rest finish and takes no more', () => {
    const peer = new Peer().open([Setting.MAX_CONCURRENT_STREAMS, 3]);
    const sent = Array.from({ length: 4 }, () => peer.send());
    peer.read();
    peer.say(goaway(3, 0, '{"reason":"Shutdown"}'));
    const words = () => sent.map(({ answers }) => answers.map(word));
    assert.deepEqual(words(), [[], [], ['unprocessed'], ['unprocessed']]);
    assert.deepEqual(peer.told, ['settings', 'goaway Shutdown']);
    assert.equal(peer.session.maxStreams, 0);
    assert.throws(() => peer.send());
    peer.say(settings([Setting.MAX_CONCURRENT_STREAMS, 9]), goaway(1, 0));
    assert.deepEqual(words()[1], ['unprocessed']);
    assert.equal(peer.session.maxStreams, 0);
    assert.equal(peer.session.isDone, false);
    peer.say(peer.ok(1));
    assert.deepEqual(words()[0], [200]);
    assert.equal(peer.session.isDone, true);
    assert.deepEqual(peer.told, ['settings', 'goaway Shutdown']);
  });

  it('in two steps: the first one names no stream', () => {
    const { peer, answers } = written(2);
    peer.say(goaway(0x7fff_ffff, 0), goaway(1, 0, '{"reason":"late"}'));
    assert.deepEqual([answers(0), answers(1)], [[], ['unprocessed']]);
    assert.deepEqual(peer.told, ['settings', 'goaway undefined']);
  });

  it('with an error: what it does not name is unknown once the connection is gone', () => {
    const { peer, answers } = written(2);
    peer.say(goaway(1, ErrorCode.ENHANCE_YOUR_CALM));
    peer.session.end();
    assert.deepEqual([answers(0), answers(1)], [['unknown'], ['unprocessed']]);
  });
});

describe('the end of a connection', () => {
  it('what Apple may have seen is unknown, what it can’t have acted on is unprocessed', () => {
    const peer = new Peer().open([Setting.MAX_CONCURRENT_STREAMS, 3], [Setting.INITIAL_WINDOW_SIZE, 200]);
    const whole = peer.send();
    const half = peer.send({ body: Buffer.alloc(300, 'x') });
    const refused = peer.send();
    const waiting = peer.send();
    peer.read();
    peer.say(peer.head(5, refusal));
    peer.session.end();
    const words = [whole, half, refused, waiting].map(({ answers }) => answers.map(word));
    assert.deepEqual(words, [['unknown'], ['unprocessed'], [400], ['unprocessed']]);
    assert.equal(peer.session.send(AUTHORIZATION, whole.exchange), false);
  });

  it('drain: what is under way and what waits goes on', () => {
    const peer = new Peer().open([Setting.MAX_CONCURRENT_STREAMS, 1]);
    const sent = [peer.send(), peer.send()];
    peer.read();
    peer.session.drain();
    peer.say(peer.ok(1));
    peer.read();
    peer.say(peer.ok(3));
    assert.deepEqual(
      sent.map(({ answers }) => answers.map(word)),
      [[200], [200]],
    );
    assert.equal(peer.session.isDone, true);
  });
});

describe('PING', () => {
  it('is answered with what it bore', () => {
    const { peer } = written(0);
    peer.say(frame(PING, 0, 0, Buffer.from('12345678')));
    const [pong] = peer.read();
    assert.deepEqual([pong!.type, pong!.flags, pong!.payload.toString()], [PING, Flag.ACK, '12345678']);
  });

  it('of this side is ended by its own answer only, once', () => {
    const { peer } = written(0);
    const pongs: number[] = [];
    for (const n of [0, 1]) peer.session.ping(() => pongs.push(n));
    const pings = peer.read();
    peer.say(frame(PING, Flag.ACK, 0, Buffer.from('nothing!')));
    assert.deepEqual(pongs, []);
    for (const { payload } of [...pings.reverse(), pings[0]!]) peer.say(frame(PING, Flag.ACK, 0, payload));
    assert.deepEqual(pongs, [1, 0]);
  });

  it('too many at once are not asked', () => {
    const { peer } = written(0);
    for (let n = 0; n < 40; n++) peer.session.ping(() => {});
    assert.equal(peer.read().length, 16);
  });
});

describe('a peer that breaks the rules', () => {
  const head = (flags: number, payload: Uint8Array | string = '') =>
    frame(HEADERS, flags, 1, Buffer.from(payload as string));
  const broken: readonly (readonly [string, string, readonly Buffer[]])[] = [
    ['HEADERS on a stream that was never opened', 'PROTOCOL_ERROR', [frame(HEADERS, 5, 3, Buffer.of(0x88))]],
    ['HEADERS on a stream of its own', 'PROTOCOL_ERROR', [frame(HEADERS, 5, 2, Buffer.of(0x88))]],
    ['HEADERS on stream 0', 'PROTOCOL_ERROR', [frame(HEADERS, 5, 0, Buffer.of(0x88))]],
    ['DATA on stream 0', 'PROTOCOL_ERROR', [frame(DATA, 0, 0)]],
    ['DATA on a stream that was never opened', 'PROTOCOL_ERROR', [frame(DATA, 0, 9)]],
    ['RST_STREAM on a stream that was never opened', 'PROTOCOL_ERROR', [reset(9, 0)]],
    ['RST_STREAM of another size', 'FRAME_SIZE_ERROR', [frame(RST_STREAM, 0, 1, Buffer.alloc(5))]],
    ['PUSH_PROMISE', 'PROTOCOL_ERROR', [frame(PUSH_PROMISE, 4, 1, Buffer.alloc(8))]],
    ['SETTINGS on a stream', 'PROTOCOL_ERROR', [frame(SETTINGS, 0, 1)]],
    ['SETTINGS cut short', 'FRAME_SIZE_ERROR', [frame(SETTINGS, 0, 0, Buffer.alloc(5))]],
    ['an acknowledgement with content', 'FRAME_SIZE_ERROR', [frame(SETTINGS, Flag.ACK, 0, Buffer.alloc(6))]],
    ['ENABLE_PUSH', 'PROTOCOL_ERROR', [settings([Setting.ENABLE_PUSH, 1])]],
    [
      'a window that is too large',
      'FLOW_CONTROL_ERROR',
      [settings([Setting.INITIAL_WINDOW_SIZE, 0x8000_0000])],
    ],
    ['a frame size that is too small', 'PROTOCOL_ERROR', [settings([Setting.MAX_FRAME_SIZE, 16_383])]],
    ['a frame size that is too large', 'PROTOCOL_ERROR', [settings([Setting.MAX_FRAME_SIZE, 1 << 24])]],
    ['PING of another size', 'FRAME_SIZE_ERROR', [frame(PING, 0, 0, Buffer.alloc(7))]],
    ['PING on a stream', 'PROTOCOL_ERROR', [frame(PING, 0, 1, Buffer.alloc(8))]],
    ['GOAWAY on a stream', 'PROTOCOL_ERROR', [frame(GOAWAY, 0, 1, Buffer.alloc(8))]],
    ['GOAWAY cut short', 'FRAME_SIZE_ERROR', [frame(GOAWAY, 0, 0, uint32(1))]],
    ['WINDOW_UPDATE by nothing', 'PROTOCOL_ERROR', [windowUpdate(0, 0)]],
    ['WINDOW_UPDATE of another size', 'FRAME_SIZE_ERROR', [frame(WINDOW_UPDATE, 0, 0, Buffer.alloc(3))]],
    ['WINDOW_UPDATE of a stream that was never opened', 'PROTOCOL_ERROR', [windowUpdate(9, 1)]],
    ['PRIORITY of another size', 'FRAME_SIZE_ERROR', [frame(PRIORITY, 0, 1, Buffer.alloc(4))]],
    ['CONTINUATION of nothing', 'PROTOCOL_ERROR', [frame(CONTINUATION, 4, 1)]],
    ['CONTINUATION of another stream', 'PROTOCOL_ERROR', [head(0), frame(CONTINUATION, 4, 3)]],
    [
      'something between HEADERS and CONTINUATION',
      'PROTOCOL_ERROR',
      [head(0), frame(PING, 0, 0, Buffer.alloc(8))],
    ],
    [
      'CONTINUATION for ever',
      'ENHANCE_YOUR_CALM',
      [head(0), ...Array.from({ length: 99 }, () => frame(CONTINUATION, 0, 1))],
    ],
    [
      'a head without limit',
      'ENHANCE_YOUR_CALM',
      [head(0), ...Array.from({ length: 3 }, () => frame(CONTINUATION, 0, 1, Buffer.alloc(16_000)))],
    ],
    ['a head that can’t be decoded', 'COMPRESSION_ERROR', [head(4, Buffer.of(0xff, 0xff, 0xff, 0xff, 0xff))]],
    ['padding without its length', 'FRAME_SIZE_ERROR', [frame(DATA, Flag.PADDED, 1)]],
    ['padding beyond the end', 'PROTOCOL_ERROR', [head(Flag.PADDED | 4, Buffer.of(2, 0x88))]],
    ['a priority cut short', 'FRAME_SIZE_ERROR', [head(Flag.PRIORITY | 4, Buffer.of(0x88))]],
    ['a frame above the size limit', 'FRAME_SIZE_ERROR', [frame(0xfa, 0, 0, Buffer.alloc(16_385))]],
  ];
  for (const [what, expected, frames] of broken) {
    it(`${what}: ${expected}`, () => {
      const { peer, answers } = written(1);
      assert.throws(
        () => {
          for (const each of frames) peer.say(each);
        },
        { word: expected },
      );
      peer.session.end();
      assert.equal(answers(0).length, 1);
    });
  }

  it('another first frame than SETTINGS', () => {
    assert.throws(() => new Peer().say(frame(PING, 0, 0, Buffer.alloc(8))), { word: 'PROTOCOL_ERROR' });
    assert.throws(() => new Peer().say(frame(SETTINGS, Flag.ACK, 0)), { word: 'PROTOCOL_ERROR' });
  });

  it('what is just allowed is taken', () => {
    const { peer } = written(1);
    const least = [Setting.MAX_FRAME_SIZE, 16_384] as const;
    const most = [Setting.MAX_FRAME_SIZE, (1 << 24) - 1] as const;
    peer.say(settings(least, most, [Setting.ENABLE_PUSH, 0], [Setting.INITIAL_WINDOW_SIZE, 0x7fff_ffff]));
    peer.say(frame(0xfa, 0, 0, Buffer.alloc(16_384)), reset(1, 0), reset(1, 0));
  });

  it('WINDOW_UPDATE of a stream by nothing ends that stream only', () => {
    const { peer, answers } = written(2);
    peer.say(windowUpdate(1, 0), peer.ok(3));
    assert.deepEqual([answers(0), answers(1)], [['unknown'], [200]]);
  });

  it('asking and never reading, and then this: each push has its answer', () => {
    const { peer, answers } = written(1);
    const ping = frame(PING, 0, 0, Buffer.alloc(8));
    peer.say(...Array.from({ length: 3855 }, () => ping));
    assert.throws(() => peer.say(peer.data(1, REASON)), { word: 'ENHANCE_YOUR_CALM' });
    peer.session.end();
    assert.deepEqual(answers(0), ['unknown']);
  });

  it('asking and never reading', () => {
    const { peer } = written(1);
    const flood = Array.from({ length: 5_000 }, () => frame(PING, 0, 0, Buffer.alloc(8)));
    assert.throws(() => peer.say(...flood), { word: 'ENHANCE_YOUR_CALM' });
  });
});

describe('an exchange that sends the next push when it is answered', () => {
  it('is told once, and the next goes out', () => {
    const peer = new Peer().open([Setting.MAX_CONCURRENT_STREAMS, 1]);
    let left = 50;
    const next = (): void => {
      if (left-- > 0) peer.session.send(AUTHORIZATION, { push: push('ab'), answered: next });
    };
    next();
    for (let id = 1; left >= 0; id += 2) {
      assert.ok(peer.read().some(({ type }) => type === HEADERS));
      peer.say(peer.ok(id));
    }
    peer.session.drain();
    assert.equal(peer.session.isDone, true);
  });
});
