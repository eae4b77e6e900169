/**
 * The smallest HTTP/2 client without TLS that shows header blocks as they are: a test sees what the peer wrote and says
 * what it sends. Requests have no body, bodies of answers are skipped and must stay within the first window.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

const HEADER_SIZE = 9;
const TYPE = { headers: 1, reset: 3, settings: 4, goaway: 7, continuation: 9 } as const;
const ACK = 1;
const END_STREAM = 1;
const END_HEADERS = 4;
const HEADER_TABLE_SIZE = 1;

interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Buffer;
}

export class H2cClient {
  private readonly socket: Socket;
  private readonly frames: AsyncGenerator<Frame>;
  private nextStreamId = 1;

  private constructor(socket: Socket) {
    this.socket = socket;
    this.frames = framesOf(socket);
  }

  /** @param tableSize the SETTINGS_HEADER_TABLE_SIZE to send; none where absent */
  static async connect(port: number, tableSize?: number): Promise<H2cClient> {
    const socket = connect({ port, host: 'localhost', noDelay: true });
    await once(socket, 'connect');
    const client = new H2cClient(socket);
    socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
    const settings = Buffer.alloc(tableSize === undefined ? 0 : 6);
    if (tableSize !== undefined) {
      settings.writeUInt16BE(HEADER_TABLE_SIZE, 0);
      settings.writeUInt32BE(tableSize, 2);
    }
    client.write(TYPE.settings, 0, 0, settings);
    return client;
  }

  /** Sends a request without a body; returns its stream id. */
  request(block: Uint8Array): number {
    const streamId = this.nextStreamId;
    this.nextStreamId += 2;
    this.write(TYPE.headers, END_STREAM | END_HEADERS, streamId, block);
    return streamId;
  }

  /** The next header block of an answer, whole. */
  async answer(): Promise<{ streamId: number; block: Buffer }> {
    const { streamId, ...first } = await this.next(TYPE.headers);
    const pieces = [first.payload];
    for (let { flags } = first; (flags & END_HEADERS) === 0; ) {
      const piece = await this.next(TYPE.continuation);
      pieces.push(piece.payload);
      flags = piece.flags;
    }
    return { streamId, block: Buffer.concat(pieces) };
  }

  /** The HEADER_TABLE_SIZE of the peer's next SETTINGS, which are acknowledged. */
  async tableSize(): Promise<number | undefined> {
    for (;;) {
      const { flags, payload } = await this.next(TYPE.settings);
      if (flags & ACK) continue;
      for (let at = 0; at < payload.length; at += 6) {
        if (payload.readUInt16BE(at) === HEADER_TABLE_SIZE) return payload.readUInt32BE(at + 2);
      }
      return undefined;
    }
  }

  /** The error code of the peer's GOAWAY. */
  async goaway(): Promise<number> {
    return (await this.next(TYPE.goaway)).payload.readUInt32BE(4);
  }

  close(): void {
    this.socket.destroy();
  }

  /** The next frame of this type; those before it are skipped, SETTINGS not without an acknowledgement. */
  private async next(type: number): Promise<Frame> {
    for (;;) {
      const { value: frame, done } = await this.frames.next();
      if (done) throw new Error('the connection ended');
      if (frame.type === TYPE.settings && !(frame.flags & ACK))
        this.write(TYPE.settings, ACK, 0, Buffer.alloc(0));
      if (frame.type === type) return frame;
      if (frame.type === TYPE.reset || frame.type === TYPE.goaway) throw new Error('the peer refused');
    }
  }

  private write(type: number, flags: number, streamId: number, payload: Uint8Array): void {
    const header = Buffer.alloc(HEADER_SIZE);
    header.writeUIntBE(payload.length, 0, 3);
    header[3] = type;
    header[4] = flags;
    header.writeUInt32BE(streamId, 5);
    this.socket.write(Buffer.concat([header, payload]));
  }
}

async function* framesOf(socket: Socket): AsyncGenerator<Frame> {
  let held = Buffer.alloc(0);
  for await (const chunk of socket) {
    held = Buffer.concat([held, chunk]);
    while (held.length >= HEADER_SIZE) {
      const end = HEADER_SIZE + held.readUIntBE(0, 3);
      if (held.length < end) break;
      const streamId = held.readUInt32BE(5) & 0x7fff_ffff;
      yield { type: held[3]!, flags: held[4]!, streamId, payload: held.subarray(HEADER_SIZE, end) };
      held = held.subarray(end);
    }
  }
}
