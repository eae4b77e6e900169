/** The control socket: who may speak to it, what it answers, and what it does with those who misbehave. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { sleep, systemClock, VirtualClock } from '../../../../shared/run/clock.js';
import { ConfigError } from '../../../../shared/run/config.js';
import {
  type ControlCommand,
  ControlRefusal,
  controlPath,
  lateCommand,
  startControl,
} from '../../../../shared/run/control.js';
import { askControl, type ControlLine } from '../../../../shared/run/control-client.js';
import { silentLog } from '../../../../shared/run/log.js';
import { UsageError } from '../../../../shared/run/usage-error.js';

const folder = mkdtempSync(join(tmpdir(), 'porchlight-control-'));
const path = join(folder, 'control.sock');
const clock = new VirtualClock();
let aborted: AbortSignal | undefined;

const commands: Record<string, ControlCommand> = {
  count: async ({ to }, say) => {
    for (let n = 1; n <= Number(to); n++) say({ n });
  },
  refuse: async () => {
    throw new ControlRefusal('not now');
  },
  fail: async () => {
    throw new Error('with a secret in it');
  },
  wait: async (_, say, gone) => {
    aborted = gone;
    say({ waiting: true });
    await once(gone, 'abort');
  },
};
const start = (at = path) => startControl({ path: at, commands, clock, log: silentLog });

async function ask(request: object): Promise<ControlLine[]> {
  const lines: ControlLine[] = [];
  for await (const line of askControl(path, request)) lines.push(line);
  return lines;
}

/** What comes back for these bytes, until the connection ends. */
async function raw(text: string): Promise<string> {
  const socket = connect(path);
  let answer = '';
  socket.setEncoding('utf8').on('data', (chunk: string) => {
    answer += chunk;
  });
  socket.write(text);
  await once(socket, 'close');
  return answer;
}

after(() => rmSync(folder, { recursive: true }));

describe('the control socket', () => {
  let control: Awaited<ReturnType<typeof start>>;
  before(async () => {
    control = await start();
  });
  after(() => control.close());

  test('only its owner may open it', () => assert.equal(statSync(path).mode & 0o777, 0o600));

  test('answers line by line', async () => {
    assert.deepEqual(await ask({ do: 'count', to: 3 }), [{ n: 1 }, { n: 2 }, { n: 3 }]);
    assert.equal(await raw('{"do":"count","to":1}\n'), '{"n":1}\n{"done":true}\n');
  });

  test('says why it refuses, and nothing of what failed', async () => {
    await assert.rejects(ask({ do: 'refuse' }), new UsageError(`${path}: not now`));
    await assert.rejects(ask({ do: 'fail' }), new UsageError(`${path}: failed`));
  });

  test('refuses what is no request', async () => {
    for (const text of ['{"do":"toString"}', '{"do":7}', '[]', 'null', 'nonsense', '', 'x'.repeat(5_000)])
      assert.equal(await raw(`${text}\n`), '{"error":"unknown request"}\n', text.slice(0, 20));
  });

  test('a connection without a request is closed', async () => {
    const socket = connect(path);
    await once(socket, 'connect');
    await ask({ do: 'count', to: 0 }); // so that the service has seen the first
    const closed = once(socket, 'close');
    socket.resume();
    await clock.advance(10_000);
    await closed;
  });

  test('a command hears that nobody listens any more', async () => {
    for await (const line of askControl(path, { do: 'wait' })) {
      assert.deepEqual(line, { waiting: true });
      break;
    }
    if (!aborted!.aborted) await once(aborted!, 'abort');
  });

  test('a second process is refused', async () => {
    await assert.rejects(
      start(),
      new ConfigError(['control.socket: another process listens there; is the service running already?']),
    );
  });
});

test('lent to another process and taken back, as soon as that one is gone', async () => {
  const control = await start();
  control.release();
  const other = await start();
  await assert.rejects(control.reopen(), ConfigError);
  await other.close();
  await control.reopen();
  await control.reopen();
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.deepEqual(await ask({ do: 'count', to: 1 }), [{ n: 1 }]);
  await control.close();
  assert.ok(!existsSync(path));
});

test('nothing is answered while requests are held', async () => {
  let release = (): void => {};
  const holding = new Promise<void>((resolve) => {
    release = resolve;
  });
  const control = await startControl({ path, commands, clock, log: silentLog, held: () => holding });
  let isAnswered = false;
  const answered = ask({ do: 'count', to: 1 }).then(() => {
    isAnswered = true;
  });
  await sleep(systemClock, 50);
  assert.equal(isAnswered, false);
  release();
  await answered;
  await control.close();
});

test('a command that can not be loaded says that the files were changed', async () => {
  let isThere = false;
  const late = lateCommand(async () => {
    if (!isThere) throw new Error('ERR_MODULE_NOT_FOUND of a path that nobody should see');
    return commands.count!;
  });
  const control = await startControl({ path, commands: { late }, clock, log: silentLog });
  await assert.rejects(ask({ do: 'late', to: 1 }), /files of the program were changed since it started/);
  isThere = true;
  assert.deepEqual(await ask({ do: 'late', to: 1 }), [{ n: 1 }]);
  await control.close();
});

test('what a killed process left is replaced, and a clean end leaves nothing', async () => {
  const { spawnSync } = await import('node:child_process');
  const script = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
  spawnSync(process.execPath, ['-e', script]);
  assert.ok(existsSync(path));
  const control = await start();
  assert.deepEqual(await ask({ do: 'count', to: 1 }), [{ n: 1 }]);
  await control.close();
  assert.ok(!existsSync(path));
  await assert.rejects(ask({ do: 'count' }), /no service listens there/);
});

test('paths: beside the identity key unless configured; what can not be made is a problem of the configuration', async () => {
  assert.equal(controlPath({ control: {}, identity_key: '/a/identity.key' }), '/a/control.sock');
  assert.equal(controlPath({ control: { socket: '/run/x' }, identity_key: '/a/identity.key' }), '/run/x');
  await assert.rejects(start(join(folder, 'x'.repeat(104))), ConfigError);
  await assert.rejects(start(join(folder, 'missing', 'control.sock')), /ENOENT|EACCES/);
});
