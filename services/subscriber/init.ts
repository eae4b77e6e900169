/** Makes a subscriber's folder: configuration, identity towards gateways, identity towards phones. */
import { join, resolve } from 'node:path';
import { createIdentityKey } from '../../shared/crypto/identity-key.js';
import { createIdentity, createServiceCertificate, toPem } from '../../shared/crypto/x509.js';
import { toBase64url } from '../../shared/encoding/base64url.js';
import { NTF_DEFAULT_PORT } from '../../shared/ntf/constants.js';
import { formatGatewayAddress, parseGatewayAddress } from '../../shared/relay/identity.js';
import { checkAnswer } from '../../shared/run/answers.js';
import { bundleIdField, hostField } from '../../shared/run/config-fields.js';
import { writeSecretFile } from '../../shared/run/files.js';
import { formatListen } from '../../shared/run/listen.js';
import { newFolder, writePublic } from '../../shared/run/new-folder.js';
import { toml, unless } from '../../shared/run/toml.js';
import { UsageError } from '../../shared/run/usage-error.js';

export interface SubscriberInit {
  readonly dir: string;
  readonly gateway: string;
  readonly gatewayCa?: string;
  readonly host: string;
  readonly port: number;
  readonly topic: string;
}

/** What the demo sets beside what a person may choose. */
export interface SubscriberExtras {
  readonly listenHost?: string;
  readonly observePort?: number;
  readonly allowNetworks?: readonly string[];
  readonly verbose?: boolean;
}

/** Name of the configuration in the folder. */
export const SUBSCRIBER_FILE = 'subscriber.toml';

/** Writes the folder and returns the address to enter in the app. Throws `UsageError`. */
export function makeSubscriber(options: SubscriberInit, extras: SubscriberExtras = {}): string {
  const { port } = options;
  const gateway = parseGatewayAddress(options.gateway);
  if (gateway === undefined) {
    throw new UsageError(
      '--gateway: expected porchlight-gateway://FINGERPRINT@HOST[:PORT]; without its fingerprint nobody could tell whose gateway answers',
    );
  }
  checkAnswer('--host', hostField, options.host);
  checkAnswer('--topic', bundleIdField, options.topic);
  const folder = newFolder(options.dir, SUBSCRIBER_FILE);
  createIdentityKey(join(folder, 'identity.key'));
  const identity = createIdentity({ algorithm: 'ed25519', commonName: options.host, now: new Date() });
  writePublic(join(folder, 'ca.crt'), toPem('CERTIFICATE', identity.caCert));
  writeSecretFile(join(folder, 'ca.key'), toPem('PRIVATE KEY', identity.caKey));
  writePublic(join(folder, 'server.crt'), toPem('CERTIFICATE', identity.leafCert));
  writeSecretFile(join(folder, 'server.key'), toPem('PRIVATE KEY', identity.leafKey));
  writeSecretFile(join(folder, 'service.pem'), servicePem());
  writePublic(
    join(folder, SUBSCRIBER_FILE),
    template(folder, options, formatGatewayAddress(gateway), port, extras),
  );
  const at = port === NTF_DEFAULT_PORT ? options.host : `${options.host}:${port}`;
  return `ntf://${toBase64url(identity.fingerprint)}@${at}`;
}

/** The name is the one that reference servers write: it tells nobody apart. */
function servicePem(): string {
  const made = createServiceCertificate({ commonName: 'simplex', now: new Date() });
  return toPem('CERTIFICATE', made.certificate) + toPem('PRIVATE KEY', made.privateKey);
}

