/** What goes out: header blocks, windows, the stream limit, and what happens to a push that waits. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  ErrorCode,
  Flag,
  FrameType,
  Setting,
} from '../../../../../../services/gateway/apns/http2/protocol.js';
import { authorityOf } from '../../../../../../services/gateway/apns/http2/request-headers.js';
import { utf8 } from '../../../../../../shared/encoding/bytes.js';
import {
  AUTHORIZATION,
  Peer,
  settings,
  type Written,
  windowUpdate,
  word,
} from '../../../../../support/apns/http2-peer.js';
import { push, TOPIC } from '../../../../../support/apns/setup.js';

const { DATA, HEADERS, RST_STREAM } = FrameType;
/** No part of it is like another. */
const body = (size: number): Uint8Array =>
  Buffer.from(Array.from({ length: size }, (_, i) => `${i} `).join('')).subarray(0, size);
const content = (frames: readonly Written[]): Buffer =>
  Buffer.concat(frames.filter(({ type }) => type === DATA).map(({ payload }) => payload));
const sum = (frames: readonly Written[]): number =>
  frames.filter(({ type }) => type === DATA).reduce((total, { payload }) => total + payload.length, 0);
const ids = (frames: readonly Written[]): number[] =>
  frames.filter(({ type }) => type === HEADERS).map(({ streamId }) => streamId);

describe('a request', () => {
  it('bears the fields of apns.md §2 and its body', () => {
    const peer = new Peer().open();
    peer.send({ token: Buffer.from('00ff7Ea0', 'hex'), collapseId: 'message-3', priority: 5 });
    const [head, data, ...rest] = peer.read();
    assert.deepEqual(rest, []);
    assert.deepEqual(peer.fields(head!), {
      ':method': 'POST',
      ':scheme': 'https',
      ':authority': 'apns.example',
      ':path': '/3/device/00ff7ea0',
      authorization: AUTHORIZATION,
      'apns-topic': TOPIC,
      'apns-push-type': 'alert',
      'apns-priority': '5',
      'apns-expiration': '4000000000',
      'apns-collapse-id': 'message-3',
    });
    assert.deepEqual([head!.type, head!.flags, head!.streamId], [HEADERS, Flag.END_HEADERS, 1]);
    assert.deepEqual([data!.type, data!.flags, data!.streamId], [DATA, Flag.END_STREAM, 1]);
    assert.deepEqual(data!.payload, Buffer.from(push('abcd').body));
  });

  it('in the environment test has the token as it is', () => {
    const peer = new Peer().open();
    peer.send({ environment: 'test', token: utf8('some-word') });
    assert.equal(peer.fields(peer.read()[0]!)[':path'], '/3/device/some-word');
  });

  it('never lets token and provider token be indexed, and the second time names the rest by index', () => {
    const peer = new Peer().open();
    peer.send();
    peer.send();
    const [first, second] = peer.read().filter(({ type }) => type === HEADERS);
    for (const { payload } of [first!, second!]) {
      const text = payload.toString('latin1');
      assert.ok(text.includes('\x14\x0e/3/device/abcd'), 'never indexed, name 4');
      assert.ok(text.includes(`\x1f\x08${String.fromCharCode(AUTHORIZATION.length)}${AUTHORIZATION}`));
    }
    const constant = 'apns-expiration'.length + '4000000000'.length + AUTHORIZATION.length + 14;
    assert.ok(second!.payload.length < constant + 20, `${second!.payload.length} bytes`);
    peer.fields(first!);
    assert.equal(peer.fields(second!)['apns-topic'], TOPIC);
  });

  it('names the host as URLs do', () => {
    assert.equal(authorityOf('api.push.apple.com', 443), 'api.push.apple.com');
    assert.equal(authorityOf('localhost', 2197), 'localhost:2197');
    assert.equal(authorityOf('::1', 443), '[::1]');
    assert.equal(authorityOf('::1', 2197), '[::1]:2197');
  });

  for (const size of [0, 60, 100, 4096]) {
    it(`is encoded for a peer's table of ${size} bytes`, () => {
      const peer = new Peer(64 * 1024, size).open([Setting.HEADER_TABLE_SIZE, size]);
      for (const topic of ['org.example.a', 'org.example.b', 'org.example.a', 'org.example.a']) {
        peer.send({ topic });
        const fields = peer.fields(peer.read()[0]!);
        assert.deepEqual([fields['apns-topic'], fields['apns-push-type']], [topic, 'alert']);
      }
    });
  }
});

