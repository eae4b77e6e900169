/** Certificates of any shape, for tests of the rules about them. */
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import {
  certificateAuthority,
  encodeCertificate,
  endEntity,
  keyUsage,
} from '../../shared/crypto/certificate.js';
import { bitString, boolean, element, octetString, oid, sequence } from '../../shared/encoding/der.js';

export interface Issued {
  readonly name: string;
  readonly der: Uint8Array;
  readonly privateKey: KeyObject;
}

export interface CertificateOptions {
  readonly name: string;
  /** Self-signed without one. */
  readonly issuer?: Issued;
  /** What stands as the issuer's name, if not the issuer's. */
  readonly issuerName?: string;
  readonly algorithm?: 'ed25519' | 'ed448';
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  readonly extensions?: readonly Uint8Array[];
}

const SIGNATURES = { ed25519: '1.3.101.112', ed448: '1.3.101.113' };

export const extension = (type: string, value: Uint8Array, critical = false): Uint8Array =>
  sequence(oid(type), ...(critical ? [boolean(true)] : []), octetString(value));

/** A CA's extension with an upper bound of issuers below. */
export const pathLength = (n: number): Uint8Array =>
  extension('2.5.29.19', sequence(boolean(true), element(0x02, Uint8Array.of(n))), true);

/** Any key usage; the first bit is digitalSignature, the sixth keyCertSign. */
export const usage = (bits: number): Uint8Array => extension('2.5.29.15', bitString(Uint8Array.of(bits)));

export const CA: readonly Uint8Array[] = [certificateAuthority()];
export const LEAF: readonly Uint8Array[] = [endEntity(), keyUsage()];

export function certificate(options: CertificateOptions): Issued {
  const { name, issuer, algorithm = 'ed25519', extensions = CA } = options;
  const { publicKey, privateKey } =
    algorithm === 'ed25519' ? generateKeyPairSync('ed25519') : generateKeyPairSync('ed448');
  const signer = issuer?.privateKey ?? privateKey;
  const signature = SIGNATURES[signer.asymmetricKeyType as 'ed25519' | 'ed448'];
  const der = encodeCertificate(
    {
      serial: Uint8Array.of(1),
      signatureAlgorithm: sequence(oid(signature)),
      issuer: { commonName: options.issuerName ?? issuer?.name ?? name },
      subject: { commonName: name },
      notBefore: options.notBefore ?? new Date('2020-01-01'),
      notAfter: options.notAfter ?? new Date('2999-01-01'),
      publicKey: publicKey.export({ format: 'der', type: 'spki' }),
      extensions,
    },
    (tbs) => sign(null, tbs, signer),
  );
  return { name, der, privateKey };
}
