/** `porchlight doctor subscriber`: what can be looked at from outside, then what the running service finds itself. */
import { loadCrypto } from '../../../shared/crypto/load.js';
import { ConfigError, loadConfig } from '../../../shared/run/config.js';
import { controlPath } from '../../../shared/run/control.js';
import { askControl } from '../../../shared/run/control-client.js';
import type { Finding } from '../../../shared/run/doctor.js';
import { UsageError } from '../../../shared/run/usage-error.js';
import { type SubscriberConfig, subscriberConfigSchema } from '../../subscriber/config.js';
import { openSubscriberFiles } from '../../subscriber/files.js';
import { findingOf, reportFindings } from '../findings.js';

export interface DoctorOptions {
  readonly config: string;
  /** `smp://FINGERPRINT@HOST[:PORT]` */
  readonly server?: string;
  /** Id of a registration, base64url: the phone that gets a push. */
  readonly device?: string;
}

const CONFIGURATION = 'configuration and files';
const PROCESS = 'subscriber';

/** Prints what is found; exit status 1 where something failed. */
export async function doctorSubscriber(options: DoctorOptions): Promise<void> {
  const findings: Finding[] = [];
  for await (const finding of examine(options)) findings.push(finding);
  reportFindings(findings);
}

async function* examine({ config: file, server, device }: DoctorOptions): AsyncGenerator<Finding> {
  let config: SubscriberConfig;
  try {
    config = loadConfig(subscriberConfigSchema, { file, env: process.env, prefix: 'PORCHLIGHT_SUBSCRIBER_' });
    openSubscriberFiles(config, await loadCrypto());
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    yield* error.problems.map(unusable);
    return;
  }
  yield { name: CONFIGURATION, state: 'ok', detail: 'complete, and every file can be used' };
  const request = { do: 'doctor', ...(server && { server }), ...(device && { device }) };
  try {
    for await (const line of askControl(controlPath(config), request)) yield findingOf(line);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    yield {
      name: PROCESS,
      state: 'failed',
      detail: error.message,
      fix: `start it with "porchlight subscriber --config ${file}", or run the doctor as the user that runs it`,
    };
  }
}

const unusable = (problem: string): Finding => ({
  name: CONFIGURATION,
  state: 'failed',
  detail: problem,
  fix: 'correct it and ask again; "porchlight subscriber --check-config" checks the same',
});
