/** `porchlight pair`: what people enter or scan so that their app uses this subscriber. */
import type { Crypto } from '../../../shared/crypto/crypto.js';
import { readIdentityKey } from '../../../shared/crypto/identity-key.js';
import { loadCrypto } from '../../../shared/crypto/load.js';
import { toBase64urlBare } from '../../../shared/encoding/base64url.js';
import { loadConfig } from '../../../shared/run/config.js';
import { subscriberConfigSchema } from '../../subscriber/config.js';
import { addressesOf, type ListenerAddress } from '../../subscriber/pairing.js';
import { printQrCode, say } from '../screen.js';

/** Prints both forms for each listener, and this subscriber's public key. Rejects with `ConfigError`. */
export async function pair({ config: file }: { readonly config: string }): Promise<void> {
  const source = { file, env: process.env, prefix: 'PORCHLIGHT_SUBSCRIBER_' };
  const config = loadConfig(subscriberConfigSchema, source);
  const crypto = await loadCrypto();
  for (const address of addressesOf(config, crypto)) show(address);
  const key = identityOf(crypto, config.identity_key);
  if (key === undefined) return;
  say("A gateway that serves listed subscribers only needs this one's key:", '', `  ${key}`, '');
}

/** The public key; undefined where the file is not there or another user's: what phones need has none of it. */
function identityOf(crypto: Crypto, file: string): string | undefined {
  try {
    return toBase64urlBare(readIdentityKey(crypto, file).publicKey);
  } catch {
    return undefined;
  }
}

function show({ name, topic, ntf, pairing }: ListenerAddress): void {
  say(`Listener ${name}, app ${topic}`, '');
  say('In an app as it comes from its makers, enter as notification server:', '', `  ${ntf}`, '');
  say("In an app made with Porchlight's SDK, scan or enter:", '', `  ${pairing}`, '');
  printQrCode(pairing);
}
