/**
 * The lean APNs: TLS and just as much HTTP/2 (RFC 9113) as it takes to answer 200 to every request. It decodes no
 * headers, so that it costs a tenth of what the measured clients do and never is what limits them.
 */
import type { AddressInfo } from 'node:net';
import { createServer, type TLSSocket } from 'node:tls';
import { systemClock } from '../../../shared/run/clock.js';
import { emit, serve } from '../child.js';

export interface LeanApnsOptions {
  readonly certificate: string;
  readonly privateKey: string;
  /** How long an answer takes. */
  readonly delayMs: number;
}

/** Told while `watch` is on. */
export type LeanApnsEvent =
  /** Requests since the last time. */
  | { readonly kind: 'count'; readonly requests: number }
  /** One request: its body, and when it was there, by the machine's monotonic clock. */
  | { readonly kind: 'request'; readonly body: Uint8Array; readonly at: bigint };

type Watch = 'nothing' | 'counts' | 'requests';

const FRAME = { data: 0, headers: 1, settings: 4, ping: 6, goaway: 7, windowUpdate: 8 } as const;
const END_STREAM = 1;
const ACK = 1;
const PREFACE_SIZE = 24;
const HEAD_SIZE = 9;
const WINDOW = 0x7fff_0000;
const COUNT_EVERY_MS = 2;
/** `:status: 200` from HPACK's static table. */
const OK = Buffer.from([0, 0, 1, FRAME.headers, 0x5, 0, 0, 0, 0, 0x88]);

let watching: Watch = 'nothing';
let delayMs = 0;
let counted = 0;

function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const out = Buffer.alloc(HEAD_SIZE + payload.length);
  out.writeUIntBE(payload.length, 0, 3);
  out.writeUInt8(type, 3);
  out.writeUInt8(flags, 4);
  out.writeUInt32BE(stream, 5);
  payload.copy(out, HEAD_SIZE);
  return out;
}

const u32 = (n: number): Buffer => {
  const out = Buffer.alloc(4);
  out.writeUInt32BE(n);
  return out;
};

/** MAX_CONCURRENT_STREAMS as Apple's; a window that no body fills. */
const SETTINGS = frame(
  FRAME.settings,
  0,
  0,
  Buffer.concat([Buffer.from([0, 3]), u32(1000), Buffer.from([0, 4]), u32(WINDOW)]),
);

class Connection {
  private readonly socket: TLSSocket;
  private buffered: Buffer = Buffer.alloc(0);
  private skip = PREFACE_SIZE;
  private received = 0;
  private readonly bodies = new Map<number, Buffer[]>();

  constructor(socket: TLSSocket) {
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on('error', () => socket.destroy());
    socket.on('data', (chunk: Buffer) => this.consume(chunk));
    socket.write(Buffer.concat([SETTINGS, frame(FRAME.windowUpdate, 0, 0, u32(WINDOW - 65_535))]));
  }

  private consume(chunk: Buffer): void {
    let bytes = this.buffered.length === 0 ? chunk : Buffer.concat([this.buffered, chunk]);
    const skipped = Math.min(this.skip, bytes.length);
    this.skip -= skipped;
    bytes = bytes.subarray(skipped);
    const answers: Buffer[] = [];
    while (bytes.length >= HEAD_SIZE && bytes.length >= HEAD_SIZE + bytes.readUIntBE(0, 3)) {
      const end = HEAD_SIZE + bytes.readUIntBE(0, 3);
      this.handle(bytes[3]!, bytes[4]!, bytes.readUInt32BE(5), bytes.subarray(HEAD_SIZE, end), answers);
      bytes = bytes.subarray(end);
    }
    this.buffered = bytes;
    if (answers.length > 0) this.socket.write(Buffer.concat(answers));
  }

  private handle(type: number, flags: number, stream: number, payload: Buffer, answers: Buffer[]): void {
    if (type === FRAME.settings && (flags & ACK) === 0) answers.push(frame(type, ACK, 0, Buffer.alloc(0)));
    if (type === FRAME.ping && (flags & ACK) === 0) answers.push(frame(type, ACK, 0, payload));
    if (type === FRAME.data) this.data(stream, payload, answers);
    if ((type === FRAME.data || type === FRAME.headers) && (flags & END_STREAM) !== 0) {
      this.request(stream, answers);
    }
  }

  private data(stream: number, payload: Buffer, answers: Buffer[]): void {
    this.received += payload.length;
    if (this.received > WINDOW / 2) {
      answers.push(frame(FRAME.windowUpdate, 0, 0, u32(this.received)));
      this.received = 0;
    }
    if (watching !== 'requests') return;
    const pieces = this.bodies.get(stream) ?? [];
    this.bodies.set(stream, pieces);
    pieces.push(Buffer.from(payload));
  }

  private request(stream: number, answers: Buffer[]): void {
    counted++;
    if (watching === 'requests') {
      const body = Buffer.concat(this.bodies.get(stream) ?? []);
      emit({ kind: 'request', body, at: process.hrtime.bigint() } satisfies LeanApnsEvent);
    }
    this.bodies.delete(stream);
    const answer = Buffer.from(OK);
    answer.writeUInt32BE(stream, 5);
    if (delayMs === 0) answers.push(answer);
    else systemClock.after(delayMs, () => void (this.socket.destroyed || this.socket.write(answer)));
  }
}

function tellCounts(): void {
  if (watching !== 'counts') return;
  if (counted > 0) emit({ kind: 'count', requests: counted } satisfies LeanApnsEvent);
  counted = 0;
  systemClock.after(COUNT_EVERY_MS, tellCounts);
}

const api = {
  /** Returns the port. */
  async start(options: LeanApnsOptions): Promise<number> {
    delayMs = options.delayMs;
    const server = createServer(
      { cert: options.certificate, key: options.privateKey, ALPNProtocols: ['h2'] },
      (socket) => void new Connection(socket),
    );
    server.on('tlsClientError', () => {});
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return (server.address() as AddressInfo).port;
  },
  watch(what: Watch): void {
    watching = what;
    counted = 0;
    tellCounts();
  },
  setDelay(ms: number): void {
    delayMs = ms;
  },
};
export type LeanApns = typeof api;
serve(api);
