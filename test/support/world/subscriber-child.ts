/** The subscriber as a process that can be killed: started by `subscriber-process.ts`, told over IPC how late it is. */
import { startSubscriber } from '../../../services/subscriber/app.js';
import { subscriberConfigSchema } from '../../../services/subscriber/config.js';
import { loadConfig } from '../../../shared/run/config.js';
import { silentLog } from '../../../shared/run/log.js';
import { LeapClock } from './leap-clock.js';

export interface SubscriberStart {
  readonly file: string;
  /** With the prefix `S_`. */
  readonly env: Readonly<Record<string, string>>;
  readonly leapt: number;
}

export type ToSubscriber = { readonly start: SubscriberStart } | { readonly leap: number };

export interface FromSubscriber {
  readonly ports: readonly [name: string, port: number][];
  readonly observePort: number;
}

const clock = new LeapClock();

async function start({ file, env, leapt }: SubscriberStart): Promise<void> {
  clock.leap(leapt);
  const config = loadConfig(subscriberConfigSchema, { file, prefix: 'S_', env });
  const { ports, observePort } = await startSubscriber(config, { log: silentLog, clock });
  const ready: FromSubscriber = { ports: [...ports], observePort };
  process.send!(ready);
}

process.on('message', (message: ToSubscriber) => {
  if ('start' in message) void start(message.start);
  else clock.leap(message.leap);
});
process.once('disconnect', () => process.exit());
