/**
 * `porchlight doctor gateway`: everything between the configuration and Apple, from left to right, without a running
 * gateway. It reads what the gateway reads, connects as the gateway connects, and changes nothing.
 */
import type { Crypto } from '../../../shared/crypto/crypto.js';
import { uniform } from '../../../shared/crypto/uniform.js';
import type { Environment } from '../../../shared/relay/identity.js';
import type { Clock } from '../../../shared/run/clock.js';
import type { Finding } from '../../../shared/run/doctor.js';
import { http2Dial } from '../apns/http2/dial.js';
import type { ApnsEndpoint } from '../apns/options.js';
import { readSigningKey } from '../apns/signing-key.js';
import { apnsEndpoints } from '../apns-keys.js';
import type { GatewayConfig } from '../config.js';
import { openGatewayFiles } from '../files.js';
import { examinePush } from './dry-push.js';
import { descriptorsFinding, examineCertificate, examineState } from './machine.js';
import { examineRedis } from './redis.js';
import { examineWay } from './way.js';

export interface GatewayDoctor {
  readonly crypto: Crypto;
  readonly clock: Clock;
  /** The public name of the gateway, to compare with its certificate. */
  readonly host?: string | undefined;
}

/** Throws `ConfigError` where a file that the configuration names can't be used. */
export async function* examineGateway(config: GatewayConfig, doctor: GatewayDoctor): AsyncGenerator<Finding> {
  const { tls, redis } = openGatewayFiles(config, doctor.crypto);
  const keys = config.keys.length === 1 ? "Apple's key is" : `${config.keys.length} of Apple's keys are`;
  yield { name: 'configuration and files', state: 'ok', detail: `complete; ${keys} a P-256 key, 0600` };
  yield* examineCertificate(tls, doctor.host, config, doctor.clock);
  yield* examineState(config);
  yield descriptorsFinding(config);
  if (config.redis) yield await examineRedis(config.redis, redis, doctor.clock);
  const endpoints = apnsEndpoints(config);
  for (const environment of new Set(config.apps.flatMap((app) => app.environments))) {
    yield* examineEnvironment(environment, endpoints[environment]!, config, doctor);
  }
}

/** The way there, then one push for each app: each on a connection of its own, as Apple binds topics to connections. */
async function* examineEnvironment(
  environment: Environment,
  endpoint: ApnsEndpoint,
  config: GatewayConfig,
  { crypto, clock }: GatewayDoctor,
): AsyncGenerator<Finding> {
  let isOpen = true;
  for await (const finding of examineWay(environment, endpoint, clock)) {
    isOpen &&= finding.state === 'ok';
    yield finding;
  }
  const dial = http2Dial(endpoint, uniform(crypto));
  for (const { topic, key: keyName } of config.apps.filter((app) => app.environments.includes(environment))) {
    const name = `${environment}, ${topic}`;
    if (!isOpen) {
      yield { name: `${name}: push`, state: 'skipped', detail: 'no way there', fix: 'mend the above first' };
      continue;
    }
    const { file, key_id: keyId, team_id: teamId } = config.keys.find((key) => key.name === keyName)!;
    const key = { keyId, teamId, privateKey: () => readSigningKey(file) };
    yield* examinePush({ name, environment, topic, key, dial, crypto, clock });
  }
}
