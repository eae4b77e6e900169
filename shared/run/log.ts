/**
 * Structured logs with an allow-list: a field that is not named here can't be logged (rule 2 of the design:
 * no log line contains a user's secret). Values are short words and numbers from our own code, never peer data.
 */
import { pino } from 'pino';

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

const nothing = (): void => {};

/** Makes a log of one service. `json` for machines, else one readable line each. */
export function createLog(options: { service: string; level: LogLevel; json: boolean; sink?: LogSink }): Log {
  const sink = options.sink ?? process.stderr;
  const stream = options.json ? sink : { write: (line: string) => void sink.write(readable(line)) };
  const out = pino(
    { level: options.level, base: { service: options.service }, timestamp: pino.stdTimeFunctions.isoTime },
    stream,
  );
  const at = (level: LogLevel) => {
    // The fields of a level that is off are not even gone through.
    if (!out.isLevelEnabled(level)) return nothing;
    return (event: string, fields: LogFields = {}) => out[level](allowed(fields), event);
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

const LEVELS: Record<number, string> = { 20: 'debug', 30: 'info ', 40: 'WARN ', 50: 'ERROR' };

function readable(line: string): string {
  const { level, time, service, msg, ...fields } = JSON.parse(line) as Record<string, string | number>;
  const rest = Object.entries(fields).map(([key, value]) => ` ${key}=${value}`);
  return `${time} ${LEVELS[Number(level)] ?? level} ${service}: ${msg}${rest.join('')}\n`;
}
