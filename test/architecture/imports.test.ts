/** The rules on who may import whom: the privacy split as something that fails when it is broken (design §1). */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, test } from 'node:test';
import { root } from '../support/paths.js';

const IMPORT =
  /(?:^|\n)\s*(?:import|export)\s(?:[^'"]*?\sfrom\s)?\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]/g;
const TYPE_ONLY = /^\s*(?:import|export)\s+type\s/;

interface Import {
  readonly from: string;
  readonly to: string;
  readonly typeOnly: boolean;
}

function importsOf(file: string): Import[] {
  const text = readFileSync(join(root, file), 'utf8');
  return [...text.matchAll(IMPORT)].map((match) => {
    const target = (match[1] ?? match[2])!;
    const to = target.startsWith('.')
      ? normalize(join(dirname(file), target)).replace(/\.js$/, '.ts')
      : target;
    return { from: file, to, typeOnly: TYPE_ONLY.test(match[0]) };
  });
}

const files = ['services', 'shared'].flatMap((top) =>
  readdirSync(join(root, top), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => `${top}/${name.replaceAll('\\', '/')}`),
);
const imports = files.flatMap(importsOf);

/** Imports from files under `from` that lead to something for which `wrong` holds. */
function offences(from: RegExp, wrong: (i: Import) => boolean): string[] {
  return imports.filter((i) => from.test(i.from) && wrong(i)).map((i) => `${i.from} → ${i.to}`);
}

describe('import boundaries', () => {
  test('there is something to check', () => assert.ok(files.length > 30 && imports.length > 100));

  test('the gateway imports no messaging protocol', () => {
    assert.deepEqual(
      offences(/^services\/gateway\//, (i) => /^shared\/(smp|ntf|sdk|push)\//.test(i.to)),
      [],
    );
  });

  test('gateway and subscriber never import each other; they meet in the relay contract', () => {
    assert.deepEqual(
      offences(/^services\/gateway\//, (i) => /^services\/(?!gateway\/)/.test(i.to)),
      [],
    );
    assert.deepEqual(
      offences(/^services\/subscriber\//, (i) => /^services\/(?!subscriber\/)/.test(i.to)),
      [],
    );
  });

  test('the subscriber knows nothing of APNs', () => {
    assert.deepEqual(
      offences(/^services\/subscriber\//, (i) => /apns|http2/.test(i.to)),
      [],
    );
  });

  test('shared code imports no service', () => {
    assert.deepEqual(
      offences(/^shared\//, (i) => i.to.startsWith('services/')),
      [],
    );
  });

  test('protocols are pure: no Node module, no clock, no sockets, no native code', () => {
    const pure = /^shared\/(encoding|smp|ntf|relay|memory|push)\//;
    // zod only judges values.
    assert.deepEqual(
      offences(pure, (i) => !i.to.startsWith('shared/') && i.to !== 'zod'),
      [],
    );
    assert.deepEqual(
      offences(pure, (i) => i.to.startsWith('shared/run/') && !i.typeOnly),
      [],
    );
  });

  test('the SDK runs in any runtime: Node modules only under sdk/node', () => {
    const sdk = /^shared\/sdk\/(?!node\/)/;
    assert.deepEqual(
      offences(sdk, (i) => !i.to.startsWith('shared/') && i.to !== 'tweetnacl'),
      [],
    );
    assert.deepEqual(
      offences(sdk, (i) => /^shared\/crypto\/(native|wasm|load|signatures|x509)/.test(i.to)),
      [],
    );
  });

  test('protocol arrows point one way: encoding ← crypto ← smp, relay ← ntf ← sdk', () => {
    assert.deepEqual(
      offences(
        /^shared\/encoding\//,
        (i) => i.to.startsWith('shared/') && !i.to.startsWith('shared/encoding/'),
      ),
      [],
    );
    assert.deepEqual(
      offences(/^shared\/crypto\//, (i) => /^shared\/(smp|ntf|relay|push|sdk)\//.test(i.to)),
      [],
    );
    assert.deepEqual(
      offences(/^shared\/smp\//, (i) => /^shared\/(ntf|relay|sdk)\//.test(i.to)),
      [],
    );
    assert.deepEqual(
      offences(/^shared\/ntf\//, (i) => /^shared\/(relay|sdk)\//.test(i.to)),
      [],
    );
    assert.deepEqual(
      offences(/^shared\/relay\//, (i) => /^shared\/(smp|ntf|sdk)\//.test(i.to)),
      [],
    );
  });

  test('inside the subscriber, edges do not import each other and the middle imports no edge', () => {
    const edge = (path: string) => /^services\/subscriber\/(sources|clients|outbound)\//.exec(path)?.[1];
    assert.deepEqual(
      offences(/^services\/subscriber\//, (i) => {
        const [from, to] = [edge(i.from), edge(i.to)];
        return from !== undefined && to !== undefined && from !== to && !i.typeOnly;
      }),
      [],
    );
    const middle = /^services\/subscriber\/(registry|wake)\//;
    assert.deepEqual(
      offences(
        middle,
        (i) => edge(i.to) !== undefined && !i.typeOnly && !/gateway-link|source\.ts$/.test(i.to),
      ),
      [],
    );
    assert.deepEqual(
      offences(middle, (i) => i.to.startsWith('node:')),
      [],
    );
  });

  test('a source imports only the source interface, shared code and its own folder', () => {
    assert.deepEqual(
      offences(
        /^services\/subscriber\/sources\/smp\//,
        (i) => i.to.startsWith('services/') && !/sources\/(smp\/|source\.ts)/.test(i.to),
      ),
      [],
    );
  });

  test('time passes in one place only', () => {
    const clocks = /\b(Date\.now|setTimeout|setInterval)\b/;
    const users = files.filter((file) => clocks.test(stripComments(readFileSync(join(root, file), 'utf8'))));
    assert.deepEqual(users, ['shared/run/clock.ts', 'shared/run/shutdown.ts']);
  });

  test('no cycles', () => {
    const edges = new Map<string, string[]>();
    for (const i of imports) if (!i.typeOnly) edges.set(i.from, [...(edges.get(i.from) ?? []), i.to]);
    const done = new Set<string>();
    const visit = (file: string, path: readonly string[]): void => {
      assert.ok(!path.includes(file), [...path, file].join(' → '));
      if (done.has(file)) return;
      for (const next of edges.get(file) ?? []) visit(next, [...path, file]);
      done.add(file);
    };
    for (const file of files) visit(file, []);
  });
});

function stripComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '');
}
