/**
 * What becomes of a device token that arrives in clear (design §4.2): hashed under a key of this process, sealed to
 * the gateway, overwritten, all before anything else happens. It never becomes a string and is never kept.
 */
import type { Crypto } from '../../../shared/crypto/crypto.js';
import { secretBytes, secretCopy } from '../../../shared/crypto/memory.js';
import { type Bytes, wipe } from '../../../shared/encoding/bytes.js';
import type { DeviceToken } from '../../../shared/ntf/commands.js';
import { PROVIDERS, type Provider } from '../../../shared/ntf/constants.js';
import { PUBLIC_KEY_SIZE } from '../../../shared/relay/constants.js';
import { appTag, type Environment } from '../../../shared/relay/identity.js';
import { encodeSealedToken, MAX_TOKEN_SIZE } from '../../../shared/relay/sealed-token.js';
import { type Clock, seconds } from '../../../shared/run/clock.js';
import type { GatewayFacts, GatewayLink } from '../outbound/gateway-link.js';
import type { DeviceEnvironment } from '../registry/device.js';

const ENVIRONMENT: Readonly<Record<Provider, DeviceEnvironment>> = {
  AP: 'production',
  AD: 'sandbox',
  AT: 'test',
  AN: 'none',
};

/** Stock clients have no owner key (relay.md §3). */
const NO_OWNER = new Uint8Array(PUBLIC_KEY_SIZE);

/** What is left of a token. */
export interface SealedDevice {
  readonly environment: DeviceEnvironment;
  /** HMAC over provider and token (32). */
  readonly tokenHash: Uint8Array;
  /** 229 bytes; absent for `none`. */
  readonly sealedToken?: Uint8Array;
}

/**
 * `malformed`: not the text of a token. `prohibited`: the gateway doesn't serve that environment for this app.
 * `not-ready`: no sealing key is known.
 */
export type SealRefusal = { readonly refused: 'malformed' | 'prohibited' | 'not-ready' };

export interface TokenSealerOptions {
  readonly crypto: Crypto;
  readonly clock: Clock;
  readonly link: Pick<GatewayLink, 'facts'>;
  /** Bundle id of the app. */
  readonly topic: string;
  /** SHA-256(our raw public key)[0..16]. */
  readonly subscriberTag: Uint8Array;
  /** 32 bytes, random per process. */
  readonly hashKey: Uint8Array;
}

export class TokenSealer {
  private readonly options: TokenSealerOptions;
  private readonly appTag: Uint8Array;

  constructor(options: TokenSealerOptions) {
    this.options = options;
    this.appTag = appTag(options.crypto, options.topic);
  }

  /** Hashes and seals. The caller owns, and wipes, `token.text`; nothing of it is left anywhere else. */
  seal(token: DeviceToken): SealedDevice | SealRefusal {
    const environment = ENVIRONMENT[token.provider];
    const facts = this.options.link.facts;
    if (environment !== 'none') {
      if (facts === undefined) return { refused: 'not-ready' };
      const served = facts.apps.get(this.options.topic)?.includes(environment);
      if (!served) return { refused: 'prohibited' };
    }
    const bytes = tokenBytes(token);
    if (bytes === undefined) return { refused: 'malformed' };
    try {
      const tokenHash = this.hash(token.provider, bytes);
      if (environment === 'none' || facts === undefined) return { environment, tokenHash };
      return { environment, tokenHash, sealedToken: this.sealTo(facts, environment, bytes) };
    } finally {
      wipe(bytes);
    }
  }

  private hash(provider: Provider, token: Bytes): Uint8Array {
    const { crypto, hashKey } = this.options;
    return crypto.hmacSha256(hashKey, Uint8Array.of(PROVIDERS.indexOf(provider)), token);
  }

  private sealTo(
    { sealing, clockOffset }: GatewayFacts,
    environment: Environment,
    token: Uint8Array,
  ): Uint8Array {
    const { crypto, clock, subscriberTag } = this.options;
    // By the gateway's clock, which judges the age.
    const createdAt = seconds(clock) + clockOffset;
    const fields = { environment, appTag: this.appTag, createdAt, subscriberTag, ownerKey: NO_OWNER, token };
    return encodeSealedToken(crypto, sealing, fields);
  }
}

/** The token in an array of its own: Apple's from hex in any case, others as they are; undefined if it is none. */
function tokenBytes({ provider, text }: DeviceToken): Uint8Array | undefined {
  const bytes = provider === 'AP' || provider === 'AD' ? fromHexText(text) : secretCopy(text);
  if (bytes === undefined || (bytes.length > 0 && bytes.length <= MAX_TOKEN_SIZE)) return bytes;
  wipe(bytes);
  return undefined;
}

/** Bytes of hex text in any case, without a string on the way. */
function fromHexText(text: Bytes): Uint8Array | undefined {
  const out = secretBytes(text.length >> 1);
  for (let i = 0; i < text.length; i++) {
    const value = hexValue(text[i]!);
    if (value < 0 || text.length % 2 !== 0) {
      wipe(out);
      return undefined;
    }
    out[i >> 1] = (out[i >> 1]! << 4) | value;
  }
  return out;
}

function hexValue(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const letter = code | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}
