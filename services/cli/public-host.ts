/** The name under which others may reach this machine, as far as it can tell without asking anybody. */
import { hostname, networkInterfaces } from 'node:os';
import { isPublic, parseAddress } from '../subscriber/sources/smp/address-guard.js';

/** The name of this machine where it is a full one, else a public address of its own, else its short name. */
export function publicHost(name: string = hostname(), addresses: readonly string[] = ownAddresses()): string {
  const full = name.toLowerCase().replace(/\.$/, '');
  if (full.includes('.') && !/\.(?:local|localdomain|lan|internal|home|arpa)$/.test(full)) return full;
  const known = addresses.map((address) => ({ address, bytes: parseAddress(address) }));
  const found = known.filter(({ bytes }) => bytes !== undefined && isPublic(bytes));
  // A phone's network is sooner without IPv6 than without IPv4.
  const best = found.find(({ bytes }) => bytes!.length === 4) ?? found[0];
  return best?.address ?? (full === '' ? 'localhost' : full);
}

const ownAddresses = (): string[] =>
  Object.values(networkInterfaces()).flatMap((all) => (all ?? []).map(({ address }) => address));
