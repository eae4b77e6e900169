/** What a subscriber holds, for `porchlight explain`. */
import type { HoldingKind } from '../../shared/run/inventory.js';

const UNTIL_GONE = 'removed, or 30 days unseen';

export const SUBSCRIBER_HOLDINGS: readonly HoldingKind[] = [
  {
    what: 'registrations: keys, a capability, a keyed hash of the token',
    gauge: 'registry_devices',
    until: UNTIL_GONE,
  },
  { what: 'device tokens', gauge: 0, until: 'never kept' },
  { what: 'subscriptions of phones', gauge: 'registry_subscriptions', until: UNTIL_GONE },
  { what: 'queues followed: notifier id and key', gauge: 'smp_queues', until: UNTIL_GONE },
  {
    what: "queues of the subscriber's own, for canaries",
    gauge: 'canary_servers',
    until: 'a day, or the end of the process',
  },
  { what: 'messaging servers', gauge: 'smp_servers', until: 'a minute after their last queue' },
  { what: 'connections to messaging servers', gauge: 'smp_connections', until: 'the same' },
  {
    what: 'signals: nonce and encrypted metadata',
    gauge: 'wake_mailbox_entries',
    until: 'an hour after told',
  },
  { what: 'devices waiting for their gateway', gauge: 'wake_waiting_devices', until: 'it is there' },
  { what: 'frames to be sent', gauge: 'link_waiting_frames', until: 'answered' },
];
