/**
 * A connection to APNs over node:http2. Only framing: no queue, no retry, no timers.
 * The path is the device token and is a string here, for node:http2 takes nothing else: it is made at send time, kept
 * by nobody but the stream, and sent as a never-indexed literal, as the authorization is (apns.md §2).
 */
import { lookup as dnsLookup, type LookupAddress } from 'node:dns';
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  sensitiveHeaders,
} from 'node:http2';
import type { LookupFunction } from 'node:net';
import {
  ACCEPTED,
  type Answer,
  type Connection,
  type ConnectionListener,
  type Dial,
  type Exchange,
  UNKNOWN,
  UNPROCESSED,
} from './connection.js';
import type { ApnsPush } from './engine.js';
import type { ApnsEndpoint } from './options.js';

const { NGHTTP2_CANCEL, NGHTTP2_FLAG_END_STREAM, NGHTTP2_REFUSED_STREAM } = constants;

/** Apple's error bodies are below 100 bytes; more is not read. */
const MAX_ERROR_BODY = 1024;
/** Megabytes. Node's default of 10 makes it refuse streams of its own at a thousand bodies of 4 KB in flight. */
const SESSION_MEMORY = 64;
const MAX_RETRY_AFTER_SECONDS = 86_400;
/** Streams of accepted pushes that the peer may leave open, and never more than half of those it allows. */
const MAX_UNENDED = 16;

/** Dials `endpoint` with a fresh DNS query each time, over addresses in random order (apns.md §1). */
export function http2Dial(endpoint: ApnsEndpoint, random: () => number): Dial {
  const lookup = spreadingLookup(random);
  return (listener) => new Http2Connection(endpoint, lookup, listener);
}

/** A stream with what its handlers need, so that no closures are made per push. */
interface PushStream extends ClientHttp2Stream {
  exchange: Exchange;
  connection: Http2Connection;
  /** Non-200 answers only. */
  failure?: {
    status: number;
    retryAfter: string | undefined;
    date: string | undefined;
    body: Buffer[];
    size: number;
  };
}

class Http2Connection implements Connection {
  maxStreams = 0;
  private readonly session: ClientHttp2Session;
  private readonly listener: ConnectionListener;
  private readonly streams = new Map<Exchange, PushStream>();
  /** Accepted, but not ended by the peer: they take places that the pool believes free. */
  private readonly unended = new Set<PushStream>();
  private readonly headers: OutgoingHttpHeaders & { ':path': string; authorization: string };
  private lastStreamId = Number.POSITIVE_INFINITY;
  private saidGoaway = false;
  private code: string | undefined;

  constructor(endpoint: ApnsEndpoint, lookup: LookupFunction, listener: ConnectionListener) {
    this.listener = listener;
    this.headers = headerTemplate(endpoint);
    const host = endpoint.host.includes(':') ? `[${endpoint.host}]` : endpoint.host;
    this.session = connect(`https://${host}:${endpoint.port}`, {
      lookup,
      settings: { enablePush: false },
      peerMaxConcurrentStreams: 1,
      maxSessionMemory: SESSION_MEMORY,
      ...(endpoint.ca !== undefined && { ca: endpoint.ca }),
    });
    this.session.on('remoteSettings', (settings) => this.settings(settings.maxConcurrentStreams));
    this.session.on('goaway', (_code, lastId, data) => this.goaway(lastId, data));
    this.session.on('error', (error: NodeJS.ErrnoException) => {
      this.code = error.code;
    });
    this.session.on('close', () => this.closed());
  }

  send(authorization: string, exchange: Exchange): boolean {
    const headers = this.headers;
    const { push } = exchange;
    fill(headers, push, authorization);
    let stream: PushStream;
    try {
      stream = this.session.request(headers) as PushStream;
    } catch {
      return false; // destroyed, or going away
    } finally {
      headers[':path'] = '';
    }
    stream.exchange = exchange;
    stream.connection = this;
    this.streams.set(exchange, stream);
    stream.on('response', onResponse);
    stream.on('error', onStreamError);
    stream.on('close', onStreamClose);
    stream.end(push.body);
    return true;
  }

  cancel(exchange: Exchange): void {
    const stream = this.streams.get(exchange);
    this.streams.delete(exchange);
    stream?.close(NGHTTP2_CANCEL);
  }

  ping(pong: () => void): void {
    if (this.session.destroyed) return;
    this.session.ping((error) => {
      if (!error) pong();
    });
  }

  drain(): void {
    this.maxStreams = 0;
    if (!this.session.closed) this.session.close();
  }

  destroy(): void {
    this.maxStreams = 0;
    this.session.destroy();
  }

  /** The answer to one request, unless it was cancelled. */
  answer(stream: PushStream, answer: Answer): void {
    if (this.streams.delete(stream.exchange)) stream.exchange.answered(answer);
  }

  /** A 200 is an answer before its end; ends that don't come are not waited for for ever. */
  accepted(stream: PushStream, isEnd: boolean): void {
    this.answer(stream, ACCEPTED);
    if (isEnd) return;
    this.unended.add(stream);
    if (this.unended.size <= Math.min(MAX_UNENDED, this.maxStreams / 2)) return;
    const [oldest] = this.unended;
    this.unended.delete(oldest!);
    oldest!.close(NGHTTP2_CANCEL);
  }

  ended(stream: PushStream): void {
    this.unended.delete(stream);
  }

  /** A stream that ended without a complete answer: is it certain that Apple did nothing with it? */
  lost(stream: PushStream): Answer {
    const never = stream.id === undefined || stream.id > this.lastStreamId;
    return never || stream.rstCode === NGHTTP2_REFUSED_STREAM ? UNPROCESSED : UNKNOWN;
  }

