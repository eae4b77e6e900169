/** The subscriber's configuration: keys, defaults, units. The file holds no secret, only names of secret files. */
import { z } from 'zod';
import { SIGNAL_CLASSES } from '../../shared/push/porchlight-profile.js';
import { PROFILES } from '../../shared/relay/constants.js';
import { parseGatewayAddress } from '../../shared/relay/identity.js';
import {
  fileField,
  limitField,
  listenField,
  logSection,
  nameField,
  observeSection,
  textField,
} from '../../shared/run/config-fields.js';
import { controlSection } from '../../shared/run/control.js';
import { parseServer } from '../../shared/smp/address.js';
import { KEY_HASH_SIZE } from '../../shared/smp/constants.js';
import { waysField } from './sources/smp/ways-config.js';

const gatewayAddress = textField(parseGatewayAddress, 'porchlight-gateway://FINGERPRINT@HOST[:PORT]');

const network = z
  .string()
  .regex(/^[0-9a-fA-F:.]+\/\d{1,3}$/, 'expected a network such as 10.0.0.0/8 or fd00::/8');

/** A connection and a queue each. */
const MAX_CANARIES = 32;

/** `smp://FINGERPRINT@HOST[:PORT]` of a messaging server. */
const messagingServer = z.string().refine(isServer, 'expected smp://FINGERPRINT@HOST[:PORT]');

function isServer(text: string): boolean {
  try {
    return parseServer(text).keyHash.length === KEY_HASH_SIZE;
  } catch {
    return false;
  }
}

/** `HOST:PORT` of a SOCKS5 proxy. */
const socksProxy = listenField.optional();

const gateway = z.strictObject({
  name: nameField,
  /** Where the gateway is and whose it is. */
  address: gatewayAddress,
  /** PEM file of a certificate authority to trust instead of the system's. */
  ca_file: fileField.optional(),
  /** The way to it; a .onion gateway needs one. */
  socks_proxy: socksProxy,
});

/** Where sockets are inherited by name, that of the listener for metrics. */
const OBSERVE_NAME = 'observe';

/** Unless `coalesce_ms` is set: stock clients want every push at once, apps on the SDK gain by fewer. */
const COALESCE_MS = { simplex: 0, porchlight: 1_000 } as const;

const listenerKeys = z.strictObject({
  name: nameField.refine(
    (name) => name !== OBSERVE_NAME,
    "expected another name: it is the second listener's",
  ),
  listen: listenField,
  /** Where phones reach it, for what `porchlight pair` prints. */
  public_address: listenField.optional(),
  /** Identity in the form of `ntf-server init`: certificate authority, server certificate and key, PEM. */
  ca_certificate: fileField,
  certificate: fileField,
  private_key: fileField,
  /** Name of one of the gateways. */
  gateway: nameField,
  /** Bundle id of the app that this listener serves. */
  topic: z.string().min(1).max(155),
  /** What the app opens: `simplex` for stock SimpleX apps, `porchlight` for those on the SDK; as at the gateway. */
  profile: z.enum(PROFILES).default('simplex'),
  /** Shown and rewritten by the app; silent only; or silent, and past that budget an empty "new message". */
  mode: z.enum(['mutable', 'background', 'alert']).default('mutable'),
  /** What its signals are; nothing is shown for an `update`. */
  class: z.enum(SIGNAL_CLASSES).default('message'),
  /** Signals within this time after a push ride in the next one. */
  coalesce_ms: z.int().min(0).max(300_000).optional(),
  /** Each signal waits for a random part of this time. */
  delay_ms: z.int().min(0).max(300_000).default(0),
});

const listener = listenerKeys.transform((keys) => ({
  ...keys,
  coalesce_ms: keys.coalesce_ms ?? COALESCE_MS[keys.profile],
}));

interface Ways {
  readonly smp: {
    readonly isolation: string;
    readonly socks_proxy?: unknown;
    readonly service_certificate?: unknown;
  };
  readonly gateways: readonly {
    readonly address: { readonly host: string };
    readonly socks_proxy?: unknown;
  }[];
}

