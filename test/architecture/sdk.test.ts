/** The SDK must load where there is no Node: what it needs, followed to the end, contains no Node module. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const FROM = /^(?:import|export)\s(?:[^'";]*\sfrom\s)?['"]([^'"]+)['"]/gm;
const compiled = join(dirname(fileURLToPath(import.meta.url)), '../..');

/** Modules outside this project that a compiled file loads, directly or not; files that were read. */
function reach(entry: string): { readonly packages: Set<string>; readonly files: Set<string> } {
  const packages = new Set<string>();
  const files = new Set<string>();
  const visit = (file: string): void => {
    if (files.has(file)) return;
    files.add(file);
    for (const [, target] of readFileSync(file, 'utf8').matchAll(FROM)) {
      if (target!.startsWith('.')) visit(normalize(join(dirname(file), target!)));
      else packages.add(target!);
    }
  };
  visit(join(compiled, entry));
  return { packages, files: new Set([...files].map((file) => relative(compiled, file))) };
}

test('the SDK needs tweetnacl and nothing else', () => {
  const { packages, files } = reach('shared/sdk/client.js');
  assert.deepEqual([...packages], ['tweetnacl']);
  assert.deepEqual([...reach('shared/sdk/owner.js').packages], ['tweetnacl']);
  assert.ok(files.has('shared/ntf/commands.js') && files.size > 15);
});
