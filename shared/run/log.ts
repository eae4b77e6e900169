/**
 * Structured logs with an allow-list: a field that is not named here can't be logged (rule 2 of the design:
 * no log line contains a user's secret). Values are short words and numbers from our own code, never peer data.
 */
import { systemClock } from './clock.js';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** All that a log line may carry. */
export interface LogFields {
  /** Address of one of our own listeners, or a port. */
  listen?: string;
  port?: number;
  /** A file of ours. */
  file?: string;
  /** A closed word: error code, reason, outcome, kind, name of a part or of a configured item. */
  code?: string;
  reason?: string;
  outcome?: string;
  kind?: string;
  name?: string;
  backend?: string;
  version?: string;
  /** Quantities. */
  count?: number;
  total?: number;
  ms?: number;
  status?: number;
  bytes?: number;
}

const FIELDS: readonly (keyof LogFields)[] = [
  'listen',
  'port',
  'file',
  'code',
  'reason',
  'outcome',
  'kind',
  'name',
  'backend',
  'version',
  'count',
  'total',
  'ms',
  'status',
  'bytes',
];

export interface Log {
  debug(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
}

/** Where lines go; standard error unless a test wants to read them. */
export interface LogSink {
  write(line: string): void;
}

/** In order of weight: the number in a JSON line, and the word in a readable one. */
const LEVELS: Readonly<Record<LogLevel, readonly [number: number, word: string]>> = {
  debug: [20, 'debug'],
  info: [30, 'info '],
  warn: [40, 'WARN '],
  error: [50, 'ERROR'],
};

const nothing = (): void => {};

/** Makes a log of one service. `json` for machines, else one readable line each. */
export function createLog(options: { service: string; level: LogLevel; json: boolean; sink?: LogSink }): Log {
  const { service, json, sink = process.stderr } = options;
  const [least] = LEVELS[options.level];
  const at = (level: LogLevel) => {
    const [number, word] = LEVELS[level];
    if (number < least) return nothing;
    return (event: string, fields: LogFields = {}): void => {
      const time = new Date(systemClock.now()).toISOString();
      const rest = allowed(fields);
      if (json) sink.write(`${JSON.stringify({ level: number, time, service, ...rest, msg: event })}\n`);
      else sink.write(`${time} ${word} ${service}: ${event}${readable(rest)}\n`);
    };
  };
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

/** A log that says nothing. */
export const silentLog: Log = { debug: nothing, info: nothing, warn: nothing, error: nothing };

function allowed(fields: LogFields): LogFields {
  const out: Record<string, unknown> = {};
  for (const name of FIELDS) {
    const value = fields[name];
    if (typeof value === 'number') out[name] = value;
    if (typeof value === 'string') out[name] = plain(value);
  }
  return out;
}

/** Longer than any word or path of ours. */
const MAX_TEXT = 300;

/** One line stays one line, and a short one, whatever a file is called. */
const plain = (text: string): string => text.slice(0, MAX_TEXT).replace(/[^ -~\p{L}\p{N}\p{P}]/gu, '?');

const readable = (fields: LogFields): string =>
  Object.entries(fields)
    .map(([key, value]) => ` ${key}=${value}`)
    .join('');
