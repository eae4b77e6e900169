/** The way to one of Apple's hosts: name, TCP, TLS. Sends nothing; the push is `dry-push.ts`. */
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import type { Clock } from '../../../shared/run/clock.js';
import type { Finding } from '../../../shared/run/doctor.js';
import { APNS_LIMITS, type ApnsEndpoint } from '../apns/options.js';

const ALPN = 'h2';

/** Name, then TCP and TLS; ends after the first that fails. `name` says whose host it is. */
export async function* examineWay(
  name: string,
  endpoint: ApnsEndpoint,
  clock: Clock,
): AsyncGenerator<Finding> {
  const resolved = await resolveName(name, endpoint, clock);
  yield resolved;
  if (resolved.state === 'ok') yield await connects(name, endpoint, clock);
}

async function resolveName(name: string, { host }: ApnsEndpoint, clock: Clock): Promise<Finding> {
  const hop = `${name}: name`;
  if (isIP(host) !== 0) return { name: hop, state: 'ok', detail: 'an address, nothing to resolve' };
  const start = clock.monotonic();
  let found: number;
  try {
    found = (await lookup(host, { all: true })).length;
  } catch {
    const fix = 'see /etc/resolv.conf, and that this machine may ask its DNS server';
    return { name: hop, state: 'failed', detail: `${host} does not resolve`, fix };
  }
  const detail = `${host} has ${found} ${found === 1 ? 'address' : 'addresses'}`;
  return { name: hop, state: 'ok', detail, ms: clock.monotonic() - start };
}

/** How far it came, and OpenSSL's or Node's word for what went wrong. */
interface Attempt {
  readonly isOpen: boolean;
  readonly code?: string;
  readonly alpn?: string | false | null;
  readonly protocol?: string | null;
}

async function connects(name: string, endpoint: ApnsEndpoint, clock: Clock): Promise<Finding> {
  const start = clock.monotonic();
  const attempt = await dial(endpoint, clock);
  const { isOpen, code, alpn, protocol } = attempt;
  const hop = isOpen ? `${name}: TLS` : `${name}: TCP`;
  const failed = (detail: string, fix: string): Finding => ({ name: hop, state: 'failed', detail, fix });
  const place = `${endpoint.host} port ${endpoint.port}`;
  if (!isOpen) {
    const fix = `let TCP to port ${endpoint.port} out of this machine's network`;
    return failed(`no connection to ${place} (${code ?? 'timed out'})`, fix);
  }
  if (code !== undefined || protocol === undefined) return failed(...tlsFailure(code, endpoint));
  if (alpn !== ALPN) return failed('HTTP/2 is not offered', 'take the proxy out that stands in between');
  return { name: hop, state: 'ok', detail: `${protocol}, HTTP/2`, ms: clock.monotonic() - start };
}

function tlsFailure(code: string | undefined, { ca }: ApnsEndpoint): [detail: string, fix: string] {
  const detail = `the certificate or the handshake is not good (${code ?? 'timed out'})`;
  if (code === 'CERT_NOT_YET_VALID' || code === 'CERT_HAS_EXPIRED') {
    return [detail, "see this machine's clock first: timedatectl; the certificate is outside its dates"];
  }
  if (ca !== undefined) return [detail, 'set test_environment.ca_file to the authority of that server'];
  return [detail, 'something in between answers in place of Apple: let this machine connect without it'];
}

function dial({ host, port, ca }: ApnsEndpoint, clock: Clock): Promise<Attempt> {
  return new Promise((resolve) => {
    let isOpen = false;
    const socket: TLSSocket = connect({
      host,
      port,
      ALPNProtocols: [ALPN],
      minVersion: 'TLSv1.2',
      ...(isIP(host) === 0 && { servername: host }),
      ...(ca !== undefined && { ca }),
    });
    const done = (attempt: Omit<Attempt, 'isOpen'>): void => {
      deadline.cancel();
      socket.destroy();
      resolve({ isOpen, ...attempt });
    };
    const deadline = clock.after(APNS_LIMITS.connectMs, () => done({}));
    socket.once('connect', () => {
      isOpen = true;
    });
    socket.once('secureConnect', () => done({ alpn: socket.alpnProtocol, protocol: socket.getProtocol() }));
    socket.on('error', (error: NodeJS.ErrnoException) => done({ code: error.code ?? 'unknown' }));
    socket.once('close', () => done({}));
  });
}