describe('before the peer allows it', () => {
  it('nothing but preface and SETTINGS is written', () => {
    const peer = new Peer();
    peer.send();
    assert.deepEqual(
      peer.read().map(({ type }) => type),
      [FrameType.SETTINGS],
    );
    assert.equal(peer.session.maxStreams, 0);
    peer.say(settings([Setting.MAX_CONCURRENT_STREAMS, 7]));
    assert.equal(peer.session.maxStreams, 7);
    assert.deepEqual(
      peer.read().map(({ type }) => type),
      [FrameType.SETTINGS, HEADERS, DATA],
    );
  });

  it('no stream is opened beyond its limit, and the next follow in order', () => {
    const peer = new Peer().open([Setting.MAX_CONCURRENT_STREAMS, 2]);
    for (let n = 0; n < 5; n++) peer.send();
    assert.deepEqual(ids(peer.read()), [1, 3]);
    peer.say(peer.ok(3));
    assert.deepEqual(ids(peer.read()), [5]);
    peer.say(settings([Setting.MAX_CONCURRENT_STREAMS, 0]), peer.ok(1), peer.ok(5));
    assert.deepEqual(ids(peer.read()), []);
    peer.say(settings([Setting.MAX_CONCURRENT_STREAMS, 9]));
    assert.deepEqual(ids(peer.read()), [7, 9]);
  });

  it('a push that is cancelled while it waits is never seen', () => {
    const peer = new Peer().open([Setting.MAX_CONCURRENT_STREAMS, 1]);
    peer.send();
    const second = peer.send();
    assert.deepEqual(ids(peer.read()), [1]);
    peer.session.cancel(second.exchange);
    peer.say(peer.ok(1));
    assert.deepEqual(peer.read(), []);
  });
});

describe('windows', () => {
  it('no body goes beyond the stream’s, and the rest follows when it opens', () => {
    const peer = new Peer().open([Setting.INITIAL_WINDOW_SIZE, 100]);
    const { answers } = peer.send({ body: body(250) });
    const parts = [peer.read()];
    peer.say(windowUpdate(1, 149));
    parts.push(peer.read());
    peer.say(windowUpdate(1, 500));
    parts.push(peer.read());
    assert.deepEqual(parts.map(sum), [100, 149, 1]);
    assert.equal(parts[2]![0]!.flags, Flag.END_STREAM);
    assert.deepEqual(content(parts.flat()), body(250));
    peer.say(peer.ok(1));
    assert.deepEqual(answers.map(word), [200]);
  });

  it('nothing goes beyond the connection’s, and nothing is begun while it is closed', () => {
    const peer = new Peer().open();
    for (let n = 0; n < 20; n++) peer.send({ body: body(4096) });
    const first = peer.read();
    assert.equal(sum(first), 65_535);
    assert.equal(ids(first).length, 16);
    peer.say(windowUpdate(0, 1));
    const then = peer.read();
    assert.deepEqual([sum(then), ids(then).length], [1, 0]);
    peer.say(windowUpdate(0, 100_000));
    assert.equal(sum(peer.read()), 20 * 4096 - 65_536);
  });

  it('a smaller initial size shrinks open ones below zero', () => {
    const peer = new Peer().open([Setting.INITIAL_WINDOW_SIZE, 100]);
    peer.send({ body: body(250) });
    assert.equal(sum(peer.read()), 100);
    peer.say(settings([Setting.INITIAL_WINDOW_SIZE, 0]), windowUpdate(1, 100));
    assert.equal(sum(peer.read()), 0);
    peer.say(windowUpdate(1, 30));
    assert.equal(sum(peer.read()), 30);
    peer.say(settings([Setting.INITIAL_WINDOW_SIZE, 1000]));
    assert.equal(sum(peer.read()), 120);
  });

  it('one that would be too large ends its stream, or the connection', () => {
    const peer = new Peer().open([Setting.INITIAL_WINDOW_SIZE, 10]);
    const { answers } = peer.send({ body: body(250) });
    peer.read();
    peer.say(windowUpdate(1, 1), windowUpdate(1, 0x7fff_ffff));
    const [reset] = peer.read();
    assert.deepEqual(
      [reset!.type, reset!.payload.readUInt32BE()],
      [RST_STREAM, ErrorCode.FLOW_CONTROL_ERROR],
    );
    assert.deepEqual(answers.map(word), ['unknown']);
    assert.throws(() => peer.say(windowUpdate(0, 0x7fff_ffff)), { word: 'FLOW_CONTROL_ERROR' });
    const other = new Peer().open([Setting.INITIAL_WINDOW_SIZE, 10]);
    other.send({ body: body(250) });
    other.read();
    other.say(windowUpdate(1, 0x7fff_0000));
    assert.throws(() => other.say(settings([Setting.INITIAL_WINDOW_SIZE, 0x7fff_ffff])), {
      word: 'FLOW_CONTROL_ERROR',
    });
  });
});

describe('writes', () => {
  it('are whole frames, in order, however little room each has', () => {
    const peer = new Peer(5_000).open();
    for (let n = 0; n < 9; n++) peer.send({ body: body(1_000 + n) });
    const seen: number[] = [];
    for (let frames = peer.readOnce(); frames.length > 0; frames = peer.readOnce()) {
      assert.ok(frames.length <= 8, 'no more than fit');
      for (const { streamId, type } of frames) if (type === HEADERS) seen.push(streamId);
    }
    assert.deepEqual(seen, [1, 3, 5, 7, 9, 11, 13, 15, 17]);
  });
});
