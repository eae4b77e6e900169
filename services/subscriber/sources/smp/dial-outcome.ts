/** What a failed attempt says, and about whom. */
import { SocksError } from '../../../../shared/run/socks5.js';
import { ForbiddenAddressError } from './address-guard.js';
import { HandshakeError } from './connector.js';
import { IdentityError } from './identity.js';

export type DialFailure =
  | 'forbidden'
  | 'identity'
  | 'proxy'
  | 'handshake'
  | 'offline'
  | 'unreachable'
  | 'timeout';

/** What the system says when its own network is away: no route, no address, no answer of its resolver. */
const OFFLINE_CODES: ReadonlySet<unknown> = new Set([
  'ENETUNREACH',
  'EHOSTUNREACH',
  'ENETDOWN',
  'EADDRNOTAVAIL',
  'EAI_AGAIN',
]);

export function failureOf(error: unknown): DialFailure {
  if (error instanceof ForbiddenAddressError) return 'forbidden';
  if (error instanceof IdentityError) return 'identity';
  if (error instanceof SocksError) return error.code === 'target' ? 'unreachable' : 'proxy';
  if (error instanceof HandshakeError) return 'handshake';
  return isOffline(error) ? 'offline' : 'unreachable';
}

/** Of a name with several addresses only where all of them fail so: one that refuses has been reached. */
function isOffline(error: unknown): boolean {
  if (error instanceof AggregateError) return error.errors.length > 0 && error.errors.every(isOffline);
  return error instanceof Error && 'code' in error && OFFLINE_CODES.has(error.code);
}
