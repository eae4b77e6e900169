/**
 * Configuration: one TOML file, every key also an environment variable, everything checked before the first socket
 * opens. Unknown keys are refused with the nearest known name; a message names the key and the expected shape, never
 * the value.
 */
import { readFileSync } from 'node:fs';
import { parse, stringify, TomlError, type TomlTable } from 'smol-toml';
import type { z } from 'zod';

/** A configuration that can't be used: one line per problem. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
    this.problems = problems;
  }
}

export interface ConfigSource {
  /** Path of the TOML file; without one, only the environment counts. */
  readonly file?: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Start of this service's variables, for example `PORCHLIGHT_GATEWAY_`. */
  readonly prefix: string;
}

/** Reads, overlays the environment and validates. Throws `ConfigError`. */
export function loadConfig<S extends z.ZodType>(schema: S, source: ConfigSource): z.output<S> {
  const table = source.file === undefined ? {} : readToml(source.file);
  const problems = overlayEnvironment(schema, table, source);
  const result = schema.safeParse(table);
  if (!result.success) {
    for (const issue of result.error.issues) problems.push(...describe(schema, issue));
  }
  if (problems.length > 0) throw new ConfigError(problems);
  return result.data as z.output<S>;
}

/**
 * Opens the files that a configuration names, so that a start is refused with all that is wrong and not with the
 * first thing. The problems name keys and files, never content.
 */
export class ConfigFiles {
  private readonly problems: string[] = [];

  /** What `open` gives. Where it throws, that is a problem of `key`, and nothing is to be used: see `check`. */
  use<T>(key: string, open: () => T): T {
    try {
      return open();
    } catch (error) {
      this.problems.push(`${key}: ${fileProblem(error as NodeJS.ErrnoException)}`);
      return undefined as T; // never seen: `check` throws
    }
  }

  /** To be called when all were opened, before any of it is used. Throws `ConfigError`. */
  check(): void {
    if (this.problems.length > 0) throw new ConfigError(this.problems);
  }
}

/** Our own errors say it in words without secrets; others only what kind of failure it was. */
function fileProblem({ name, message, code, path }: NodeJS.ErrnoException): string {
  if (name !== 'Error' && code === undefined && !/^(Type|Range|Syntax|Reference)Error$/.test(name))
    return message;
  const reason = code === 'ENOENT' ? 'no such file' : 'cannot be used';
  return path === undefined ? `the file ${reason}` : `${path}: ${reason}`;
}

/** What was written where an object was read, for example `HOST:PORT`. */
const texts = new WeakMap<object, string>();

/** For fields whose text is read as an object: it is printed as it was written. @returns `value` */
export function writtenAs<T extends object>(value: T, text: string): T {
  texts.set(value, text);
  return value;
}

/** The configuration as TOML that can be read again, with defaults filled in and anything that could hold a credential redacted. */
export function printConfig(config: unknown): string {
  return stringify(redacted(config) as TomlTable);
}

/** Not the name of a file that holds one. */
const SECRET_NAME = /(password|secret|passphrase)(?!\w*_file$)/;
const CREDENTIALS_IN_URL = /^([a-z][a-z0-9+.-]*:\/\/)[^/]*:[^/]*@/;

function redacted(value: unknown, name = ''): unknown {
  if (Array.isArray(value)) return value.map((item) => redacted(item, name));
  if (typeof value === 'object' && value !== null) {
    const text = texts.get(value);
    if (text !== undefined) return redacted(text, name);
    const entries = Object.entries(value).filter(([, v]) => v !== undefined);
    return Object.fromEntries(entries.map(([key, v]) => [key, redacted(v, key)]));
  }
  if (typeof value !== 'string') return value;
  if (SECRET_NAME.test(name)) return '[redacted]';
  return value.replace(CREDENTIALS_IN_URL, '$1[redacted]@');
}

function readToml(file: string): TomlTable {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    throw new ConfigError([
      `${file}: ${missing ? 'no such file; "porchlight init" makes one, --config names another' : 'cannot be read'}`,
    ]);
  }
  try {
    return parse(text);
  } catch (error) {
    // The library's message quotes the line, which may hold a secret typed into the wrong file.
    const at = error instanceof TomlError ? ` at line ${error.line}, column ${error.column}` : '';
    throw new ConfigError([`${file}: not valid TOML${at}`]);
  }
}

interface Node {
  readonly type: string;
  readonly shape?: Readonly<Record<string, z.ZodType>>;
  readonly element?: z.ZodType;
}

/** Looks through optional, default and transformed schemas at the object, array or leaf below. */
function nodeOf(schema: z.ZodType): Node {
  const def = schema.def as unknown as {
    type: string;
    innerType?: z.ZodType;
    in?: z.ZodType;
    shape?: Record<string, z.ZodType>;
    element?: z.ZodType;
  };
  const inner = def.innerType ?? def.in;
  return inner === undefined ? def : nodeOf(inner);
}

