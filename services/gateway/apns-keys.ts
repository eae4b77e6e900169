/** From the configuration to what the APNs engine is told: keys, what each is for, and where to connect. */
import { readFileSync } from 'node:fs';
import type { Environment } from '../../shared/relay/identity.js';
import { pathOf } from '../../shared/run/files.js';
import type { Log } from '../../shared/run/log.js';
import { APPLE_ENDPOINTS, type ApnsEndpoint, type ApnsKey } from './apns/options.js';
import { readSigningKey } from './apns/signing-key.js';
import type { GatewayConfig } from './config.js';

/** Reads every key once, so that a bad file refuses the start. Throws `SecretFileError` or `SigningKeyError`. */
export function apnsKeys(config: GatewayConfig, log: Log): ApnsKey[] {
  const used = config.keys.filter((key) => config.apps.some((app) => app.key === key.name));
  return used.flatMap((key) => {
    const privateKey = reloading(key.file, log);
    // One entry an app: apps of one key need not be served in the same environments.
    return config.apps
      .filter((app) => app.key === key.name)
      .map((app) => ({
        keyId: key.key_id,
        teamId: key.team_id,
        topics: [app.topic],
        environments: app.environments,
        privateKey,
      }));
  });
}

/** Reads the file again whenever a provider token is signed; a file that became bad leaves the last key in use. */
function reloading(file: string, log: Log): ApnsKey['privateKey'] {
  let last = readSigningKey(file);
  return () => {
    try {
      last = readSigningKey(file);
    } catch {
      log.error('signing key cannot be read again, the last one stays in use', { file });
    }
    return last;
  };
}

export function apnsEndpoints(config: GatewayConfig): Partial<Record<Environment, ApnsEndpoint>> {
  const test = config.test_environment;
  if (test === undefined) return APPLE_ENDPOINTS;
  const url = new URL(test.url);
  const ca = test.ca_file === undefined ? undefined : readFileSync(pathOf(test.ca_file), 'utf8');
  const port = url.port === '' ? 443 : Number(url.port);
  return { ...APPLE_ENDPOINTS, test: { host: url.hostname.replace(/^\[(.*)\]$/, '$1'), port, ca } };
}
