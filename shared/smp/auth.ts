/**
 * Who may say what: signatures and authenticators of commands (guide F), made and checked, and the second signature
 * of service sessions. A check takes the same work whether or not the key is known, so that time tells nothing.
 */
import { cbDecryptNoPad } from '../crypto/box.js';
import type { Crypto } from '../crypto/crypto.js';
import { signWith, verifyWith } from '../crypto/signatures.js';
import { type Bytes, concat, fromHex, wipe } from '../encoding/bytes.js';
import type { AuthAlgorithm, Key } from '../encoding/keys.js';
import { NONCE_SIZE } from './constants.js';

/** What an authenticator needs of the session: the client has the server's public key, the server the private one. */
export interface ClientAuthSession {
  readonly sessionServerKey: Bytes | undefined;
  readonly corrId: Bytes;
}
export interface ServerAuthSession {
  readonly sessionPrivateKey: Bytes | undefined;
  readonly corrId: Bytes;
}

/** Length of the auth field for each kind of key. */
export const AUTH_LENGTH: Readonly<Record<AuthAlgorithm, number>> = { ed25519: 64, ed448: 114, x25519: 80 };

/** An Ed25519 key may be kept with its public part behind the seed, which saves deriving it for each signature. */
const EXPANDED_ED25519_SIZE = 64;

/**
 * The auth field for `authorized` (see `authorized` in transmission.ts).
 * @param key private; Ed25519 as seed (32) or as seed ‖ public key (64)
 * Throws `RangeError` for an X25519 key in a session without server key (below version 7).
 */
export function authorize(
  crypto: Crypto,
  key: Key<AuthAlgorithm>,
  session: ClientAuthSession,
  authorized: Bytes,
): Uint8Array {
  const { algorithm, raw } = key;
  if (algorithm === 'x25519') {
    if (session.sessionServerKey === undefined) throw new RangeError('no authenticators in this session');
    // The same box as `cbEncryptNoPad` makes of the X25519 secret (guide D).
    return crypto.boxSeal(raw, session.sessionServerKey, nonceOf(session.corrId), crypto.sha512(authorized));
  }
  if (algorithm === 'ed25519' && raw.length === EXPANDED_ED25519_SIZE)
    return crypto.ed25519Sign(raw, authorized);
  return signWith(crypto, { algorithm, raw }, authorized);
}

/** Keys that belong to nobody, for checks of what can't be right. */
const NOBODY: Readonly<Record<AuthAlgorithm, Key<AuthAlgorithm>>> = {
  ed25519: {
    algorithm: 'ed25519',
    raw: fromHex('79b5562e8fe654f94078b112e8a98ba7901f853ae695bed7e0e3910bad049664')!,
  },
  ed448: {
    algorithm: 'ed448',
    raw: fromHex(
      'da918ba3e57fdca0326f46c7ec843ba8fcb0d57fa15f2588a57bae9df558210351e7e15581b24459c0a7cde1e835582d717c0699ea72e8c900',
    )!,
  },
  x25519: {
    algorithm: 'x25519',
    raw: fromHex('07a37cbc142093c8b755dc1b10e86cb426374ad16aa853ed0bdfc0b2b86d1c7c')!,
  },
};

/** The kind of key that makes auth fields of this length. */
export function authAlgorithm(auth: Bytes): AuthAlgorithm | undefined {
  const kinds = Object.keys(AUTH_LENGTH) as AuthAlgorithm[];
  return kinds.find((kind) => AUTH_LENGTH[kind] === auth.length);
}

/**
 * Whether `auth` authorises `authorized` under `key` (public). An unknown entity (`undefined`) and a key of another
 * kind than `auth` cost the same work as a wrong signature.
 */
export function verifyAuth(
  crypto: Crypto,
  key: Key<AuthAlgorithm> | undefined,
  session: ServerAuthSession,
  authorized: Bytes,
  auth: Bytes,
): boolean {
  const kind = authAlgorithm(auth);
  if (kind === undefined) return false;
  const fits = key?.algorithm === kind;
  return verify(crypto, fits ? key : NOBODY[kind], session, authorized, auth) && fits;
}

function verify(
  crypto: Crypto,
  { algorithm, raw }: Key<AuthAlgorithm>,
  session: ServerAuthSession,
  authorized: Bytes,
  auth: Bytes,
): boolean {
  if (algorithm !== 'x25519') return verifyWith(crypto, { algorithm, raw }, authorized, auth);
  if (session.sessionPrivateKey === undefined) return false;
  const secret = sharedSecret(crypto, session.sessionPrivateKey, raw);
  if (secret === undefined) return false;
  const hash = cbDecryptNoPad(crypto, secret, nonceOf(session.corrId), auth);
  wipe(secret);
  return hash !== undefined && crypto.equal(hash, crypto.sha512(authorized));
}

/** Undefined for the few keys that make an all-zero secret: a failed authorisation, not a fault (guide K.1 #20). */
function sharedSecret(crypto: Crypto, privateKey: Bytes, publicKey: Bytes): Uint8Array | undefined {
  try {
    return crypto.x25519(privateKey, publicKey);
  } catch {
    return undefined;
  }
}

/** The corrId as a nonce: cut, or filled with zeros (guide K.1 #22). */
function nonceOf(corrId: Bytes): Uint8Array {
  if (corrId.length === NONCE_SIZE) return corrId;
  const nonce = new Uint8Array(NONCE_SIZE);
  nonce.set(corrId.subarray(0, NONCE_SIZE));
  return nonce;
}

/** A service session's side of authorisation: SHA-256 of its identity certificate, and its Ed25519 session key. */
export interface ServiceAuth {
  readonly certHash: Bytes;
  /** Private for clients (seed or seed ‖ public key), public for servers. */
  readonly sessionKey: Bytes;
}

/** Commands that carry both signatures in a service session; all others are as in any session. */
const SERVICE_SIGNED: readonly string[] = ['NEW', 'SUB', 'NSUB'];
export const takesServiceSignature = (word: string): boolean => SERVICE_SIGNED.includes(word);

/** What the entity's key covers in a command with a service signature; the service's key covers `authorized` alone. */
export const authorizedInService = (service: ServiceAuth, authorized: Bytes): Uint8Array =>
  concat(service.certHash, authorized);

/** The service's signature of `authorized`. */
export const signAsService = (crypto: Crypto, service: ServiceAuth, authorized: Bytes): Uint8Array =>
  authorize(crypto, serviceKey(service), NO_AUTHENTICATORS, authorized);

export const verifyServiceSignature = (
  crypto: Crypto,
  service: ServiceAuth,
  authorized: Bytes,
  signature: Bytes,
): boolean => verifyWith(crypto, serviceKey(service), authorized, signature);

const serviceKey = ({ sessionKey }: ServiceAuth): Key<'ed25519'> => ({
  algorithm: 'ed25519',
  raw: sessionKey,
});
const NO_AUTHENTICATORS: ClientAuthSession = { sessionServerKey: undefined, corrId: new Uint8Array(0) };
