import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type Frame, FrameReader } from '../../../../../../services/gateway/apns/http2/frame-reader.js';
import {
  goawayFrame,
  pingFrame,
  resetFrame,
  settingsFrame,
  windowFrame,
} from '../../../../../../services/gateway/apns/http2/frame-writer.js';
import { Http2Error, MAX_FRAME_SIZE } from '../../../../../../services/gateway/apns/http2/protocol.js';
import { frame } from '../../../../../support/apns/http2-peer.js';

type Seen = Pick<Frame, 'type' | 'flags' | 'streamId'> & { payload: string };

/** What a reader makes of these chunks. */
function readAll(chunks: readonly Buffer[]): Seen[] {
  const seen: Seen[] = [];
  const reader = new FrameReader(({ type, flags, streamId, bytes, start, end }) =>
    seen.push({ type, flags, streamId, payload: bytes.toString('hex', start, end) }),
  );
  for (const chunk of chunks) reader.read(chunk);
  return seen;
}

const aFrame = fc.record({
  type: fc.nat(255),
  flags: fc.nat(255),
  streamId: fc.nat(0x7fff_ffff),
  payload: fc.oneof(
    fc.uint8Array({ maxLength: 40 }),
    fc.uint8Array({ minLength: 16_380, maxLength: 16_384 }),
  ),
});

describe('reading frames', () => {
  it('does not depend on how the bytes are cut', () => {
    fc.assert(
      fc.property(
        fc.array(aFrame, { maxLength: 5 }),
        fc.array(fc.oneof(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 20_000 })), {
          minLength: 1,
        }),
        (frames, sizes) => {
          const bytes = Buffer.concat(frames.map((f) => frame(f.type, f.flags, f.streamId, f.payload)));
          const chunks: Buffer[] = [];
          for (let at = 0, n = 0; at < bytes.length; n++) {
            const size = sizes[n % sizes.length]!;
            chunks.push(bytes.subarray(at, at + size));
            at += size;
          }
          const expected = frames.map(({ payload, ...rest }) => ({
            ...rest,
            payload: Buffer.from(payload).toString('hex'),
          }));
          assert.deepEqual(readAll(chunks), expected);
        },
      ),
    );
  });

  it('leaves the reserved bit of stream ids out', () => {
    const bytes = frame(6, 0, 5);
    bytes[5]! |= 0x80;
    assert.equal(readAll([bytes])[0]?.streamId, 5);
  });

  it('ends at a frame that is larger than announced, whole or in pieces', () => {
    const large = frame(0, 0, 1, Buffer.alloc(MAX_FRAME_SIZE + 1));
    for (const chunks of [[large], [large.subarray(0, 2), large.subarray(2)], [large.subarray(0, 9)]]) {
      assert.throws(() => readAll(chunks), new Http2Error('FRAME_SIZE_ERROR'));
    }
  });
});

describe('written frames', () => {
  for (const [name, made, hex] of [
    [
      'SETTINGS',
      settingsFrame([
        [2, 0],
        [3, 100],
      ]),
      '00000c040000000000' + '000200000000' + '000300000064',
    ],
    [
      'PING',
      pingFrame(Buffer.from('0102030405060708', 'hex'), false),
      '000008060000000000' + '0102030405060708',
    ],
    ['PING ACK', pingFrame(Buffer.alloc(8), true), '000008060100000000' + '0000000000000000'],
    ['RST_STREAM', resetFrame(0x01020304, 'CANCEL'), '000004030001020304' + '00000008'],
    ['WINDOW_UPDATE', windowFrame(3, 0x01020304), '000004080000000003' + '01020304'],
    ['GOAWAY', goawayFrame('ENHANCE_YOUR_CALM'), '000008070000000000' + '000000000000000b'],
  ] as const) {
    it(name, () => assert.equal(made.toString('hex'), hex));
  }
});
