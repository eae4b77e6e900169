/**
 * `porchlight gateway --burn EPOCH` and `porchlight subscriber --burn`: for the day on which capabilities must be assumed
 * stolen (relay.md §4, design §4.2).
 */
import { readIdentityKey, replaceIdentityKey } from '../../../shared/crypto/identity-key.js';
import { loadCrypto } from '../../../shared/crypto/load.js';
import { toBase64urlBare } from '../../../shared/encoding/base64url.js';
import { loadConfig } from '../../../shared/run/config.js';
import { controlPath } from '../../../shared/run/control.js';
import { askControl, NotRunning } from '../../../shared/run/control-client.js';
import { UsageError } from '../../../shared/run/usage-error.js';
import { burnEpoch, epochNames } from '../../gateway/burn.js';
import { gatewayConfigSchema } from '../../gateway/config.js';
import { subscriberConfigSchema } from '../../subscriber/config.js';

/** Capabilities between two lines of progress. */
const PROGRESS = 1_000;

/** Destroys the epoch's root. Throws `UsageError` with the names there are where it is none of them. */
export function burn(epoch: string, file: string): void {
  const { state } = loadConfig(gatewayConfigSchema, {
    file,
    env: process.env,
    prefix: 'PORCHLIGHT_GATEWAY_',
  });
  if (!burnEpoch(state, epoch)) {
    const names = epochNames(state);
    throw new UsageError(
      names.length === 0
        ? '--burn: there is no epoch'
        : `--burn: no such epoch; there are ${names.join(', ')}`,
    );
  }
  process.stdout.write(
    `epoch ${epoch} destroyed; running gateways forget it within a minute, phones register again by themselves\n`,
  );
}

/**
 * The key first: the running subscriber has the old one in memory and needs it to revoke. Then all that it holds, for as
 * long as it takes; broken off, the same command goes on. Rejects with `UsageError`.
 */
export async function burnSubscriber(file: string): Promise<void> {
  const source = { file, env: process.env, prefix: 'PORCHLIGHT_SUBSCRIBER_' };
  const config = loadConfig(subscriberConfigSchema, source);
  const key = await replaceKey(config.identity_key);
  if (key !== undefined) {
    process.stdout.write(`new identity key; gateways in mode listed must list it: ${key}\n`);
  }
  const count = await revokeAll(controlPath(config));
  process.stdout.write(
    count === undefined
      ? 'no subscriber is running, so nothing is held; what one held before ends at the gateway within 45 days\n'
      : `${count} capabilities revoked; the subscriber ends. Start it again: phones register again by themselves\n`,
  );
  if (key === undefined) {
    throw new UsageError(`${config.identity_key}: cannot be replaced here; put a new key there by hand`);
  }
}

/** The new public key; undefined where the file can't be replaced, as a credential of systemd's. */
async function replaceKey(file: string): Promise<string | undefined> {
  const crypto = await loadCrypto();
  try {
    replaceIdentityKey(file);
    return toBase64urlBare(readIdentityKey(crypto, file).publicKey);
  } catch {
    return undefined;
  }
}

/** How many; undefined where no subscriber runs. */
async function revokeAll(socket: string): Promise<number | undefined> {
  let revoked = 0;
  try {
    for await (const line of askControl(socket, { do: 'burn' })) {
      revoked = Number(line.revoked);
      if (revoked > 0 && revoked % PROGRESS === 0)
        process.stdout.write(`${revoked} of ${line.total} revoked\n`);
    }
    return revoked;
  } catch (error) {
    if (error instanceof NotRunning) return undefined;
    throw error;
  }
}
