/** The pages of this repository say what is there: links, paths, commands, configuration, codes, alerts. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { parse } from 'smol-toml';
import type { z } from 'zod';
import { program } from '../../../services/cli/program.js';
import { gatewayConfigSchema } from '../../../services/gateway/config.js';
import { subscriberConfigSchema } from '../../../services/subscriber/config.js';
import { OUTCOMES } from '../../../shared/relay/batch.js';
import { PROBLEMS } from '../../../shared/relay/problem.js';
import { ConfigError, loadConfig } from '../../../shared/run/config.js';
import { callsOn, problemOf } from '../../support/command-lines.js';
import { anchors, fences, inlineCode, links, type Page, pages, rows } from '../../support/markdown.js';
import { unknownIn } from '../../support/metric-tables.js';
import { root } from '../../support/paths.js';

const all = pages();
const guides = all.filter(({ path }) => path.startsWith('deploy/'));
const page = (path: string): Page => all.find((each) => each.path === path)!;
const found = (problems: (page: Page) => Iterable<string>, among = all): string[] =>
  among.flatMap((each) => [...problems(each)].map((problem) => `${each.path}: ${problem}`));

const SCHEMAS = { gateway: gatewayConfigSchema, subscriber: subscriberConfigSchema };

describe('links and paths', () => {
  test('every relative link leads to a file, and to a heading in it', () => {
    assert.ok(all.length > 12 && guides.length > 6);
    const broken = found(function* ({ path, text }) {
      for (const link of links(text).filter((target) => !/^[a-z]+:/.test(target))) {
        const [file = '', anchor] = link.split('#');
        const target = file === '' ? path : join(dirname(path), file);
        if (!existsSync(join(root, target))) yield link;
        else if (anchor && !anchors(page(target).text).includes(anchor)) yield link;
      }
    });
    assert.deepEqual(broken, []);
  });

  test('every file of ours that a guide names is there', () => {
    const missing = found(function* ({ text }) {
      for (const code of inlineCode(text)) {
        const path = /^(?:test|shared|services|deploy)\/[\w./*-]+$/.exec(code)?.[0];
        if (path !== undefined && !isThere(path)) yield code;
      }
    });
    assert.deepEqual(missing, []);
  });
});

describe('commands', () => {
  test('every command line is known to the executable', () => {
    assert.ok(guides.flatMap(callsOn).length > 30);
    const unknown = found(function* (each) {
      for (const call of callsOn(each)) {
        const problem = problemOf(program, call);
        if (problem !== undefined) yield problem;
      }
    });
    assert.deepEqual(unknown, []);
  });

  test('a command, option or argument that is none is found', () => {
    assert.equal(problemOf(program, 'doctor gateway --config x --host y'), undefined);
    assert.match(problemOf(program, 'doctor gateway --server x')!, /no option --server/);
    assert.match(problemOf(program, 'nothing')!, /no place for nothing/);
    assert.match(problemOf(program, 'pair sub')!, /no place for sub/);
  });
});

describe('configuration', () => {
  /** Snippets are parts: what is not in them is not missed. */
  const problems = (schema: z.ZodType, snippet: string): string[] => {
    const table: unknown = parse(snippet.replaceAll('FINGERPRINT', 'A'.repeat(43)));
    const at = (path: readonly PropertyKey[]) =>
      path.reduce<unknown>((value, key) => (value as Record<PropertyKey, unknown> | undefined)?.[key], table);
    return (schema.safeParse(table).error?.issues ?? [])
      .filter(({ code, path }) => code === 'unrecognized_keys' || at(path) !== undefined)
      .map(({ path, message }) => `${path.join('.')}: ${message}`);
  };

  for (const [name, schema] of Object.entries(SCHEMAS)) {
    test(`every snippet in the guide to a ${name} is one of its configuration`, () => {
      const snippets = fences(page(`deploy/guides/${name}.md`).text).filter((f) => f.language === 'toml');
      assert.ok(snippets.length >= 2);
      for (const { text } of snippets) assert.deepEqual(problems(schema, text), [], text);
    });
  }

  test('every key and variable that a guide names exists', () => {
    const schemas = Object.values(SCHEMAS);
    const unknown = found(function* ({ text }) {
      for (const code of inlineCode(text)) {
        const key = /^([a-z_]+)(?:\[\])?(?:\.(?:[a-z_]+|\*))+$/.exec(code);
        if (
          key !== null &&
          !/\.(?:crt|key|pem|p8|toml)$/.test(code) &&
          !schemas.some((s) => knows(s, code))
        ) {
          if (schemas.some((schema) => knows(schema, key[1]!))) yield code;
        }
      }
      for (const [name, service] of text.matchAll(/PORCHLIGHT_(GATEWAY|SUBSCRIBER)_[A-Z0-9_]*[A-Z0-9]/g)) {
        if (isUnknown(name, service!.toLowerCase() as keyof typeof SCHEMAS)) yield name;
      }
    }, guides);
    assert.deepEqual(unknown, []);
    assert.ok(isUnknown('PORCHLIGHT_GATEWAY_LISTENS', 'gateway'));
    assert.ok(knows(gatewayConfigSchema, 'limits.devices') && !knows(gatewayConfigSchema, 'limits.device'));
  });
});

