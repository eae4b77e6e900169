/** The gateway's configuration: keys, defaults, units. The file holds no secret, only names of secret files. */
import { z } from 'zod';
import { PROFILES } from '../../shared/relay/constants.js';
import { ENVIRONMENTS } from '../../shared/relay/identity.js';
import { MAX_APPS } from '../../shared/relay/statement.js';
import {
  appleIdField,
  bundleIdField,
  fileField,
  limitField,
  listenField,
  logSection,
  nameField,
  observeSection,
} from '../../shared/run/config-fields.js';
import { controlSection } from '../../shared/run/control.js';
import { parseNetwork } from './http/client-address.js';
import { subscriberKeyField } from './limits/roster.js';
import { redisSection } from './redis/config.js';

const network = z
  .string()
  .refine((text) => parseNetwork(text) !== undefined, 'expected an address or a network such as 10.0.0.0/8');

/** A provider key of Apple's, as downloaded from the developer account. */
const key = z.strictObject({
  name: nameField,
  /** The .p8 file, mode 0600. */
  file: fileField,
  key_id: appleIdField,
  team_id: appleIdField,
});

const app = z.strictObject({
  /** Bundle id. */
  topic: bundleIdField,
  environments: z.array(z.enum(ENVIRONMENTS)).min(1).default(['production', 'sandbox']),
  /** Name of one of the keys. */
  key: nameField,
  /** What the app opens: `simplex` for stock SimpleX apps, `porchlight` for those on the SDK. */
  profile: z.enum(PROFILES).default('simplex'),
  /** All that a phone shows when the app's extension could not open the push. */
  visible_text: z.string().min(1).max(200).default('Encrypted message or another app event'),
  /** Apple's notification category; by default that of stock apps in profile `simplex`, none in `porchlight`. */
  category: z
    .string()
    .regex(/^[A-Za-z0-9._-]{1,64}$/, 'expected 1 to 64 of A-Z, a-z, 0-9, dot, - and _')
    .optional(),
  /** Its phones have one subscriber at a time: a new proof ends what other subscribers proved before. */
  single_subscriber: z.boolean().default(false),
});

const tls = z.strictObject({
  /** PEM file: the certificate and those that lead from it to its authority. */
  certificate: fileField,
  /** PEM file, mode 0600. */
  private_key: fileField,
});

export const gatewayConfigSchema = z
  .strictObject({
    /** Ed25519 key, PKCS#8 PEM, mode 0600. */
    identity_key: fileField,
    /** Folder of mode 0700 for what the gateway makes itself: sealing keys, epoch roots, hash keys. */
    state: fileField,
    listen: listenField.prefault('0.0.0.0:8443'),
    /** A second listener, on loopback, where a Tor daemon brings what comes for the .onion address. */
    onion_listen: listenField.optional(),
    /** Proxies whose `X-Forwarded-For` is believed, addresses or networks; without them the header is not read. */
    trusted_proxies: z.array(network).max(64).default([]),
    /** Without it plain HTTP/1.1 is spoken, for a proxy on the same machine. */
    tls: tls.optional(),
    observe: observeSection(9601),
    log: logSection,
    /** Unix socket for `porchlight explain`; beside the identity key unless given. */
    control: controlSection,
    subscribers: z
      .strictObject({
        /** `open`: whoever signs; `listed`: the keys below, those added while it runs, and no others. */
        mode: z.enum(['open', 'listed']).default('open'),
        keys: z.array(subscriberKeyField).max(10_000).default([]),
      })
      .prefault({}),
    limits: z
      .strictObject({
        /** Open connections, in all and of one IPv4 address or IPv6 /64. */
        connections: limitField(10_000, 1_000_000),
        connections_per_address: limitField(64, 1_000_000),
        /** Open connections of all that comes to the .onion address. */
        onion_connections: limitField(1_000, 1_000_000),
        /** Failed checks of one address that go through at once; then one a second. */
        failures_per_address: limitField(60, 1_000_000),
        /** Requests and frames a second of all subscribers without a proven device together, and ten times that at once. */
        newcomer_rate: limitField(500, 1_000_000),
        /** Of these, requests a second from one IPv4 address or IPv6 /64, and ten times that at once. */
        newcomer_rate_per_address: limitField(5, 1_000_000),
        /** Pushes a second to devices that were never proven, and how many for each hundred that Apple took. */
        first_contact_rate: limitField(20, 1_000_000),
        first_contact_percent: limitField(5, 100),
        /** Frames a second that every other subscriber has; each proven device adds one. */
        subscriber_rate: limitField(200, 1_000_000),
        /** Requests running at once, of one subscriber. */
        requests_per_subscriber: limitField(64, 10_000),
        /** Subscribers with proven devices that are remembered. */
        subscribers: limitField(20_000, 1_000_000),
        /** Nonces kept for one subscriber, and for all newcomers together. */
        nonces_per_subscriber: limitField(100_000, 10_000_000),
        /** Frame ids kept for 10 minutes, of all subscribers together; newcomers have a tenth more. */
        frame_ids: limitField(200_000, 10_000_000),
        /** Devices whose limits are kept. */
        devices: limitField(200_000, 10_000_000),
        /** Entries of the revoked set, 36 bytes each; those of owner keys have a quarter of that, apart. */
        revocations: limitField(500_000, 10_000_000),
        /** Pushes of one Apple key and environment that wait for Apple, 4 KB each. */
        pushes_waiting: limitField(4_096, 1_000_000),
      })
      .prefault({}),
    /** Where several gateways count limits together; without it each counts alone, in memory. */
    redis: redisSection.optional(),
    keys: z.array(key).min(1).max(64),
    apps: z.array(app).min(1).max(MAX_APPS),
    /** Where environment `test` sends; without it, no app may name that environment. */
    test_environment: z
      .strictObject({
        url: z.url({ protocol: /^https$/ }),
        /** PEM file of the authority that signed the test server's certificate. */
        ca_file: fileField.optional(),
        /** False lifts the limits of single devices there, for suites that register one token again and again. */
        device_limits: z.boolean().default(true),
      })
      .optional(),
  })
  .superRefine((config, context) => {
    const wrong = (path: (string | number)[], message: string): void =>
      context.addIssue({ code: 'custom', path, message });
    const keys = new Set(config.keys.map((k) => k.name));
    if (keys.size < config.keys.length) wrong(['keys'], 'expected different names');
    if (new Set(config.apps.map((a) => a.topic)).size < config.apps.length) {
      wrong(['apps'], 'expected different topics');
    }
    config.apps.forEach((a, i) => {
      if (!keys.has(a.key)) wrong(['apps', i, 'key'], 'expected the name of one of the keys');
      if (a.environments.includes('test') && config.test_environment === undefined) {
        wrong(['apps', i, 'environments'], 'expected a table test_environment for environment test');
      }
    });
  });

export type GatewayConfig = z.output<typeof gatewayConfigSchema>;
export type AppConfig = GatewayConfig['apps'][number];
