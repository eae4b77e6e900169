/** `porchlight pair`: what people enter or scan so that their app uses this subscriber. */
import { loadCrypto } from '../../../shared/crypto/load.js';
import { loadConfig } from '../../../shared/run/config.js';
import { subscriberConfigSchema } from '../../subscriber/config.js';
import { addressesOf, type ListenerAddress } from '../../subscriber/pairing.js';
import { printQrCode, say } from '../screen.js';

/** Prints both forms for each listener. Rejects with `ConfigError`. */
export async function pair({ config: file }: { readonly config: string }): Promise<void> {
  const source = { file, env: process.env, prefix: 'PORCHLIGHT_SUBSCRIBER_' };
  const config = loadConfig(subscriberConfigSchema, source);
  for (const address of addressesOf(config, await loadCrypto())) show(address);
}

function show({ name, topic, ntf, pairing }: ListenerAddress): void {
  say(`Listener ${name}, app ${topic}`, '');
  say('In an app as it comes from its makers, enter as notification server:', '', `  ${ntf}`, '');
  say("In an app made with Porchlight's SDK, scan or enter:", '', `  ${pairing}`, '');
  printQrCode(pairing);
}
