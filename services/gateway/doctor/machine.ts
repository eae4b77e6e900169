/** What the gateway needs of its own machine: its certificate, its state folder, descriptors. Changes nothing. */
import { X509Certificate } from 'node:crypto';
import { accessSync, constants, readdirSync, readFileSync, statSync } from 'node:fs';
import { isIP } from 'node:net';
import { dirname, join } from 'node:path';
import type { Clock } from '../../../shared/run/clock.js';
import type { Finding } from '../../../shared/run/doctor.js';
import { readSecretFile, SecretFileError } from '../../../shared/run/files.js';
import { EPOCHS_FOLDER } from '../burn.js';
import type { GatewayConfig } from '../config.js';
import type { TlsMaterial } from '../tls.js';

const DAY_MS = 86_400_000;
/** Ordinary authorities renew a month before the end; whoever is this late has a renewal that does not work. */
const WARN_DAYS = 14;
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;
/** Files, control, metrics and Apple's connections beside those of subscribers. */
const OWN_DESCRIPTORS = 100;

const KEY_FOLDERS = [EPOCHS_FOLDER, 'sealing'];

/** @param host the public name, where the operator gave one */
export function* examineCertificate(
  tls: TlsMaterial | undefined,
  host: string | undefined,
  config: GatewayConfig,
  clock: Clock,
): Generator<Finding> {
  if (tls === undefined) {
    yield plainFinding(config);
    return;
  }
  const chain = [...tls.cert.matchAll(CERTIFICATE)].map(([pem]) => new X509Certificate(pem));
  const leaf = chain[0]!;
  yield datesFinding(leaf, clock);
  yield chainFinding(chain);
  if (host !== undefined) yield hostFinding(leaf, host);
}

function plainFinding({ listen }: GatewayConfig): Finding {
  const name = 'certificate';
  if (/^(?:127\.|::1$|localhost$)/.test(listen.host)) {
    return { name, state: 'ok', detail: 'none: plain HTTP on loopback, for a proxy on this machine' };
  }
  const fix = 'set [tls], or listen on 127.0.0.1 behind a proxy that speaks TLS';
  return { name, state: 'failed', detail: 'plain HTTP on an address that others reach', fix };
}

function datesFinding(leaf: X509Certificate, clock: Clock): Finding {
  const name = 'certificate: dates';
  const days = Math.floor((Date.parse(leaf.validTo) - clock.now()) / DAY_MS);
  const fix = 'renew it, put it into tls.certificate and restart the gateway';
  if (Date.parse(leaf.validFrom) > clock.now()) {
    return { name, state: 'failed', detail: 'not valid yet', fix: "see this machine's clock: timedatectl" };
  }
  if (days < 0) return { name, state: 'failed', detail: `ended ${-days} days ago`, fix };
  const detail = `${days} days left`;
  return days < WARN_DAYS ? { name, state: 'warning', detail, fix } : { name, state: 'ok', detail };
}

/** Self-signed is in order: the signed statement names the key. Otherwise clients need what leads to an authority. */
function chainFinding(chain: readonly X509Certificate[]): Finding {
  const name = 'certificate: chain';
  const [leaf, ...above] = chain;
  // `checkIssued` asks also whether it may sign others, which a self-signed certificate of a server need not.
  if (leaf!.issuer === leaf!.subject && leaf!.verify(leaf!.publicKey)) {
    return { name, state: 'ok', detail: "self-signed: the gateway's statement names its key" };
  }
  const fix = 'put the certificate first and then each that signed the one before (fullchain.pem)';
  const broken = above.some((issuer, i) => !chain[i]!.checkIssued(issuer));
  if (broken)
    return { name, state: 'failed', detail: 'the certificates do not lead from one to the next', fix };
  if (above.length === 0) return { name, state: 'warning', detail: 'no intermediate certificates', fix };
  return { name, state: 'ok', detail: `${chain.length} certificates` };
}

function hostFinding(leaf: X509Certificate, host: string): Finding {
  const name = 'certificate: host';
  const isFor = isIP(host) === 0 ? leaf.checkHost(host) : leaf.checkIP(host);
  if (isFor !== undefined) {
    return { name, state: 'ok', detail: `is for ${host}` };
  }
  const fix = 'get a certificate for that name, or hand on the address that the certificate is for';
  return { name, state: 'failed', detail: `is not for ${host}`, fix };
}

/** The folder is judged as whoever runs the doctor: the wrong user is told so. */
export function* examineState({ state }: GatewayConfig): Generator<Finding> {
  const name = 'state folder';
  const owner = ownerOf(state);
  if (owner === undefined) {
    const isMakeable = mayWrite(dirname(state));
    const fix = `make it for the user that runs the gateway: install -d -m 700 ${state}`;
    const detail = isMakeable ? 'not there yet, made at the first start' : 'not there, and cannot be made';
    yield { name, detail, ...(isMakeable ? { state: 'ok' } : { state: 'failed', fix }) };
    return;
  }
  if (owner.mode !== 0) {
    const fix = `run: chmod 700 ${state}`;
    yield { name, state: 'failed', detail: 'others may look into it', fix };
  } else if (owner.isOther || !mayWrite(state)) {
    const fix = 'run the doctor as the user that runs the gateway, or give that user the folder (chown)';
    yield { name, state: 'warning', detail: 'belongs to another user than the one who asks', fix };
    return;
  } else yield { name, state: 'ok', detail: 'writable, for its owner only' };
  for (const folder of KEY_FOLDERS) yield keysFinding(state, folder);
}

function ownerOf(path: string): { readonly mode: number; readonly isOther: boolean } | undefined {
  try {
    const { mode, uid } = statSync(path);
    return { mode: mode & 0o077, isOther: uid !== process.getuid?.() };
  } catch {
    return undefined;
  }
}

function mayWrite(path: string): boolean {
  try {
    accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function keysFinding(state: string, folder: string): Finding {
  const name = `state: ${folder}`;
  let files: string[];
  try {
    files = readdirSync(join(state, folder)).filter((file) => file.endsWith('.key'));
  } catch {
    return { name, state: 'ok', detail: 'none yet, made at the first start' };
  }
  try {
    for (const file of files) readSecretFile(join(state, folder, file)).fill(0);
  } catch (error) {
    const detail = error instanceof SecretFileError ? error.message : 'cannot be read';
    return { name, state: 'failed', detail, fix: `chown -R to the gateway's user and chmod 600 the keys` };
  }
  return { name, state: 'ok', detail: `${files.length} ${files.length === 1 ? 'key' : 'keys'}` };
}

/** @param limits text of /proc/self/limits; Node raises its own soft limit to the hard one */
export function descriptorsFinding({ limits }: GatewayConfig, text = ownLimits()): Finding {
  const name = 'descriptors';
  const hard = /^Max open files\s+\S+\s+(\S+)/m.exec(text)?.[1];
  if (hard === undefined) {
    return { name, state: 'skipped', detail: 'unknown on this system', fix: 'see ulimit -Hn' };
  }
  const wanted = limits.connections + OWN_DESCRIPTORS;
  if (hard === 'unlimited' || Number(hard) >= wanted) {
    return { name, state: 'ok', detail: `${hard}, for ${limits.connections} connections` };
  }
  const fix = `set LimitNOFILE=${wanted} in the systemd unit, or limits.connections lower`;
  return { name, state: 'warning', detail: `${hard}, but limits.connections is ${limits.connections}`, fix };
}

function ownLimits(): string {
  try {
    return readFileSync('/proc/self/limits', 'latin1');
  } catch {
    return '';
  }
}