function template(
  folder: string,
  options: SubscriberInit,
  gateway: string,
  port: number,
  extras: SubscriberExtras,
): string {
  const at = (name: string) => toml(join(folder, name));
  const ca = options.gatewayCa;
  return `# A Porchlight subscriber. Every key is also an environment variable: PORCHLIGHT_SUBSCRIBER_IDENTITY_KEY, PORCHLIGHT_SUBSCRIBER_LISTENERS_0_LISTEN…
# Check it with: porchlight subscriber --config ${SUBSCRIBER_FILE} --check-config

# Who this subscriber is to gateways. Capabilities work only together with this key.
identity_key = ${at('identity.key')}

[observe]
# /status, /metrics, /readyz, /healthz for you; /public and /public.json for everybody, if a proxy passes these two.
listen = ${toml(`127.0.0.1:${extras.observePort ?? 9602}`)}

[log]
level = ${toml(extras.verbose ? 'debug' : 'info')}
format = ${toml(extras.verbose ? 'json' : 'text')}

[control]
# Where "porchlight explain" and "porchlight upgrade" ask; only the user that runs the service can. By default beside the identity key.
socket = ${at('control.sock')}

[smp]
# Messaging servers come from clients. Addresses on private networks are refused unless they are listed here.
allow_networks = ${toml([...(extras.allowNetworks ?? [])])}
# With a certificate a connection that was lost comes back by one command instead of one a queue. But every messaging
# server that asks for one then knows this subscriber again, whatever its address, and after each restart. Not for two
# processes at once: they would take the queues from each other.
# service_certificate = ${at('service.pem')}
# The way to all messaging servers, for example Tor; .onion hosts are reached by it only. It resolves their names, and
# must itself refuse names that lead into a private network, as Tor does.
# socks_proxy = "127.0.0.1:9050"
# Who shares a connection, and so one of Tor's circuits: "shared" all, "device" the queues of a phone, "queue" nobody.
# Others than "shared" cost a connection each; smp.max_servers bounds them.
# isolation = "shared"
# Messaging servers on which this subscriber makes a queue of its own, and sends itself a message every few minutes: so
# that a way which looks alive and carries nothing is found, told in /metrics, and dialled anew.
# canaries = ["smp://FINGERPRINT@HOST"]
# canary_minutes = 5

# A messaging server that is reached otherwise than its address says: by WebSocket inside TLS, or at another port. It is
# known by its host, and by its fingerprint where several are at one host; who answers is checked all the same.
# [[smp.servers]]
# host = "smp.example.org"
# transport = "websocket"
# port = 443

# The gateway that holds the app's key for Apple's service.
[[gateways]]
name = "main"
address = ${toml(gateway)}
${unless(ca === undefined, `# Certificate authority to trust instead of the system's.\nca_file = ${toml(resolve(ca ?? 'gateway-ca.crt'))}`)}
# The way to it through a SOCKS5 proxy, for example Tor: it then does not see this machine's address.
# socks_proxy = "127.0.0.1:9050"

# Where phones connect: one table for one app of one gateway.
[[listeners]]
name = "phones"
listen = ${toml(`${extras.listenHost ?? '0.0.0.0'}:${port}`)}
# Where phones reach it: what "porchlight pair" prints for them.
public_address = ${toml(formatListen({ host: options.host, port }))}
# The identity in the app's address is the SHA-256 of ca_certificate. Files of "ntf-server init" work as well.
ca_certificate = ${at('ca.crt')}
certificate = ${at('server.crt')}
private_key = ${at('server.key')}
gateway = "main"
# Bundle id of the app, as the gateway's operator names it.
topic = ${toml(options.topic)}
# What the app opens, as its gateway has it: "simplex" for SimpleX apps as they are, "porchlight" for apps made with Porchlight's SDK.
profile = "simplex"
# "mutable": shown, with words that the app puts in; "background": nothing is shown, at most 3 pushes an hour;
# "alert": as background, and beyond that at most one "new message" in 5 minutes.
mode = "mutable"
# What the signals are: "message", or "update" for which nothing is ever shown.
class = "message"
# Signals within this time after a push ride in the next one; at most 300000. By default 0, in profile porchlight 1000.
# coalesce_ms = 1000
# Each push waits for a random part of this time, at most 300000: that makes it harder to link to its message.
delay_ms = 0
`;
}
