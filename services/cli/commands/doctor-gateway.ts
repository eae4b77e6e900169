/** `porchlight doctor gateway`: from the configuration to Apple, without a running gateway. */
import { loadCrypto } from '../../../shared/crypto/load.js';
import { systemClock } from '../../../shared/run/clock.js';
import { ConfigError, loadConfig } from '../../../shared/run/config.js';
import type { Finding } from '../../../shared/run/doctor.js';
import { gatewayConfigSchema } from '../../gateway/config.js';
import { examineGateway } from '../../gateway/doctor/examine.js';
import { reportFindings } from '../findings.js';

export interface DoctorGatewayOptions {
  readonly config: string;
  readonly host?: string;
}

/** Prints what is found; exit status 1 where something failed. */
export async function doctorGateway(options: DoctorGatewayOptions): Promise<void> {
  const findings: Finding[] = [];
  for await (const finding of examine(options)) findings.push(finding);
  reportFindings(findings);
}

async function* examine({ config: file, host }: DoctorGatewayOptions): AsyncGenerator<Finding> {
  try {
    const source = { file, env: process.env, prefix: 'PORCHLIGHT_GATEWAY_' };
    const config = loadConfig(gatewayConfigSchema, source);
    yield* examineGateway(config, { crypto: await loadCrypto(), clock: systemClock, host });
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const fix = 'correct it and ask again; "porchlight gateway --check-config" checks the same';
    for (const detail of error.problems) {
      yield { name: 'configuration and files', state: 'failed', detail, fix };
    }
  }
}
