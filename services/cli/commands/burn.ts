/** `porchlight gateway --burn EPOCH`: for the day on which capabilities must be assumed stolen (relay.md §4). */
import { loadConfig } from '../../../shared/run/config.js';
import { UsageError } from '../../../shared/run/usage-error.js';
import { burnEpoch, epochNames } from '../../gateway/burn.js';
import { gatewayConfigSchema } from '../../gateway/config.js';

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