  private settings(maxStreams: number | undefined): void {
    if (this.saidGoaway || this.session.closed) return;
    this.maxStreams = maxStreams ?? Number.POSITIVE_INFINITY;
    this.listener.settings();
  }

  private goaway(lastId: number, data: Uint8Array | undefined): void {
    this.maxStreams = 0;
    this.lastStreamId = Math.min(this.lastStreamId, lastId);
    if (this.saidGoaway) return; // later frames of the same shutdown carry no data
    this.saidGoaway = true;
    this.listener.goaway(data === undefined ? undefined : errorBody([data]).reason);
  }

  private closed(): void {
    this.maxStreams = 0;
    for (const stream of [...this.streams.values()]) this.answer(stream, this.lost(stream));
    this.listener.closed(this.code);
  }
}

function onResponse(this: PushStream, headers: IncomingHttpHeaders, flags: number): void {
  const status = Number(headers[':status']);
  if (status === 200) {
    this.connection.accepted(this, (flags & NGHTTP2_FLAG_END_STREAM) !== 0);
  } else {
    const retryAfter = headers['retry-after'];
    this.failure = { status, retryAfter, date: headers.date, body: [], size: 0 };
    this.on('data', onErrorBody);
  }
  this.resume();
}

function onErrorBody(this: PushStream, chunk: Buffer): void {
  const failure = this.failure!;
  failure.size += chunk.length;
  if (failure.size <= MAX_ERROR_BODY) failure.body.push(chunk);
}

/** What went wrong shows in `rstCode` and in the session's state; 'close' follows. */
function onStreamError(): void {}

function onStreamClose(this: PushStream): void {
  const { connection, failure } = this;
  connection.ended(this);
  connection.answer(this, failure ? failed(failure) : connection.lost(this));
}

function failed(failure: NonNullable<PushStream['failure']>): Answer {
  const { reason, timestampMs } = errorBody(failure.body);
  const { status, retryAfter, date } = failure;
  const dateMs = date === undefined ? Number.NaN : Date.parse(date);
  return {
    kind: 'response',
    status,
    reason,
    timestampMs,
    retryAfterSeconds: retryAfterSeconds(retryAfter),
    ...(Number.isFinite(dateMs) && { dateMs }),
  };
}

/** `{"reason": text, "timestamp": ms}` of an answer or a GOAWAY; nothing where it is something else. */
function errorBody(chunks: readonly Uint8Array[]): { reason?: string; timestampMs?: number } {
  try {
    const { reason, timestamp } = JSON.parse(Buffer.concat(chunks).toString()) as Record<string, unknown>;
    return {
      ...(typeof reason === 'string' && { reason }),
      ...(typeof timestamp === 'number' && Number.isSafeInteger(timestamp) && { timestampMs: timestamp }),
    };
  } catch {
    return {};
  }
}

/** Whole seconds only: Apple documents no Retry-After at all, and dates would trust its clock. */
function retryAfterSeconds(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d{1,9}$/.test(text)) return undefined;
  return Math.min(Number(text), MAX_RETRY_AFTER_SECONDS);
}

/** Headers of every request of a connection; `fill` sets what differs. Node copies the object at each request. */
function headerTemplate(endpoint: ApnsEndpoint): Http2Connection['headers'] {
  const authority = endpoint.port === 443 ? endpoint.host : `${endpoint.host}:${endpoint.port}`;
  return {
    ':method': 'POST',
    ':scheme': 'https',
    ':authority': authority,
    ':path': '',
    authorization: '',
    'apns-topic': '',
    'apns-push-type': '',
    'apns-priority': '',
    'apns-expiration': '',
    'apns-collapse-id': undefined,
    // The expiration differs from push to push: indexed, it would evict the rest of Apple's small table.
    [sensitiveHeaders]: [':path', 'authorization', 'apns-expiration'],
  } as Http2Connection['headers'];
}

function fill(headers: Http2Connection['headers'], push: ApnsPush, authorization: string): void {
  headers[':path'] = pathOf(push);
  headers.authorization = authorization;
  headers['apns-topic'] = push.topic;
  headers['apns-push-type'] = push.pushType;
  headers['apns-priority'] = push.priority === 10 ? '10' : '5';
  headers['apns-expiration'] = String(push.expiration);
  headers['apns-collapse-id'] = push.collapseId;
}

/** Lower-case hex of the token; in the environment `test` its text, which `checked` found harmless. */
function pathOf(push: ApnsPush): string {
  const { token } = push;
  const bytes = Buffer.from(token.buffer, token.byteOffset, token.byteLength);
  return `/3/device/${bytes.toString(push.environment === 'test' ? 'latin1' : 'hex')}`;
}

/** Node caches no DNS answers; shuffled, since the system's resolver sorts and would pick the same server always. */
function spreadingLookup(random: () => number): LookupFunction {
  return (hostname, options, callback) => {
    dnsLookup(hostname, { ...options, all: true }, (error, addresses) => {
      if (error) callback(error, []);
      else if (options.all) callback(null, shuffled(addresses, random));
      else {
        const [first] = shuffled(addresses, random);
        callback(null, first!.address, first!.family);
      }
    });
  };
}

function shuffled(addresses: readonly LookupAddress[], random: () => number): LookupAddress[] {
  return addresses
    .map((address) => ({ address, order: random() }))
    .sort((a, b) => a.order - b.order)
    .map(({ address }) => address);
}
