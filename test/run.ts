/**
 * Runs the compiled tests with node:test, the same on every supported Node (older ones know no globs).
 * `node dist/test/run.js` runs everything that needs only npm; `… system` runs test/system, which needs real parts;
 * `… PATH` runs the files whose path contains PATH.
 */

import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { fileURLToPath } from 'node:url';

const root = dirname(fileURLToPath(import.meta.url));
const wanted = process.argv[2];
const isSystem = (file: string): boolean => relative(root, file).startsWith('system');

const files = readdirSync(root, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.test.js'))
  .map((name) => join(root, name))
  .filter((file) => (wanted === 'system' ? isSystem(file) : !isSystem(file)))
  .filter((file) => wanted === undefined || wanted === 'system' || file.includes(wanted))
  .sort();

if (files.length === 0) {
  process.stderr.write('no test files match\n');
  process.exit(1);
}

const stream = run({ files, concurrency: Math.max(1, availableParallelism()), timeout: 180_000 });
stream.on('test:fail', () => {
  process.exitCode = 1;
});
stream.compose(new spec()).pipe(process.stdout);
