/**
 * How servers are reached that are not reached as their addresses say: by WebSocket, or at another port. Set by whoever
 * runs the subscriber; who answers is pinned by the fingerprint in the address all the same.
 */
import { sameBytes } from '../../../../shared/encoding/bytes.js';
import { withoutBrackets } from './address-guard.js';
import type { Dial, DialOptions } from './transport.js';

export type TransportKind = 'tls' | 'websocket';

export interface Way {
  /** As clients spell it; letters of either case. */
  readonly host: string;
  /** Only the server with this fingerprint; without it all at this host. */
  readonly fingerprint?: Uint8Array | undefined;
  readonly transport: TransportKind;
  /** Where to dial instead of at the address's port. */
  readonly port?: number | undefined;
}

/** Dials each server in its way: one with its fingerprint, else one for its host, else TLS at the address's port. */
export function dialByWays(ways: readonly Way[], dials: Readonly<Record<TransportKind, Dial>>): Dial {
  const specific = ways.toSorted((a, b) => Number(!a.fingerprint) - Number(!b.fingerprint));
  return (target, signal) => {
    const way = specific.find((candidate) => leads(candidate, target));
    if (!way) return dials.tls(target, signal);
    return dials[way.transport]({ ...target, port: way.port ?? target.port }, signal);
  };
}

const leads = ({ host, fingerprint }: Way, target: DialOptions): boolean =>
  canonicalHost(host) === canonicalHost(target.host) &&
  (fingerprint === undefined || sameBytes(fingerprint, target.keyHash));

/** Names have no case, and may end in the root's dot; addresses may stand in brackets. */
export const canonicalHost = (host: string): string => withoutBrackets(host).toLowerCase().replace(/\.$/, '');
