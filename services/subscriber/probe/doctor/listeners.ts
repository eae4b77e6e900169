/** Whether a listener answers as phones expect it: reached over loopback, with the identity in the app's address. */
import { naclCrypto } from '../../../../shared/sdk/nacl.js';
import { tlsConnect } from '../../../../shared/sdk/node/tls-transport.js';
import { NtfSession } from '../../../../shared/sdk/ntf-client.js';
import { NtfConnectionError } from '../../../../shared/sdk/transport.js';
import { type Hops, HopTrouble, inTime, Stopped, type Trouble } from './hops.js';

export interface ListenerToCheck {
  readonly name: string;
  /** As configured: `0.0.0.0` and `::` are all addresses of this machine. */
  readonly host: string;
  readonly port: number;
  /** SHA-256 of its identity certificate. */
  readonly keyHash: Uint8Array;
}

const CHECK_MS = 10_000;

const FIXES: Partial<Record<NtfConnectionError['reason'], string>> = {
  identity: 'another process listens there, or certificate and ca_certificate do not belong together',
  closed:
    'it takes no phones until a gateway is reached (see above), or while too many connections are open (limits.connections)',
};

/** Tells one finding. */
export async function checkListener(hops: Hops, listener: ListenerToCheck): Promise<void> {
  const run = async (): Promise<number> => {
    const version = await inTime(hops.clock, hops.atMost(CHECK_MS), ping(hops, listener));
    if (version === undefined) throw new HopTrouble('no answer in time', 'the process may be overloaded');
    return version;
  };
  const seen = (version: number): string => `answers on this machine, NTF version ${version}`;
  await hops.hop(`listener ${listener.name}`, seen, run, explain).catch((error: unknown) => {
    if (!(error instanceof Stopped)) throw error;
  });
}

async function ping({ clock }: Hops, { host, port, keyHash }: ListenerToCheck): Promise<number> {
  const connect = tlsConnect({ host: reachable(host), port, keyHash, clock });
  const session = await NtfSession.open(await connect(), { crypto: naclCrypto, clock, keyHash });
  try {
    const [answer] = await session.request([{ command: { word: 'PING' } }]);
    if (answer?.word !== 'PONG') throw new NtfConnectionError('protocol');
    return session.version;
  } finally {
    session.close();
  }
}

const reachable = (host: string): string => (host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host);

function explain(error: unknown): Trouble {
  const reason = error instanceof NtfConnectionError ? error.reason : 'unreachable';
  const fix = FIXES[reason] ?? 'check listen in this table, and that a firewall lets loopback pass';
  return { detail: reason, fix };
}
