import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { inspect } from 'node:util';
import { Backoff } from '../../../../shared/run/backoff.js';
import { VirtualClock } from '../../../../shared/run/clock.js';
import { readSecretFile, SecretFileError, writeSecretFile } from '../../../../shared/run/files.js';
import { formatListen, parseListen } from '../../../../shared/run/listen.js';
import { createLog, type LogFields } from '../../../../shared/run/log.js';
import { Metrics } from '../../../../shared/run/metrics.js';
import { startObserving } from '../../../../shared/run/observe.js';
import { Secret } from '../../../../shared/run/secret.js';

const folder = mkdtempSync(join(tmpdir(), 'porchlight-run-'));
after(() => rmSync(folder, { recursive: true }));

test('a secret prints as its tag in every way that things get printed', () => {
  const secret = new Secret('capability', Uint8Array.of(0x41, 0x42, 0x43));
  const shown = [
    `${secret}`,
    JSON.stringify({ secret }),
    inspect(secret),
    inspect({ deep: [secret] }, { depth: 9 }),
    String(secret),
  ];
  for (const text of shown) {
    assert.match(text, /\[capability\]/);
    assert.doesNotMatch(text, /65|ABC|41/);
  }
  secret.wipe();
  assert.deepEqual([...secret.bytes], [0, 0, 0]);
});

test('a log line carries allowed fields only', () => {
  const lines: string[] = [];
  const log = createLog({
    service: 'test',
    level: 'info',
    json: true,
    sink: { write: (line) => void lines.push(line) },
  });
  log.debug('unseen');
  log.info('started', {
    port: 5,
    token: 'hunter2',
    code: 'x',
    reason: { secret: 'hunter2' },
  } as unknown as LogFields);
  assert.equal(lines.length, 1);
  const { time, level, ...rest } = JSON.parse(lines[0]!);
  assert.deepEqual(rest, { service: 'test', port: 5, code: 'x', msg: 'started' });
});

test('text for people is one short line each, from the level that was asked for', () => {
  const lines: string[] = [];
  const sink = { write: (line: string) => void lines.push(line) };
  const log = createLog({ service: 'test', level: 'warn', json: false, sink });
  log.debug('unseen');
  log.info('unseen');
  log.warn('odd', { file: `a\nERROR forged\u001b[31m${'x'.repeat(1_000)}`, count: 2 });
  log.error('broken', { name: 'größer – ok' });
  assert.equal(lines.length, 2);
  assert.match(
    lines[0]!,
    /^\d{4}-\d\d-\d\dT[\d:.]+Z WARN {2}test: odd file=a\?ERROR forged\?\[31mx+ count=2\n$/,
  );
  assert.ok(lines[0]!.length < 400);
  assert.match(lines[1]!, / ERROR test: broken name=größer – ok\n$/);
});

test('virtual time runs timers in order, lets promises settle, and the wall clock may jump', async () => {
  const clock = new VirtualClock(1_000);
  const seen: string[] = [];
  clock.after(20, () => seen.push(`b${clock.now()}`));
  clock.after(10, async () => {
    seen.push(`a${clock.now()}`);
    await Promise.resolve();
    clock.after(5, () => seen.push(`c${clock.monotonic()}`));
  });
  clock.after(15, () => seen.push('never')).cancel();
  await clock.advance(30);
  assert.deepEqual(seen, ['a1010', 'c15', 'b1020']);
  clock.jump(-500);
  assert.deepEqual([clock.now(), clock.monotonic(), clock.pending], [530, 30, 0]);
});

test('secret files are written whole with mode 0600 and refused when others may read them', () => {
  const path = join(folder, 'state', 'key');
  writeSecretFile(path, 'one');
  writeSecretFile(path, 'two');
  assert.equal(readSecretFile(path).toString(), 'two');
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.deepEqual(readdirSync(join(folder, 'state')), ['key']);
  chmodSync(path, 0o640);
  assert.throws(
    () => readSecretFile(path),
    (e) => e instanceof SecretFileError && /mode 640 .*chmod 600/.test(e.message),
  );
  assert.throws(() => readSecretFile(join(folder, 'none')), /no such file/);
});

test('a secret file that can not be written leaves no draft behind', () => {
  const path = join(folder, 'taken', 'key');
  mkdirSync(join(path, 'in the way'), { recursive: true });
  assert.throws(() => writeSecretFile(path, 'secret'));
  assert.deepEqual(readdirSync(join(folder, 'taken')), ['key']);
});

test('back-off doubles to its bound, within half of it, and starts again after a success', () => {
  const backoff = new Backoff({ minMs: 1_000, maxMs: 60_000, random: () => 0 });
  assert.deepEqual(
    Array.from({ length: 8 }, () => backoff.next()),
    [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000],
  );
  assert.equal(backoff.isFresh, false);
  backoff.reset();
  assert.equal(backoff.isFresh, true);
  assert.equal(backoff.next(), 500);
});

test('back-off that grows slowly', () => {
  const backoff = new Backoff({ minMs: 1_000, maxMs: 60_000, growth: 1.5, random: () => 0 });
  assert.deepEqual(
    Array.from({ length: 4 }, () => backoff.next()),
    [500, 750, 1_125, 1_687.5],
  );
  for (let n = 0; n < 5_000; n++) backoff.next();
  assert.equal(backoff.next(), 30_000);
});

test('listen addresses', () => {
  for (const text of ['127.0.0.1:0', '[::1]:443', 'localhost:65535'])
    assert.equal(formatListen(parseListen(text)!), text);
  for (const text of ['::1:443', 'host', 'host:65536', ':1', 'a b:1', 'host:-1'])
    assert.equal(parseListen(text), undefined);
});

test('metrics and readiness are served on the second listener', async () => {
  const metrics = new Metrics('porchlight_test_');
  const { pushes, held, wait } = metrics.add({
    pushes: { kind: 'counter', help: 'Pushes.', labels: { outcome: ['accepted', 'later'] } },
    held: { kind: 'gauge', help: 'Held.' },
    wait: { kind: 'histogram', help: 'Wait.', buckets: [0.1, 1] },
  });
  pushes.inc({ outcome: 'later' }, 2);
  held.set(7);
  wait.observe(0.5);
  let reason: string | undefined = 'gateway not reached';
  const observing = await startObserving({
    listen: { host: '127.0.0.1', port: 0 },
    metrics,
    notReady: () => reason,
  });
  const get = async (path: string) => {
    const response = await fetch(`http://127.0.0.1:${observing.port}${path}`);
    return [response.status, await response.text()] as const;
  };
  assert.deepEqual(await get('/healthz'), [200, 'ok\n']);
  assert.deepEqual(await get('/readyz'), [503, 'gateway not reached\n']);
  reason = undefined;
  assert.deepEqual(await get('/readyz'), [200, 'ready\n']);
  const [, text] = await get('/metrics');
  assert.match(text, /porchlight_test_pushes\{outcome="later"\} 2/);
  assert.match(text, /porchlight_test_held 7/);
  assert.match(text, /porchlight_test_wait_bucket\{le="1"\} 1/);
  await observing.close();
});
