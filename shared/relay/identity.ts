/** Identities and addresses of the relay contract (relay.md §1). Pure. */

import type { Crypto } from '../crypto/crypto.js';
import { fromBase64url, toBase64urlBare } from '../encoding/base64url.js';
import { type Bytes, utf8 } from '../encoding/bytes.js';
import { hostPort } from '../encoding/host-port.js';

/** Environment byte of tokens and capabilities. */
export const ENVIRONMENTS = ['production', 'sandbox', 'test'] as const;
export type Environment = (typeof ENVIRONMENTS)[number];
export const environmentCode = (environment: Environment): number => ENVIRONMENTS.indexOf(environment);

export const SUBSCRIBER_TAG_SIZE = 16;
export const APP_TAG_SIZE = 8;

/** SHA-256(raw public key)[0..16]. */
export const subscriberTag = (crypto: Crypto, publicKey: Bytes): Uint8Array =>
  crypto.sha256(publicKey).slice(0, SUBSCRIBER_TAG_SIZE);

/** SHA-256(topic)[0..8]. */
export const appTag = (crypto: Pick<Crypto, 'sha256'>, topic: string): Uint8Array =>
  crypto.sha256(utf8(topic)).slice(0, APP_TAG_SIZE);

/** base64url(SHA-256(raw public key)), without padding. */
export const gatewayFingerprint = (crypto: Crypto, publicKey: Bytes): string =>
  toBase64urlBare(crypto.sha256(publicKey));

export interface GatewayAddress {
  readonly fingerprint: string;
  readonly host: string;
  readonly port: number;
}

const SCHEME = 'porchlight-gateway:';
const DEFAULT_PORT = 443;

/** `porchlight-gateway://FINGERPRINT@host[:port]`; undefined where it is something else or lacks the fingerprint. */
export function parseGatewayAddress(text: string): GatewayAddress | undefined {
  if (!text.startsWith(`${SCHEME}//`)) return undefined;
  let url: URL;
  try {
    // A special scheme makes the parser read host and port; ours is not one.
    url = new URL(`https:${text.slice(SCHEME.length)}`);
  } catch {
    return undefined;
  }
  const fingerprint = text.slice(SCHEME.length + 2).split('@')[0] ?? '';
  const bare = url.pathname === '/' && url.search === '' && url.hash === '' && url.password === '';
  // Also without padding, which the parser would write otherwise: a gateway's own name for itself has none.
  if (url.username !== fingerprint) return undefined;
  if (!bare || url.hostname === '' || fromBase64url(fingerprint)?.length !== 32) return undefined;
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  return { fingerprint, host, port: url.port === '' ? DEFAULT_PORT : Number(url.port) };
}

export const formatGatewayAddress = ({ fingerprint, host, port }: GatewayAddress): string =>
  `${SCHEME}//${fingerprint}@${hostPort(host, port, DEFAULT_PORT)}`;
