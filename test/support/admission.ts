/** The parts of a gateway's admission, with limits that tests don't meet unless they set them. */
import { clientAddresses } from '../../services/gateway/http/client-address.js';
import { Addresses, type AddressesOptions } from '../../services/gateway/limits/addresses.js';
import { FirstContacts, type FirstContactsOptions } from '../../services/gateway/limits/first-contacts.js';
import { Roster, type RosterOptions } from '../../services/gateway/limits/roster.js';
import type { Crypto } from '../../shared/crypto/crypto.js';
import { VirtualClock } from '../../shared/run/clock.js';
import { silentLog } from '../../shared/run/log.js';

export const addressesFor = (options: Partial<AddressesOptions> = {}): Addresses =>
  new Addresses({
    clock: new VirtualClock(),
    connections: 99,
    connectionsPerAddress: 99,
    onionConnections: 99,
    failuresPerAddress: 9,
    newcomersPerAddress: 99,
    newcomers: 999,
    ...options,
  });

/** Everybody is a newcomer unless told otherwise. */
export const firstContactsFor = (options: Partial<FirstContactsOptions> = {}): FirstContacts =>
  new FirstContacts({
    clock: new VirtualClock(),
    rate: 100,
    percent: 5,
    isEstablished: () => false,
    ...options,
  });

/** A list that is in no file. */
export const rosterFor = (crypto: Crypto, options: Partial<RosterOptions> = {}): Roster =>
  new Roster({
    crypto,
    clock: new VirtualClock(),
    log: silentLog,
    mode: 'open',
    keys: [],
    file: '/nonexistent/subscribers.json',
    ...options,
  });

/** No proxy is trusted. */
export const directClients = clientAddresses([]);
