/** `porchlight subscribers`: who may ask a running gateway, and how much, changed without a restart. */
import { loadConfig } from '../../../shared/run/config.js';
import { controlPath } from '../../../shared/run/control.js';
import { askControl, type ControlLine } from '../../../shared/run/control-client.js';
import { table } from '../../../shared/run/table.js';
import { gatewayConfigSchema } from '../../gateway/config.js';

export interface SubscriberChange {
  readonly config: string;
  /** The operator's own word for it. */
  readonly name?: string;
  /** Frames a second; 0 = none at all. */
  readonly rate?: number;
  /** Requests running at once. */
  readonly requests?: number;
}

const HEADINGS = ['key', 'name', 'may ask', 'frames a second', 'requests at once', 'devices', 'from'];

/** Prints the list. Rejects with `ConfigError` or `UsageError`, as the others. */
export async function listSubscribers({ config }: { readonly config: string }): Promise<void> {
  const rows = [HEADINGS];
  let rest: ControlLine = {};
  for await (const line of ask(config, { do: 'subscribers' })) {
    if (line.key === undefined) rest = line;
    else rows.push(row(line));
  }
  if (rows.length > 1) for (const line of table(rows)) say(line);
  say(`mode ${rest.mode}; subscribers with proven devices that are not on the list: up to ${rest.others}`);
}

export const addSubscriber = (key: string, change: SubscriberChange): Promise<void> =>
  alter('subscriber-add', key, change, 'may ask from now on');

export const limitSubscriber = (key: string, change: SubscriberChange): Promise<void> =>
  alter(
    'subscriber-limit',
    key,
    change,
    change.rate === 0 ? 'may not ask any more' : 'is limited from now on',
  );

export const removeSubscriber = (key: string, change: SubscriberChange): Promise<void> =>
  alter('subscriber-remove', key, change, 'is off the list');

async function alter(
  word: string,
  key: string,
  { config, ...limits }: SubscriberChange,
  done: string,
): Promise<void> {
  for await (const _ of ask(config, { do: word, key, ...limits }));
  say(`${key} ${done}`);
}

async function* ask(file: string, request: object): AsyncGenerator<ControlLine> {
  const config = loadConfig(gatewayConfigSchema, { file, env: process.env, prefix: 'PORCHLIGHT_GATEWAY_' });
  yield* askControl(controlPath(config), request);
}

function row({ key, name, mayAsk, rate, requests, devices, isConfigured }: ControlLine): string[] {
  const cells = [key, name, mayAsk ? 'yes' : 'no', rate, requests, `up to ${devices}`];
  return [...cells.map((cell) => String(cell ?? '-')), isConfigured ? 'configuration' : 'added'];
}

const say = (line: string): void => void process.stdout.write(`${line}\n`);
