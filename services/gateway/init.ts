/** Makes a gateway's folder: configuration, identity, TLS certificate, a place for its state. */
import { createPublicKey } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createIdentityKey, readIdentityKey } from '../../shared/crypto/identity-key.js';
import { loadCrypto } from '../../shared/crypto/load.js';
import { createServerCertificate, toPem } from '../../shared/crypto/x509.js';
import { formatGatewayAddress, gatewayFingerprint } from '../../shared/relay/identity.js';
import { checkAnswer } from '../../shared/run/answers.js';
import { appleIdField, bundleIdField, hostField } from '../../shared/run/config-fields.js';
import { writeSecretFile } from '../../shared/run/files.js';
import { newFolder, writePublic } from '../../shared/run/new-folder.js';
import { toml, unless } from '../../shared/run/toml.js';
import { UsageError } from '../../shared/run/usage-error.js';

export interface GatewayInit {
  readonly dir: string;
  readonly host: string;
  readonly port: number;
  readonly topic: string;
  readonly team?: string;
  readonly apnsKey?: string;
  readonly apnsKeyId?: string;
}

/** What the demo sets beside what a person may choose. */
export interface GatewayExtras {
  readonly listenHost?: string;
  readonly observePort?: number;
  readonly test?: { readonly url: string; readonly caFile: string };
  /** Every hop in the log, as JSON; so unless set where there is a test environment. */
  readonly verbose?: boolean;
}

/** Name of the configuration in the folder. */
export const GATEWAY_FILE = 'gateway.toml';

/** Writes the folder and returns the gateway's address. Throws `UsageError`. */
export async function makeGateway(options: GatewayInit, extras: GatewayExtras = {}): Promise<string> {
  const { port } = options;
  checkAnswers(options);
  const folder = newFolder(options.dir, GATEWAY_FILE);
  const crypto = await loadCrypto();

  const identity = join(folder, 'identity.key');
  createIdentityKey(identity);
  const certificate = createServerCertificate({ host: options.host, now: new Date() });
  writePublic(join(folder, 'tls.crt'), toPem('CERTIFICATE', certificate.certificate));
  writeSecretFile(join(folder, 'tls.key'), toPem('PRIVATE KEY', certificate.privateKey));
  mkdirSync(join(folder, 'state'), { mode: 0o700 });
  if (options.apnsKey !== undefined) writeSecretFile(join(folder, 'apns.p8'), readFileSync(options.apnsKey));
  writePublic(join(folder, GATEWAY_FILE), template(folder, options, port, extras));

  const { publicKey } = readIdentityKey(crypto, identity);
  return formatGatewayAddress({
    fingerprint: gatewayFingerprint(crypto, publicKey),
    host: options.host,
    port,
  });
}

function checkAnswers({ host, topic, team, apnsKeyId, apnsKey }: GatewayInit): void {
  checkAnswer('--host', hostField, host);
  checkAnswer('--topic', bundleIdField, topic);
  checkAnswer('--team', appleIdField, team);
  checkAnswer('--apns-key-id', appleIdField, apnsKeyId);
  if (apnsKey !== undefined) checkAppleKey(apnsKey);
}

function checkAppleKey(file: string): void {
  try {
    if (createPublicKey(readFileSync(file)).asymmetricKeyDetails?.namedCurve === 'prime256v1') return;
  } catch {
    // said below, without what the file holds
  }
  throw new UsageError(`${file}: not a .p8 key of Apple's (a P-256 private key in PEM)`);
}

function template(folder: string, options: GatewayInit, port: number, extras: GatewayExtras): string {
  const at = (name: string) => toml(join(folder, name));
  const verbose = extras.verbose ?? extras.test !== undefined;
  const environments = extras.test ? ['test'] : ['production', 'sandbox'];
  return `# A Porchlight gateway. Every key is also an environment variable: PORCHLIGHT_GATEWAY_LISTEN, PORCHLIGHT_GATEWAY_LIMITS_DEVICES…
# Check it with: porchlight gateway --config ${GATEWAY_FILE} --check-config

# Who this gateway is: the fingerprint in its address is that of this key. Keep a copy offline.
identity_key = ${at('identity.key')}
# What the gateway makes and renews itself (sealing keys, epoch roots). Never in a backup: destroyed keys must stay destroyed.
state = ${at('state')}
# Where subscribers reach it.
listen = ${toml(`${extras.listenHost ?? '0.0.0.0'}:${port}`)}
# A second listener for a Tor daemon: what comes to the .onion address is limited apart.
# onion_listen = "127.0.0.1:8444"
# Behind a proxy that ends TLS: its addresses or networks, so that limits count its clients (X-Forwarded-For).
# trusted_proxies = ["127.0.0.1"]

[tls]
# Self-signed is enough: the gateway's signed statement names this certificate's key. An ordinary certificate works too.
certificate = ${at('tls.crt')}
private_key = ${at('tls.key')}

[observe]
# /status, /metrics, /readyz, /healthz for you; /public and /public.json for everybody, if a proxy passes these two.
listen = ${toml(`127.0.0.1:${extras.observePort ?? 9601}`)}

[log]
level = ${toml(verbose ? 'debug' : 'info')}
format = ${toml(verbose ? 'json' : 'text')}

[control]
# Where "porchlight explain" asks; only the user that runs the service can. By default beside the identity key.
socket = ${at('control.sock')}

[subscribers]
# open: whoever signs its requests; listed: only the keys below (base64url of the subscriber's public key) and those
# added while it runs, with "porchlight subscribers add".
mode = "open"
# keys = []

# Several gateways of one state folder count limits, frame ids and nonces together through Redis (README.md). While it
# is slow or gone each counts its share alone. Only hashes, times and outcomes go there; use one that writes no disk.
# [redis]
# One server, or several of a cluster: redis://HOST:PORT, rediss://HOST:PORT (TLS) or unix:/PATH. Never with a password.
# urls = ["rediss://redis.internal:6379"]
# mode = "single"
# username = "gateway"
# The password and nothing else, mode 0600.
# password_file = ${at('redis.password')}
# ca_file = ${at('redis-ca.crt')}
# server_name = "redis.internal"
# prefix = "porchlight:"
# Longest time that a push waits for Redis, all in all.
# timeout_ms = 200
# How many gateways share it.
# gateways = 2

# Apple's key of your team, from the developer account: the .p8 file with mode 0600 and its two ids.
[[keys]]
name = "main"
file = ${at('apns.p8')}
key_id = ${toml(options.apnsKeyId ?? 'PUT-KEY-ID')}
team_id = ${toml(options.team ?? 'PUT-TEAMID')}

# One table an app.
[[apps]]
topic = ${toml(options.topic)}
environments = ${toml(environments)}
key = "main"
# What the app opens: "simplex" for SimpleX apps as they are, "porchlight" for apps made with Porchlight's SDK.
profile = "simplex"
# The words on the phone's screen when the app could not open the push. Nobody else chooses them.
visible_text = "Encrypted message or another app event"
# Apple's notification category; in profile simplex that of SimpleX apps unless set.
# category = "MESSAGE"
# True where a phone has one subscriber at a time: a new proof then ends what other subscribers proved before.
# single_subscriber = false

# A stand-in of Apple's service for tests (porchlight simulate apns). No app may name the environment "test" without it.
${unless(
  extras.test === undefined,
  `[test_environment]
url = ${toml(extras.test?.url ?? 'https://localhost:2197')}
ca_file = ${toml(extras.test?.caFile ?? 'simulator-ca.crt')}
# False lets a conformance suite register one token again and again.
device_limits = true`,
)}
`;
}
