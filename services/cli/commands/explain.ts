/** `porchlight explain`: what a running service holds, as kinds and counts. */
import { readFileSync } from 'node:fs';
import { parse } from 'smol-toml';
import { loadConfig } from '../../../shared/run/config.js';
import { controlPath } from '../../../shared/run/control.js';
import { askControl } from '../../../shared/run/control-client.js';
import { table } from '../../../shared/run/table.js';

/** Prints the table. Rejects with `ConfigError` or `UsageError`. */
export async function explain({ config }: { readonly config: string }): Promise<void> {
  const rows = [['what it holds', 'how many', 'until']];
  for await (const line of askControl(await socketOf(config), { do: 'inventory' })) {
    rows.push([line.what, line.count, line.until].map(String));
  }
  for (const line of table(rows)) process.stdout.write(`${line}\n`);
}

/** The control socket of the service that this configuration belongs to. */
async function socketOf(file: string): Promise<string> {
  const source = (service: string) => ({ file, env: process.env, prefix: `PORCHLIGHT_${service}_` });
  if (isSubscribers(file)) {
    const { subscriberConfigSchema } = await import('../../subscriber/config.js');
    return controlPath(loadConfig(subscriberConfigSchema, source('SUBSCRIBER')));
  }
  const { gatewayConfigSchema } = await import('../../gateway/config.js');
  return controlPath(loadConfig(gatewayConfigSchema, source('GATEWAY')));
}

/** Only a subscriber's configuration has listeners. What can't be read is judged when it is loaded. */
function isSubscribers(file: string): boolean {
  try {
    return 'listeners' in parse(readFileSync(file, 'utf8'));
  } catch {
    return false;
  }
}
