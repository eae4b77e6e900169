/**
 * One client connection of the simulator: the stream limit that follows what the client does (apns.md §9), GOAWAY,
 * faults, and the way of each request through the checks to its answer.
 */
import { randomUUID } from 'node:crypto';
import { constants, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import type { TLSSocket } from 'node:tls';
import type { Environment } from '../../../shared/relay/identity.js';
import type { Clock } from '../../../shared/run/clock.js';
import { type Authority, ConnectionAuthority } from './authority.js';
import type { Counters } from './counters.js';
import type { Deliveries } from './deliveries.js';
import type { Devices } from './devices.js';
import type { SimulatorRules } from './options.js';
import { type Refusal, refuse } from './refusal.js';
import { checkShape, LARGEST_PAYLOAD, parseRequest, RequestHeaders } from './request.js';
import type { Fault, Script } from './script.js';

const RESET_CODES = {
  refused: constants.NGHTTP2_REFUSED_STREAM,
  cancel: constants.NGHTTP2_CANCEL,
  internal: constants.NGHTTP2_INTERNAL_ERROR,
} as const;

/** What all connections share. */
export interface World {
  readonly clock: Clock;
  readonly rules: SimulatorRules;
  readonly authority: Authority;
  readonly devices: Devices;
  readonly deliveries: Deliveries;
  readonly script: Script;
  readonly counters: Counters;
}

export interface Goaway {
  readonly reason?: string | undefined;
  /** So many of the newest streams count as not processed. */
  readonly back?: number | undefined;
  readonly code?: number | undefined;
}

interface Request {
  readonly stream: ServerHttp2Stream;
  readonly id: number;
  readonly headers: RequestHeaders;
  readonly body: Buffer;
  /** As sent; `body` is cut where it is longer than any push may be. */
  readonly size: number;
}

type Answer = Refusal | { readonly apnsId: string; readonly uniqueId: string | undefined };

export class SimulatedConnection {
  private readonly world: World;
  private readonly environment: Environment;
  private readonly session: ServerHttp2Session;
  private readonly socket: TLSSocket;
  private readonly authority: ConnectionAuthority;
  /** Streams that the last SETTINGS frame allows, and those that the next one will. */
  private allowed = 1;
  private wanted = 1;
  private isSettling = false;
  private badTokens = 0;
  private openStreams = 0;
  private seenId = 0;
  private answeredId = 0;
  private lastId = Number.POSITIVE_INFINITY;
  private isSilent = false;

  constructor(world: World, environment: Environment, session: ServerHttp2Session, socket: TLSSocket) {
    this.world = world;
    this.environment = environment;
    this.session = session;
    this.socket = socket;
    this.authority = new ConnectionAuthority(world.authority, environment);
    session.on('stream', (stream: ServerHttp2Stream, _headers: unknown, _flags: unknown, raw: string[]) =>
      this.open(stream, raw),
    );
    session.on('error', () => {});
  }

  /** Shuts the connection down as Apple does: JSON in the frame, streams up to the last id are still answered. */
  goaway({ reason, back = 0, code = constants.NGHTTP2_NO_ERROR }: Goaway): void {
    if (this.session.destroyed) return;
    this.world.counters.add('goaway');
    this.lastId = Math.max(this.answeredId, this.seenId - 2 * back);
    const data = reason === undefined ? undefined : Buffer.from(JSON.stringify({ reason }));
    this.session.goaway(code, this.lastId, data);
    // nghttp2 itself closes the streams above the last id; closing them here as well corrupts its memory (Node 20).
  }

  /** The connection dies without a word to the other side. */
  cut(): void {
    this.socket.destroy();
  }

  /** From now on nothing is read, PINGs included, and nothing is written: a half-open connection. */
  silence(): void {
    this.isSilent = true;
    // http2 reads from the handle itself, so pausing the socket would do nothing.
    (this.socket as unknown as { _handle?: { readStop(): void } })._handle?.readStop();
  }

  private open(stream: ServerHttp2Stream, raw: readonly string[]): void {
    const id = stream.id!;
    this.seenId = Math.max(this.seenId, id);
    this.openStreams++;
    stream.on('error', () => {});
    stream.on('close', () => this.closed());
    const chunks: Buffer[] = [];
    let size = 0;
    stream.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= LARGEST_PAYLOAD) chunks.push(chunk);
    });
    stream.on('end', () => {
      const body = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
      this.arrive({ stream, id, headers: new RequestHeaders(raw), body, size });
    });
  }

  /**
   * After GOAWAY the connection ends with its last stream. Not before: closing sends a GOAWAY of its own, whose last
   * id would be too high if the first had not left yet, and clients must take that for a protocol error.
   */
  private closed(): void {
    this.openStreams--;
    if (this.openStreams === 0 && this.lastId !== Number.POSITIVE_INFINITY) this.session.close();
  }

  private arrive(request: Request): void {
    const { script, clock } = this.world;
    const faults = script.isEmpty ? [] : script.faults(faultEvent(request.headers));
    const latency = faults.reduce((ms, fault) => ms + ('latencyMs' in fault ? fault.latencyMs : 0), 0);
    const fault = faults.find((each) => !('latencyMs' in each));
    if (latency > 0) clock.after(latency, () => this.proceed(request, fault));
    else this.proceed(request, fault);
  }

  private proceed(request: Request, fault: Fault | undefined): void {
    const { stream, id } = request;
    if (this.isSilent || id > this.lastId || stream.destroyed || stream.closed) return;
    if (fault === undefined) this.answer(request, this.process(request));
    else this.suffer(request, fault);
  }

  private suffer(request: Request, fault: Fault): void {
    this.world.counters.add('fault');
    if ('processed' in fault && fault.processed) this.process(request);
    if ('answer' in fault) this.answer(request, fault.answer);
    else if ('reset' in fault) request.stream.close(RESET_CODES[fault.reset]);
    else if ('cut' in fault) this.cut();
    else if ('silence' in fault) this.silence();
    else if ('goaway' in fault) {
      this.goaway(fault.goaway);
      this.proceed(request, undefined);
    }
  }

  /** Everything Apple checks, in order; an accepted push is on its way when this returns. */
  private process({ headers, body, size }: Request): Answer {
    const shape = checkShape(headers);
    if (shape !== undefined) return refuse(shape);
    const verified = this.authority.authenticate(headers.get('authorization'));
    if ('status' in verified) return verified;
    const push = parseRequest(headers, size);
    if ('status' in push) return push;
    const forbidden = this.authority.authorize(verified, push.topic);
    if (forbidden !== undefined) return forbidden;
    const device = this.world.devices.judge(this.environment, push.token, push.topic);
    if ('status' in device) return device;
    const apnsId = push.apnsId ?? randomUUID();
    const uniqueId = this.environment === 'sandbox' ? randomUUID() : undefined;
    const { environment, token } = device;
    const delivery = { ...push, environment, token, apnsId, uniqueId, payload: body.toString() };
    this.world.deliveries.accept(device, delivery, body);
    return { apnsId, uniqueId };
  }

  private answer(request: Request, answer: Answer): void {
    const { stream, id, headers } = request;
    this.answeredId = Math.max(this.answeredId, id);
    if (!('status' in answer)) {
      this.world.counters.answered(200, undefined);
      const unique = answer.uniqueId === undefined ? {} : { 'apns-unique-id': answer.uniqueId };
      stream.respond({ ':status': 200, 'apns-id': answer.apnsId, ...unique }, { endStream: true });
    } else {
      const { status, reason, timestamp, retryAfterSeconds } = answer;
      this.world.counters.answered(status, reason);
      stream.respond({
        ':status': status,
        'apns-id': headers.get('apns-id') ?? randomUUID(),
        ...(retryAfterSeconds !== undefined && { 'retry-after': String(retryAfterSeconds) }),
      });
      stream.end(JSON.stringify({ reason, ...(timestamp !== undefined && { timestamp }) }));
    }
    this.adjust(answer);
  }

  /** One stream until a valid token was seen and after each error; the whole limit after a good push. */
  private adjust(answer: Answer): void {
    const { maxStreams, slowDownAfterError, maxBadTokens } = this.world.rules;
    const status = 'status' in answer ? answer.status : 200;
    const isError = status >= 400 && status < 500 && status !== 410;
    if (status === 200 || status === 410) this.allow(maxStreams);
    else if (isError && slowDownAfterError) this.allow(1);
    else if (isError && status !== 403) this.allow(maxStreams);
    this.badTokens = 'reason' in answer && answer.reason === 'BadDeviceToken' ? this.badTokens + 1 : 0;
    if (maxBadTokens > 0 && this.badTokens === maxBadTokens) this.goaway({ reason: 'BadDeviceToken' });
  }

  /** One SETTINGS frame at a time: what was wanted last is sent when the one before was acknowledged. */
  private allow(streams: number): void {
    this.wanted = streams;
    if (this.isSettling || streams === this.allowed || this.session.destroyed) return;
    this.allowed = streams;
    this.isSettling = true;
    this.world.counters.add('settings');
    this.session.settings({ maxConcurrentStreams: streams }, () => {
      this.isSettling = false;
      this.allow(this.wanted);
    });
  }
}

function faultEvent(headers: RequestHeaders): {
  on: 'push';
  topic: string | undefined;
  token: string | undefined;
} {
  return {
    on: 'push',
    topic: headers.get('apns-topic'),
    token: headers.get(':path')?.slice('/3/device/'.length),
  };
}
