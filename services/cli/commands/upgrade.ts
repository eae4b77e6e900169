/** `porchlight upgrade`: has a running subscriber start its successor and hand over to it. */
import { loadConfig } from '../../../shared/run/config.js';
import { controlPath } from '../../../shared/run/control.js';
import { askControl } from '../../../shared/run/control-client.js';
import { subscriberConfigSchema } from '../../subscriber/config.js';

/** Prints each state. Rejects with `UsageError` where the old one serves on. */
export async function upgrade({ config }: { readonly config: string }): Promise<void> {
  const source = { file: config, env: process.env, prefix: 'PORCHLIGHT_SUBSCRIBER_' };
  const path = controlPath(loadConfig(subscriberConfigSchema, source));
  for await (const { state } of askControl(path, { do: 'upgrade' })) process.stdout.write(`${state}\n`);
  process.stdout.write('done: the new process is the subscriber\n');
}
