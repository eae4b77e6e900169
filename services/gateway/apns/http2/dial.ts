/**
 * The socket of a connection to APNs: TLS, names, and turns of writing. One write is under way at a time, out of a
 * buffer that is overwritten when it is done: with more than one, or a list of buffers, node:tls would copy them.
 */
import { constants } from 'node:crypto';
import { lookup as dnsLookup, type LookupAddress } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import type { Connection, ConnectionListener, Dial, Exchange } from '../connection.js';
import type { ApnsEndpoint } from '../options.js';
import { goawayFrame } from './frame-writer.js';
import { type ErrorWord, Http2Error } from './protocol.js';
import { authorityOf } from './request-headers.js';
import { Session } from './session.js';

/** Bytes of one write: some thirty pushes with bodies of 4 KB. */
const WRITE_SIZE = 128 * 1024;

/** Dials `endpoint` with a fresh DNS query each time, over addresses in random order (apns.md §1). */
export function http2Dial(endpoint: ApnsEndpoint, random: () => number): Dial {
  const lookup = spreadingLookup(random);
  return (listener) => new Http2Connection(endpoint, lookup, listener);
}

class Http2Connection implements Connection {
  private readonly listener: ConnectionListener;
  private readonly session: Session;
  private readonly socket: TLSSocket;
  private readonly out = Buffer.allocUnsafeSlow(WRITE_SIZE);
  /** Bytes of `out` that are being written. */
  private writing = 0;
  private isOpen = false;
  private isFlushing = false;
  private code: string | undefined;

  constructor(endpoint: ApnsEndpoint, lookup: LookupFunction, listener: ConnectionListener) {
    const { host, port, ca } = endpoint;
    this.listener = listener;
    this.session = new Session(authorityOf(host, port), {
      settings: () => listener.settings(),
      goaway: (reason) => listener.goaway(reason),
      wantsWrite: () => this.flushSoon(),
    });
    this.socket = connect({
      host,
      port,
      lookup,
      ALPNProtocols: ['h2'],
      // RFC 9113 §9.2.1; and while TLS negotiates, node:tls keeps copies of what is to be written.
      secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
      ...(isIP(host) === 0 && { servername: host }),
      ...(ca !== undefined && { ca }),
    });
    this.socket.setNoDelay(true);
    this.socket.on('secureConnect', () => this.opened());
    this.socket.on('data', (chunk) => {
      if (this.isOpen) this.guard(() => this.session.read(chunk));
    });
    // Half a connection brings no answers, and what waits to be written to it could do so for ever.
    this.socket.on('end', () => this.socket.destroy());
    this.socket.on('error', (error: NodeJS.ErrnoException) => {
      this.code ??= error.code;
    });
    this.socket.on('close', () => this.closed());
  }

  get maxStreams(): number {
    return this.session.maxStreams;
  }

  send(authorization: string, exchange: Exchange): boolean {
    return this.session.send(authorization, exchange);
  }

  cancel(exchange: Exchange): void {
    this.guard(() => this.session.cancel(exchange));
  }

  ping(pong: () => void): void {
    this.guard(() => this.session.ping(pong));
  }

  drain(): void {
    this.session.drain();
  }

  destroy(): void {
    this.session.drain();
    this.socket.destroy();
  }

  /** A peer that knows no ALPN is taken too, as simulators are: what it is shows in its first frame. */
  private opened(): void {
    this.isOpen = true;
    this.flush();
  }

  /** Runs something of the session; where the peer broke the rules the connection ends. */
  private guard(action: () => void): void {
    try {
      action();
    } catch (error) {
      if (!(error instanceof Http2Error)) throw error;
      this.code ??= error.word;
      this.leave(error.word);
    }
  }

  /** What was asked for in one turn of the event loop is written together. */
  private flushSoon(): void {
    if (this.isFlushing) return;
    this.isFlushing = true;
    process.nextTick(this.flushNow);
  }

  private readonly flushNow = (): void => {
    this.isFlushing = false;
    this.flush();
  };

  private flush(): void {
    if (!this.isOpen || this.writing > 0 || !this.socket.writable) return;
    this.guard(() => {
      this.writing = this.session.write(this.out);
    });
    if (this.writing > 0) this.socket.write(this.out.subarray(0, this.writing), this.written);
    else if (this.session.isDone) this.leave('NO_ERROR');
  }

  private readonly written = (): void => {
    this.out.fill(0, 0, this.writing);
    this.writing = 0;
    this.flush();
  };

  /** Says why, and goes. A peer that broke the rules may read nothing: it has this turn of the event loop. */
  private leave(word: ErrorWord): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.session.drain();
    this.socket.end(goawayFrame(word));
    if (word === 'NO_ERROR') this.socket.destroySoon();
    else setImmediate(() => this.socket.destroy());
  }

  private closed(): void {
    this.isOpen = false;
    this.session.end();
    this.listener.closed(this.code);
  }
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
