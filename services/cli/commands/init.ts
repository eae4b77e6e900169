/** `porchlight init`: makes a service's folder, checks it, and says what to hand on and what to run next. */
import { existsSync, statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { UsageError } from '../../../shared/run/usage-error.js';
import { GATEWAY_FILE, type GatewayInit, makeGateway } from '../../gateway/init.js';
import { apnsFiles, SIMULATED_KEY, SIMULATED_PORT, SIMULATED_TEAM } from '../../simulators/files.js';
import { makeSubscriber, SUBSCRIBER_FILE, type SubscriberInit } from '../../subscriber/init.js';
import { type AppleKey, findAppleKey } from '../apple-key.js';
import { publicHost } from '../public-host.js';
import { printQrCode, say, shellWord } from '../screen.js';
import { pair } from './pair.js';
import { problemsOf } from './service.js';

type Given<T extends { readonly host: string }> = Omit<T, 'host'> & { readonly host?: string };

/** @property simulator folder of `porchlight simulate apns`, which then takes Apple's place */
export async function initGateway(
  options: Given<GatewayInit> & { readonly simulator?: string },
): Promise<void> {
  const { simulator } = options;
  if (simulator !== undefined) return initSimulated(options, simulator);
  const key = findAppleKey(options.apnsKey, ['.', options.dir]);
  const apnsKeyId = options.apnsKeyId ?? key?.keyId;
  const host = options.host ?? publicHost();
  const found = { ...(key && { apnsKey: key.file }), ...(apnsKeyId !== undefined && { apnsKeyId }) };
  const address = await makeGateway({ ...options, ...found, host });
  sayHost(options.host, host);
  if (key !== undefined) sayKey(key, options);
  await sayGateway(address, options.dir);
}

/** For trying: a gateway whose only environment is the stand-in of Apple's service. */
async function initSimulated(options: Given<GatewayInit>, simulator: string): Promise<void> {
  if (!existsSync(join(simulator, 'apns.p8'))) {
    throw new UsageError(
      `--simulator: ${simulator} is no folder of "porchlight simulate apns"; start that first`,
    );
  }
  const files = apnsFiles(simulator);
  const address = await makeGateway(
    {
      ...options,
      host: options.host ?? 'localhost',
      team: SIMULATED_TEAM,
      apnsKey: files.key,
      apnsKeyId: SIMULATED_KEY,
    },
    {
      listenHost: '127.0.0.1',
      test: { url: `https://localhost:${SIMULATED_PORT}`, caFile: files.ca },
      verbose: false,
    },
  );
  await sayGateway(address, options.dir);
}

async function sayGateway(address: string, dir: string): Promise<void> {
  say("The gateway's address, for those who run subscribers:", '', `  ${address}`, '');
  printQrCode(address);
  await sayNext('gateway', join(dir, GATEWAY_FILE));
}

export async function initSubscriber(options: Given<SubscriberInit>): Promise<void> {
  const host = options.host ?? publicHost();
  makeSubscriber({ ...options, host });
  const file = join(options.dir, SUBSCRIBER_FILE);
  sayHost(options.host, host);
  await pair({ config: file });
  const authority = join(options.dir, 'ca.key');
  say(`Keep ${authority} offline: it is needed only to make a new server certificate.`, '');
  await sayNext('subscriber', file);
}

function sayHost(given: string | undefined, host: string): void {
  if (given !== undefined) return;
  say(`Others reach this machine as ${host}: with --host NAME it would be another name.`, '');
}

/** What was found by itself is said, and that the file it came from still lies about. */
function sayKey({ file, keyId }: AppleKey, options: Given<GatewayInit>): void {
  if (options.apnsKey === undefined) say(`Found Apple's key ${basename(file)}, key id ${keyId}.`);
  const copy = join(options.dir, 'apns.p8');
  if (resolve(file) === resolve(copy)) return;
  const isOpen = (statSync(file).mode & 0o077) !== 0;
  say(
    `The gateway uses its copy ${copy}; ${isOpen ? 'others may read' : 'you may delete'} ${file}${isOpen ? ': delete it' : ''}.`,
    '',
  );
}

/** Checks as `--check-config` does: what is missing still is said here, not at the start. */
async function sayNext(name: 'gateway' | 'subscriber', file: string): Promise<void> {
  const problems = await problemsOf(name, file);
  const config = `--config ${shellWord(file)}`;
  if (problems.length === 0) {
    say('The configuration is complete. Next, run:', '', `  porchlight ${name} ${config}`);
    return;
  }
  say(`Still to be set in ${file}:`, ...problems.map((problem) => `  ${problem}`), '');
  say('Then run:', '', `  porchlight ${name} ${config} --check-config`);
}
