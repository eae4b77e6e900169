/** The other end of an HTTP/2 session without a socket: reads what it wrote, and says what a test wants said. */
import {
  type Answer,
  type Exchange,
  UNKNOWN,
  UNPROCESSED,
} from '../../../services/gateway/apns/connection.js';
import type { ApnsPush } from '../../../services/gateway/apns/engine.js';
import { FrameReader } from '../../../services/gateway/apns/http2/frame-reader.js';
import { writeFrameHeader } from '../../../services/gateway/apns/http2/frame-writer.js';
import { HpackDecoder } from '../../../services/gateway/apns/http2/hpack/decoder.js';
import { HpackEncoder } from '../../../services/gateway/apns/http2/hpack/encoder.js';
import { Flag, FrameType, PREFACE } from '../../../services/gateway/apns/http2/protocol.js';
import { Session } from '../../../services/gateway/apns/http2/session.js';
import { push } from './setup.js';

export const AUTHORIZATION = 'bearer made.up.token';

/** A frame as the session wrote it. */
export interface Written {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Buffer;
}

export function frame(
  type: number,
  flags: number,
  streamId: number,
  payload: Uint8Array = Buffer.alloc(0),
): Buffer {
  const out = Buffer.alloc(9 + payload.length);
  out.set(payload, writeFrameHeader(out, 0, payload.length, type, flags, streamId));
  return out;
}

export const uint32 = (value: number): Buffer => {
  const out = Buffer.alloc(4);
  out.writeUInt32BE(value);
  return out;
};

export function settings(...pairs: ReadonlyArray<readonly [id: number, value: number]>): Buffer {
  const payload = pairs.map(([id, value]) => Buffer.concat([Buffer.from([0, id]), uint32(value)]));
  return frame(FrameType.SETTINGS, 0, 0, Buffer.concat(payload));
}

export const goaway = (lastId: number, code: number, data = ''): Buffer =>
  frame(FrameType.GOAWAY, 0, 0, Buffer.concat([uint32(lastId), uint32(code), Buffer.from(data)]));

export const reset = (streamId: number, code: number): Buffer =>
  frame(FrameType.RST_STREAM, 0, streamId, uint32(code));

export const windowUpdate = (streamId: number, increment: number): Buffer =>
  frame(FrameType.WINDOW_UPDATE, 0, streamId, uint32(increment));

/** A request that is under way, and what became of it. */
export interface Sent {
  readonly exchange: Exchange;
  readonly answers: Answer[];
}

/** Short words for answers. */
export const word = (answer: Answer | undefined): string | number | undefined =>
  answer === UNKNOWN || answer === UNPROCESSED
    ? answer.kind
    : answer?.kind === 'response'
      ? answer.status
      : undefined;

export class Peer {
  readonly session: Session;
  /** What the session told, in order. */
  readonly told: string[] = [];
  private readonly out: Buffer;
  private readonly decoder: HpackDecoder;
  private readonly encoder = new HpackEncoder();
  private prefaceLeft = PREFACE.length;

  /**
   * @param room of each write
   * @param tableSize of the peer's HPACK table; its SETTINGS must say so
   */
  constructor(room = 64 * 1024, tableSize = 4096) {
    this.out = Buffer.alloc(room);
    this.decoder = new HpackDecoder({ maxTableSize: tableSize });
    this.session = new Session('apns.example', {
      settings: () => this.told.push('settings'),
      goaway: (reason) => this.told.push(`goaway ${reason}`),
      wantsWrite: () => {},
    });
  }

  /** Says its SETTINGS and reads what came before: a session that is open. */
  open(...pairs: ReadonlyArray<readonly [id: number, value: number]>): this {
    this.say(settings(...pairs));
    this.read();
    return this;
  }

  say(...frames: Buffer[]): void {
    this.session.read(Buffer.concat(frames));
  }

  send(more: Partial<ApnsPush> = {}): Sent {
    const answers: Answer[] = [];
    const exchange = { push: push('abcd', more), answered: (answer: Answer) => void answers.push(answer) };
    if (!this.session.send(AUTHORIZATION, exchange)) throw new Error('not taken');
    return { exchange, answers };
  }

  /** Frames of one write; none where there is nothing to write. */
  readOnce(): Written[] {
    const length = this.session.write(this.out);
    const frames: Written[] = [];
    const reader = new FrameReader(({ type, flags, streamId, bytes, start, end }) =>
      frames.push({ type, flags, streamId, payload: Buffer.from(bytes.subarray(start, end)) }),
    );
    const skipped = Math.min(this.prefaceLeft, length);
    this.prefaceLeft -= skipped;
    reader.read(Buffer.from(this.out.subarray(skipped, length)));
    return frames;
  }

  /** Everything that it writes at present. */
  read(): Written[] {
    const all: Written[] = [];
    for (;;) {
      const frames = this.readOnce();
      if (frames.length === 0) return all;
      all.push(...frames);
    }
  }

  /** The fields of HEADERS; every block must be decoded once, in order. */
  fields({ payload }: Written): Record<string, string> {
    const fields: Record<string, string> = {};
    this.decoder.decode(payload, 0, payload.length, (name, value) => {
      fields[name] = value;
    });
    return fields;
  }

  /** HEADERS of a response. */
  head(streamId: number, fields: Readonly<Record<string, string>>, flags: number = Flag.END_HEADERS): Buffer {
    return frame(FrameType.HEADERS, flags, streamId, this.block(fields));
  }

  block(fields: Readonly<Record<string, string>>): Buffer {
    const out = Buffer.alloc(64 * 1024);
    let at = this.encoder.begin(out, 0);
    for (const [name, value] of Object.entries(fields)) at = this.encoder.indexed(out, at, name, value);
    return out.subarray(0, at);
  }

  ok(streamId: number): Buffer {
    return this.head(streamId, { ':status': '200' }, Flag.END_HEADERS | Flag.END_STREAM);
  }

  data(streamId: number, payload: string | Uint8Array, isEnd = true): Buffer {
    return frame(FrameType.DATA, isEnd ? Flag.END_STREAM : 0, streamId, Buffer.from(payload as string));
  }
}
