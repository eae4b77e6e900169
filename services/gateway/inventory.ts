/** What a gateway holds, for `porchlight explain`. */
import type { HoldingKind } from '../../shared/run/inventory.js';

/** @param appleKeys how many of Apple's keys are configured */
export const gatewayHoldings = (appleKeys: number): readonly HoldingKind[] => [
  { what: 'device tokens in clear (pushes waiting)', gauge: 'apns_waiting', until: 'Apple has answered' },
  { what: 'device tokens in clear (pushes sent)', gauge: 'apns_in_flight', until: 'Apple has answered' },
  { what: 'keyed hashes of devices, with their limits', gauge: 'limited_devices', until: 'a day or two' },
  { what: 'devices that Apple wants left alone', gauge: 'apns_delayed_devices', until: 'that time is over' },
  {
    what: 'keyed hashes of devices that Apple refused',
    gauge: 'doubted_devices',
    until: 'it is sure; a day',
  },
  { what: 'address blocks of peers', gauge: 'address_blocks', until: 'pushed out by others' },
  {
    what: 'subscribers and address blocks with first contacts',
    gauge: 'first_contact_sources',
    until: 'pushed out by others',
  },
  { what: 'frame ids with outcomes', gauge: 'frame_ids', until: '10 minutes' },
  { what: 'keyed hashes of revoked capabilities', gauge: 'revocations', until: '46 to 48 days' },
  { what: 'nonces of requests', gauge: 'nonces', until: '2 to 4 minutes' },
  { what: 'allowances of subscribers', gauge: 'subscribers', until: 'pushed out by others' },
  { what: 'connections of subscribers', gauge: 'connections', until: 'closed' },
  { what: "Apple's signing keys", gauge: appleKeys, until: 'the process ends; a file' },
];