/** What does not go together: path of the key, and what is expected. */
function* proxyProblems({ smp, gateways }: Ways): Iterable<[path: (string | number)[], message: string]> {
  if (smp.isolation !== 'shared' && smp.socks_proxy === undefined) {
    yield [
      ['smp', 'isolation'],
      'expected smp.socks_proxy beside it: without a proxy all connections show one address',
    ];
  }
  if (smp.isolation !== 'shared' && smp.service_certificate !== undefined) {
    yield [
      ['smp', 'service_certificate'],
      'expected isolation = "shared": a certificate links all connections',
    ];
  }
  for (const [i, { address, socks_proxy }] of gateways.entries()) {
    if (!address.host.endsWith('.onion') || socks_proxy !== undefined) continue;
    yield [['gateways', i, 'socks_proxy'], 'expected the address of a SOCKS5 proxy, which .onion needs'];
  }
}

export const subscriberConfigSchema = z
  .strictObject({
    /** Ed25519 key, PKCS#8 PEM, mode 0600. */
    identity_key: fileField,
    log: logSection,
    /** Unix socket for `porchlight explain`; beside the identity key unless given. */
    control: controlSection,
    observe: observeSection(9602),
    smp: z
      .strictObject({
        /** Networks that clients' server addresses may lead to although they are private. */
        allow_networks: z.array(network).max(64).default([]),
        /** Messaging servers that are reached by another transport or port than clients' addresses say. */
        servers: waysField,
        /** Messaging servers followed at once. */
        max_servers: limitField(5_000, 65_536),
        /** PEM file, mode 0600, with a certificate and its key: subscribes all queues of a server by one command. */
        service_certificate: fileField.optional(),
        /** The way to all messaging servers, and the only one to .onion hosts. */
        socks_proxy: socksProxy,
        /** Who shares connections, and so circuits of Tor: all, the queues of a device, nobody. */
        isolation: z.enum(['shared', 'device', 'queue']).default('shared'),
        /** Messaging servers through which the subscriber sends itself a message now and then, to see that it hears. */
        canaries: z.array(messagingServer).max(MAX_CANARIES).default([]),
        /** Between two messages of a canary, on average. */
        canary_minutes: z.int().min(1).max(1_440).default(5),
      })
      .prefault({}),
    limits: z
      .strictObject({
        devices: limitField(100_000, 1_000_000),
        subscriptions: limitField(1_000_000, 10_000_000),
        /** Generous: an `ERR QUOTA` is final for stock clients. */
        subscriptions_per_device: limitField(20_000, 1_000_000),
        /** Registrations whose code has not come back; they only evict each other. */
        unverified_devices: limitField(10_000, 1_000_000),
        /** Signals kept for all devices together, 208 bytes each. */
        mailbox_entries: limitField(400_000, 4_000_000),
        /** False lifts the budgets of devices in the gateway's test environment, for suites that send more than people. */
        test_device_budgets: z.boolean().default(true),
        connections: limitField(20_000, 1_000_000),
      })
      .prefault({}),
    gateways: z.array(gateway).min(1).max(16),
    listeners: z.array(listener).min(1).max(64),
  })
  .superRefine((config, context) => {
    const known = new Set(config.gateways.map((g) => g.name));
    config.listeners.forEach((l, i) => {
      if (known.has(l.gateway)) return;
      context.addIssue({
        code: 'custom',
        path: ['listeners', i, 'gateway'],
        message: 'expected the name of one of the gateways',
      });
    });
    for (const [path, message] of proxyProblems(config)) context.addIssue({ code: 'custom', path, message });
    if (new Set(config.smp.canaries).size < config.smp.canaries.length) {
      const path = ['smp', 'canaries'];
      context.addIssue({ code: 'custom', path, message: 'expected different servers' });
    }
    for (const key of ['gateways', 'listeners'] as const) {
      const names = config[key].map((item) => item.name);
      if (new Set(names).size === names.length) continue;
      context.addIssue({ code: 'custom', path: [key], message: 'expected different names' });
    }
  });

export type SubscriberConfig = z.output<typeof subscriberConfigSchema>;
