/** The gateway as a process that can be killed: started by `gateway.ts`, told over IPC how late it is. */
import { startGateway } from '../../services/gateway/app.js';
import { gatewayConfigSchema } from '../../services/gateway/config.js';
import { loadConfig } from '../../shared/run/config.js';
import { silentLog } from '../../shared/run/log.js';
import { onShutdown } from '../../shared/run/shutdown.js';
import { LeapClock } from '../support/world/leap-clock.js';

export type ToGateway =
  | { readonly start: { readonly file: string; readonly listen: string; readonly leapt: number } }
  | { readonly leap: number };
export type FromGateway =
  | { readonly ready: { port: number; fingerprint: string } }
  | { readonly leapt: true };

const clock = new LeapClock();
const say = (message: FromGateway): void => void process.send?.(message);

async function start({
  file,
  listen,
  leapt,
}: Extract<ToGateway, { start: unknown }>['start']): Promise<void> {
  clock.leap(leapt);
  const env = { G_LISTEN: listen, G_OBSERVE_LISTEN: '127.0.0.1:0' };
  const config = loadConfig(gatewayConfigSchema, { file, prefix: 'G_', env });
  const gateway = await startGateway(config, { log: silentLog, clock });
  onShutdown(() => gateway.close());
  say({ ready: { port: gateway.port, fingerprint: gateway.fingerprint } });
}

process.on('message', (message: ToGateway) => {
  if ('start' in message) void start(message.start);
  else {
    clock.leap(message.leap);
    say({ leapt: true });
  }
});
process.once('disconnect', () => process.exit());
