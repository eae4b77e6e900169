/** The files of the stand-ins, made at their first run and kept in a folder, and what others need of them. */
import { createHash, generateKeyPairSync } from 'node:crypto';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createServerCertificate, toPem } from '../../shared/crypto/x509.js';
import { writeSecretFile } from '../../shared/run/files.js';
import { formatServer } from '../../shared/smp/address.js';
import { smpIdentityIn } from './smp/identity.js';

/** Ids as Apple gives them: ten characters. */
export const SIMULATED_TEAM = 'SIMULATED0';
export const SIMULATED_KEY = 'SIMULATED1';
/** The one at which Apple listens beside 443. */
export const SIMULATED_PORT = 2197;

export interface ApnsFiles {
  /** The team's .p8. */
  readonly key: string;
  /** The simulator's certificate, its own authority. */
  readonly ca: string;
  readonly tlsKey: string;
}

export function apnsFiles(dir: string): ApnsFiles {
  const folder = resolve(dir);
  const [key, ca, tlsKey] = ['apns.p8', 'ca.crt', 'tls.key'].map((name) => join(folder, name));
  const files: ApnsFiles = { key: key!, ca: ca!, tlsKey: tlsKey! };
  if (existsSync(files.tlsKey)) return files;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  writeSecretFile(files.key, privateKey.export({ format: 'pem', type: 'pkcs8' }));
  const tls = createServerCertificate({
    host: 'localhost',
    otherHosts: ['127.0.0.1', '::1'],
    now: new Date(),
  });
  writeFileSync(files.ca, toPem('CERTIFICATE', tls.certificate));
  writeSecretFile(files.tlsKey, toPem('PRIVATE KEY', tls.privateKey));
  return files;
}

/** The messaging server's address, `smp://FINGERPRINT@HOST:PORT`. */
export function smpAddress(dir: string, host: string, port: number): string {
  const { caCert } = smpIdentityIn(resolve(dir), new Date());
  const keyHash = new Uint8Array(createHash('sha256').update(caCert).digest());
  return formatServer({ hosts: [host], port: String(port), keyHash });
}