describe('errors.md', () => {
  const { text } = page('deploy/guides/errors.md');
  const words = (cell: string): string[] => [...cell.matchAll(/`([^`]+)`/g)].map((match) => match[1]!);

  test('lists every problem of the relay contract with its status, and no other', () => {
    const listed = rows(text, "## The gateway's endpoints").slice(1);
    assert.deepEqual(
      listed.map(([status, code]) => [words(code!)[0], Number(status)]).sort(),
      Object.entries(PROBLEMS)
        .map(([code, { status }]) => [code, status])
        .sort(),
    );
  });

  test('lists every outcome with its reasons, and no other', () => {
    const listed = new Map<string, string[]>();
    let outcome = '';
    for (const [first, reasons] of rows(text, '## Outcomes of pushes').slice(1)) {
      outcome = words(first!)[0] ?? outcome;
      listed.set(outcome, [...(listed.get(outcome) ?? []), ...words(reasons!)]);
    }
    const known = Object.entries(OUTCOMES).map(([kind, reasons]) => [
      kind,
      reasons.filter((r) => r !== 'none'),
    ]);
    assert.deepEqual([...listed], known);
  });
});

describe('alerts and metrics', () => {
  const rules = readFileSync(join(root, 'deploy/prometheus/porchlight.rules.yml'), 'utf8');
  const alerts = [...rules.matchAll(/alert: (\w+)/g)].map((match) => match[1]!);

  test("the gateway's guide explains every alert; no guide names another", () => {
    const named = (text: string) => [...text.matchAll(/`(Porchlight[A-Z]\w+)`/g)].map((match) => match[1]!);
    assert.deepEqual([...new Set(named(page('deploy/guides/gateway.md').text))].sort(), [...alerts].sort());
    const swift = readdirSync(join(root, 'deploy/guides/ios')).map((file) => basename(file, '.swift'));
    const known = [...alerts, ...swift, 'PorchlightPhone'];
    const unknown = found(({ text }) => named(text).filter((name) => !known.includes(name)), guides);
    assert.deepEqual(unknown, []);
  });

  test('every metric that a guide names in full exists', () => {
    const unknown = found(
      function* ({ text }) {
        for (const code of inlineCode(text)) {
          if (/^porchlight_[a-z_]+$/.test(code) && !/_bucket$/.test(code)) yield* unknownIn(code);
        }
      },
      guides.filter(({ path }) => !path.endsWith('metrics.md')),
    );
    assert.deepEqual(unknown, []);
  });
});

/** `*` stands for the rest of a name. */
function isThere(path: string): boolean {
  if (!path.includes('*')) return existsSync(join(root, path));
  const folder = join(root, dirname(path));
  const start = basename(path).split('*')[0]!;
  return existsSync(folder) && readdirSync(folder).some((name) => name.startsWith(start));
}

/** Whether a path such as `listeners[].topic` or `limits.*` leads to a key of the schema. */
function knows(schema: z.ZodType, path: string): boolean {
  let here: z.ZodType | undefined = schema;
  for (const step of path.replaceAll('[]', '').split('.')) {
    if (step === '*') return true;
    here = below(here, step);
    if (here === undefined) return false;
  }
  return true;
}

/** Looks through lists, optional, default and transformed schemas. */
function below(schema: z.ZodType, step: string): z.ZodType | undefined {
  const def = schema.def as unknown as Record<'innerType' | 'in' | 'element', z.ZodType | undefined> & {
    readonly shape?: Readonly<Record<string, z.ZodType>>;
  };
  const inner = def.innerType ?? def.in ?? def.element;
  return inner === undefined ? def.shape?.[step] : below(inner, step);
}

function isUnknown(variable: string, service: keyof typeof SCHEMAS): boolean {
  try {
    loadConfig(SCHEMAS[service], {
      env: { [variable]: '1' },
      prefix: `PORCHLIGHT_${service.toUpperCase()}_`,
    });
    return false;
  } catch (error) {
    return error instanceof ConfigError && error.problems.some((p) => p.startsWith(`${variable}: unknown`));
  }
}
