/**
 * The benchmark: `node dist/test/bench/run.js [ROW…] [--json FILE] [--long] [--profile FOLDER]`. Each row measures one promise of the
 * design in processes of its own, with peers in the same run, and stands in the table beside its target.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { systemClock } from '../../shared/run/clock.js';
import { root } from '../support/paths.js';
import { profileInto, stopAll } from './children.js';
import { type Figure, type Row, rounded, verdict } from './harness.js';
import { engine } from './rows/engine.js';
import { gateway } from './rows/gateway.js';
import { latency } from './rows/latency.js';
import { memory } from './rows/memory.js';
import { nsub } from './rows/nsub.js';
import { snew } from './rows/snew.js';
import { split } from './rows/split.js';
import { start } from './rows/start.js';
import { subscriber } from './rows/subscriber.js';
import { removeFolders } from './world/services.js';

const ROWS: Readonly<Record<string, Row>> = {
  engine,
  gateway,
  subscriber,
  split,
  nsub,
  snew,
  memory,
  latency,
  start,
};

const PEERS = ['@parse/node-apn', 'apns2', 'undici', 'sodium-native'] as const;
const say = (text: string): void => void process.stdout.write(`${text}\n`);

function machine() {
  const file = (name: string) => join(root, 'node_modules', name, 'package.json');
  const version = (name: string) =>
    (JSON.parse(readFileSync(file(name), 'utf8')) as { version: string }).version;
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    node: process.version,
    openssl: process.versions.openssl,
    load: loadavg()[0],
    packages: Object.fromEntries(PEERS.map((name) => [name, version(name)])),
  };
}

const targetText = ({ target, unit }: Figure): string => {
  if (target === undefined) return '-';
  const [sign, value] = 'atMost' in target ? ['≤', target.atMost] : ['≥', target.atLeast];
  return `${sign} ${rounded(value)} ${unit}`;
};

const peersText = ({ peers = {} }: Figure): string =>
  Object.entries(peers)
    .map(([name, value]) => `${name} ${rounded(value)}`)
    .join(', ') || '-';

const line = (figure: Figure): string[] => [
  figure.row,
  `${rounded(figure.value)} ${figure.unit}`,
  targetText(figure),
  peersText(figure),
  verdict(figure),
];

function table(figures: readonly Figure[]): string {
  const lines = [['row', 'measured', 'target', 'peers', 'verdict'], ...figures.map(line)];
  const widths = lines[0]!.map((_, column) => Math.max(...lines.map((cells) => cells[column]!.length)));
  const format = (cells: readonly string[]) =>
    cells
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join(' | ')
      .trimEnd();
  const [head, ...body] = lines.map(format);
  return [head, widths.map((width) => '-'.repeat(width)).join(' | '), ...body].join('\n');
}

/** A row that fails does not take the others with it. */
async function runRow(name: string, long: boolean): Promise<readonly Figure[]> {
  const begun = systemClock.monotonic();
  try {
    const figures = await ROWS[name]!({ long });
    say(`  ${name}: ${((systemClock.monotonic() - begun) / 1000).toFixed(1)} s`);
    for (const { row, note } of figures) if (note !== undefined) say(`    ${row}: ${note}`);
    return figures;
  } catch (error) {
    process.exitCode = 1;
    say(`  ${name}: failed: ${error instanceof Error ? (error.stack ?? error.message) : error}`);
    return [];
  } finally {
    await stopAll();
    removeFolders();
  }
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: 'string' },
    long: { type: 'boolean', default: false },
    profile: { type: 'string' },
  },
});
const names = positionals.length > 0 ? positionals : Object.keys(ROWS);
const unknown = names.find((name) => !Object.hasOwn(ROWS, name));
if (unknown !== undefined) {
  say(`no row ${unknown}; there are: ${Object.keys(ROWS).join(', ')}`);
  process.exit(2);
}

if (values.profile !== undefined) profileInto(values.profile);
const about = machine();
const packages = Object.entries(about.packages).map(([name, version]) => `${name} ${version}`);
say(
  `${about.cpu}, ${about.cores} cores, Node ${about.node}, OpenSSL ${about.openssl}, ${packages.join(', ')}`,
);
const figures: Figure[] = [];
for (const name of names) figures.push(...(await runRow(name, values.long)));
say(`\n${table(figures)}`);
if (values.json !== undefined) {
  const results = figures.map((figure) => ({ ...figure, verdict: verdict(figure) }));
  writeFileSync(values.json, `${JSON.stringify({ machine: about, figures: results }, undefined, 2)}\n`);
}
