/**
 * The certificate under which messaging servers know this subscriber as one service (guide C.3, K.1 #16). One PEM
 * file of mode 0600 with the certificate, or a chain of up to four, leaf first, and the leaf's key. The same at
 * every server and after every restart: that is what it is for, and what it tells.
 */
import type { Crypto } from '../../../../shared/crypto/crypto.js';
import { publicKeyOf } from '../../../../shared/crypto/signatures.js';
import { pemBlocks, toPem } from '../../../../shared/crypto/x509.js';
import { sameBytes } from '../../../../shared/encoding/bytes.js';
import { decodePrivateKey, type Key, ofAlgorithm } from '../../../../shared/encoding/keys.js';
import { readSecretFile, SecretFileError } from '../../../../shared/run/files.js';
import { leafKey } from './identity.js';

export interface ServiceIdentity {
  /** DER, leaf first: the same bytes in TLS and in the hello. */
  readonly chain: readonly Uint8Array[];
  /** The leaf's raw private key: it signs session keys. */
  readonly signingKey: Key<'ed25519' | 'ed448'>;
  /** SHA-256 of the identity certificate: the second of a chain, else the only one (guide B.3). */
  readonly certHash: Uint8Array;
  /** The same as PEM, for TLS. */
  readonly tls: { readonly cert: string; readonly key: string };
}

const CERTIFICATE = 'CERTIFICATE';
const PRIVATE_KEY = 'PRIVATE KEY';
const MAX_CHAIN = 4;

/** Throws `SecretFileError` where the file is missing, readable by others, or holds no certificate with its key. */
export function loadServiceIdentity(crypto: Crypto, file: string): ServiceIdentity {
  const pem = readSecretFile(file);
  try {
    return parse(crypto, pem.toString('latin1'));
  } catch {
    throw new SecretFileError(
      `${file}: expected one to four certificates, leaf first, and the Ed25519 or Ed448 key of the first, in PEM`,
    );
  } finally {
    pem.fill(0);
  }
}

function parse(crypto: Crypto, text: string): ServiceIdentity {
  const blocks = pemBlocks(text);
  const chain = blocks.filter(({ label }) => label === CERTIFICATE).map(({ der }) => der);
  const keys = blocks.filter(({ label }) => label === PRIVATE_KEY).map(({ der }) => der);
  const [leaf, authority = leaf] = chain;
  const [key] = keys;
  if (!leaf || !authority || !key || chain.length > MAX_CHAIN || keys.length > 1) {
    throw new RangeError('certificates and key');
  }
  const signingKey = ofAlgorithm(decodePrivateKey(key), 'ed25519', 'ed448');
  if (!sameBytes(publicKeyOf(crypto, signingKey).raw, leafKey(leaf).raw)) throw new RangeError('other key');
  const cert = chain.map((der) => toPem(CERTIFICATE, der)).join('');
  const tls = { cert, key: toPem(PRIVATE_KEY, key) };
  return { chain, signingKey, certHash: crypto.sha256(authority), tls };
}
