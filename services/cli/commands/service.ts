/** `porchlight gateway` and `porchlight subscriber`: configuration, start, and a clean stop. */
import type { z } from 'zod';
import type { Crypto } from '../../../shared/crypto/crypto.js';
import { loadCrypto } from '../../../shared/crypto/load.js';
import { ConfigError, loadConfig, printConfig } from '../../../shared/run/config.js';
import { hardenProcess, refuseRevealingSwitches } from '../../../shared/run/hardening.js';
import { inheritedSockets } from '../../../shared/run/inherited-sockets.js';
import { createLog, type Log, type LogLevel } from '../../../shared/run/log.js';
import { onShutdown } from '../../../shared/run/shutdown.js';

export interface ServiceOptions {
  readonly config: string;
  readonly checkConfig?: true;
  /** Of a subscriber: without losing what the one that runs holds. */
  readonly takeOver?: true | 'must';
}

interface Running {
  /** Resolves when another process has taken over. */
  readonly replaced?: Promise<void>;
  close(): Promise<void>;
}

interface Service<S extends z.ZodType> {
  readonly schema: S;
  /** Opens every file that the configuration names. Throws `ConfigError`. */
  open(config: z.output<S>, crypto: Crypto): unknown;
  start(config: z.output<S>, log: Log, options: ServiceOptions): Promise<Running>;
}

const SERVICES = {
  async gateway() {
    const [{ gatewayConfigSchema }, { openGatewayFiles }, { startGateway }] = await Promise.all([
      import('../../gateway/config.js'),
      import('../../gateway/files.js'),
      import('../../gateway/app.js'),
    ]);
    return {
      schema: gatewayConfigSchema,
      open: openGatewayFiles,
      start: (config, log) => startGateway(config, { log }),
    } satisfies Service<typeof gatewayConfigSchema>;
  },
  async subscriber() {
    const [{ subscriberConfigSchema }, { openSubscriberFiles }, { startSubscriber }, { OBSERVE }] =
      await Promise.all([
        import('../../subscriber/config.js'),
        import('../../subscriber/files.js'),
        import('../../subscriber/app.js'),
        import('../../subscriber/doors.js'),
      ]);
    return {
      schema: subscriberConfigSchema,
      open: openSubscriberFiles,
      start: (config, log, { takeOver = false }) => {
        const names = config.listeners.map(({ name }) => name);
        const sockets = inheritedSockets([...names, OBSERVE]);
        // As if the operator had stopped it.
        const end = (): void => void process.kill(process.pid, 'SIGTERM');
        return startSubscriber(config, { log, takeOver, sockets, end });
      },
    } satisfies Service<typeof subscriberConfigSchema>;
  },
};

/** Runs a service until it is told to stop. With `checkConfig` only reads, checks and prints the configuration. */
export async function runService(name: keyof typeof SERVICES, options: ServiceOptions): Promise<void> {
  refuseRevealingSwitches();
  const service = (await SERVICES[name]()) as Service<z.ZodType<LoggedConfig>>;
  const prefix = `PORCHLIGHT_${name.toUpperCase()}_`;
  const config = loadConfig(service.schema, { file: options.config, env: process.env, prefix });
  if (options.checkConfig) {
    service.open(config, await loadCrypto());
    process.stdout.write(printConfig(config));
    return;
  }
  const log = createLog({ service: name, level: config.log.level, json: config.log.format === 'json' });
  hardenProcess(log);
  const running = await service.start(config, log, options);
  void running.replaced?.then(() => process.exit());
  onShutdown(async () => {
    log.info('stopping');
    await running.close();
  });
  log.info('ready');
}

/** What `--check-config` would find, one line each. */
export async function problemsOf(name: keyof typeof SERVICES, file: string): Promise<readonly string[]> {
  const service = (await SERVICES[name]()) as Service<z.ZodType<LoggedConfig>>;
  const prefix = `PORCHLIGHT_${name.toUpperCase()}_`;
  try {
    service.open(loadConfig(service.schema, { file, env: process.env, prefix }), await loadCrypto());
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
}

interface LoggedConfig {
  readonly log: { readonly level: LogLevel; readonly format: 'json' | 'text' };
}
