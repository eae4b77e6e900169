/** What errors on the way to a messaging server mean to whoever runs the subscriber. Closed words, no peer's text. */
import { SocksError } from '../../../../shared/run/socks5.js';
import { ForbiddenAddressError } from '../../sources/smp/address-guard.js';
import { HandshakeError } from '../../sources/smp/connector.js';
import { IdentityError } from '../../sources/smp/identity.js';
import { SmpCommandError } from '../smp-user.js';
import type { Trouble } from './hops.js';

const DIAL: Readonly<Record<string, Trouble>> = {
  ENOTFOUND: { detail: 'no such host', fix: 'check the spelling of the address, and DNS' },
  EAI_AGAIN: { detail: 'the name could not be resolved', fix: "check this machine's DNS" },
  ECONNREFUSED: {
    detail: 'nobody listens there',
    fix: 'check the port (5223 unless the address names another), and that the server runs',
  },
  ECONNRESET: { detail: 'cut off', fix: 'the server or something in between closes connections: try again' },
  ENETUNREACH: { detail: 'no way there', fix: "check this machine's network, and IPv6" },
  EHOSTUNREACH: { detail: 'no way there', fix: "check this machine's network, and IPv6" },
};
const SILENT: Trouble = {
  detail: 'no connection',
  fix: 'check that the server runs and that no firewall is in between; .onion hosts need smp.socks_proxy',
};

export function dialTrouble(error: unknown): Trouble {
  if (error instanceof ForbiddenAddressError) {
    const fix = 'if that is meant, list the network in smp.allow_networks';
    return { detail: 'the address lies in a private network', fix };
  }
  if (error instanceof SocksError) {
    const isTarget = error.code === 'target';
    return isTarget
      ? { detail: 'the proxy does not reach the server', fix: 'check the address, and that the server runs' }
      : { detail: 'the proxy can not be used', fix: 'check smp.socks_proxy, and that the proxy runs' };
  }
  return DIAL[(error as NodeJS.ErrnoException).code ?? ''] ?? SILENT;
}

export function identityTrouble(error: unknown): Trouble {
  if (error instanceof IdentityError && error.code === 'fingerprint') {
    const fix =
      'compare the fingerprint in the address with the server\'s own (in its file "fingerprint"); if they differ, it is another server';
    return { detail: 'the server has another identity than the address names', fix };
  }
  if (error instanceof IdentityError) {
    const fix = "check this machine's clock; else the server's certificates have to be made anew";
    return { detail: `its certificates can not be accepted: ${error.code}`, fix };
  }
  if (error instanceof HandshakeError) return handshakeTrouble(error);
  return {
    detail: 'no TLS connection',
    fix: 'no SMP server listens there, or something in between ends TLS (a proxy, a web server on the same port)',
  };
}

export function handshakeTrouble(error: unknown): Trouble {
  const word = error instanceof HandshakeError ? error.message : 'closed';
  return {
    detail: `no session: ${word}`,
    fix: 'no SMP server answers there, or one of a version before 6 or after 20',
  };
}

export function commandTrouble(error: unknown): Trouble {
  if (!(error instanceof SmpCommandError)) {
    return { detail: 'the server did not answer', fix: 'try again; else look at the log of the server' };
  }
  const isClosed = error.error.kind === 'AUTH';
  return {
    detail: `the server answered ${error.message}`,
    fix: isClosed
      ? 'it lets nobody make queues without its password (create_password), which the doctor does not have'
      : 'look at the log of the server: full, being stopped, or of another version',
  };
}