/** All names that may stand at `path`, or undefined where the path leads to no object. */
function namesAt(schema: z.ZodType, path: readonly PropertyKey[]): string[] | undefined {
  let node = nodeOf(schema);
  for (const step of path) {
    const next = typeof step === 'number' ? node.element : node.shape?.[String(step)];
    if (next === undefined) return undefined;
    node = nodeOf(next);
  }
  return node.shape && Object.keys(node.shape);
}

function describe(schema: z.ZodType, issue: z.core.$ZodIssue): string[] {
  const path = issue.path.map(String);
  if (issue.code !== 'unrecognized_keys') return [`${path.join('.') || 'configuration'}: ${shapeOf(issue)}`];
  const known = namesAt(schema, issue.path) ?? [];
  return issue.keys.map((key) => `${[...path, key].join('.')}: unknown key${suggestion(key, known)}`);
}

/** zod's message speaks of types and limits; where it would quote what was received, only the type is said. */
function shapeOf(issue: z.core.$ZodIssue): string {
  return issue.message.replace(/^Invalid input: /, '').replace(/, received undefined$/, '; it is missing');
}

function suggestion(name: string, known: readonly string[]): string {
  let nearest: string | undefined;
  let least = Math.max(2, Math.floor(name.length / 2)) + 1;
  for (const candidate of known) {
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase());
    if (distance < least) [nearest, least] = [candidate, distance];
  }
  return nearest === undefined ? '' : `; did you mean ${nearest}?`;
}

/** Levenshtein distance, on short names. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(change, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}

/** Writes each variable into the table; returns a problem for each that names no key. */
function overlayEnvironment(schema: z.ZodType, table: TomlTable, source: ConfigSource): string[] {
  const problems: string[] = [];
  for (const [name, value] of Object.entries(source.env).sort()) {
    if (!name.startsWith(source.prefix) || value === undefined) continue;
    const found = resolve(schema, name.slice(source.prefix.length));
    if (found === undefined) {
      const known = variables(schema, source.prefix);
      problems.push(`${name}: unknown variable${suggestion(name, known)}`);
    } else if (!put(table, found.path, typedValue(found.type, value))) {
      problems.push(`${name}: the file has another kind of value there`);
    }
  }
  return problems;
}

/** Finds the key that `SECTION_0_NAME` stands for; names may contain underscores themselves. */
function resolve(schema: z.ZodType, rest: string): { path: (string | number)[]; type: string } | undefined {
  const { shape, element, type } = nodeOf(schema);
  if (rest === '') return { path: [], type: element ? `list of ${nodeOf(element).type}` : type };
  if (element !== undefined) {
    const index = /^(\d{1,3})(?:_|$)/.exec(rest);
    const below = index && resolve(element, rest.slice(index[0].length));
    return below ? { path: [Number(index[1]), ...below.path], type: below.type } : undefined;
  }
  for (const [key, child] of Object.entries(shape ?? {})) {
    const name = key.toUpperCase();
    if (rest !== name && !rest.startsWith(`${name}_`)) continue;
    const below = resolve(child, rest.slice(name.length + 1));
    if (below) return { path: [key, ...below.path], type: below.type };
  }
  return undefined;
}

/** Names of all variables, with 0 for the index of a list of tables. */
export function variables(schema: z.ZodType, prefix: string): string[] {
  const { shape, element } = nodeOf(schema);
  if (shape)
    return Object.entries(shape).flatMap(([key, child]) =>
      variables(child, `${prefix}${key.toUpperCase()}_`),
    );
  if (element && nodeOf(element).shape) return variables(element, `${prefix}0_`);
  return [prefix.slice(0, -1)];
}

function typedValue(type: string, text: string): unknown {
  if (type === 'number') return text.trim() === '' ? text : Number(text);
  if (type === 'boolean') return text === 'true' ? true : text === 'false' ? false : text;
  if (!type.startsWith('list of ')) return text;
  const items = text.split(',').map((item) => item.trim());
  return items.filter((item) => item !== '').map((item) => typedValue(type.slice('list of '.length), item));
}

/** Sets a value deep inside the table, making what is missing; false where something else is in the way. */
function put(table: TomlTable, path: readonly (string | number)[], value: unknown): boolean {
  let at = table as Record<string | number, unknown>;
  for (const [i, step] of path.slice(0, -1).entries()) {
    at[step] ??= typeof path[i + 1] === 'number' ? [] : {};
    if (typeof at[step] !== 'object') return false;
    at = at[step] as Record<string | number, unknown>;
  }
  at[path.at(-1)!] = value;
  return true;
}
