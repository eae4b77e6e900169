/** `trace` on the real control socket, and the command that asks there: one queue's way, and nothing of anybody. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { MAX_WATCHES } from '../../services/subscriber/wake/milestones.js';
import { toBase64url } from '../../shared/encoding/base64url.js';
import { toHex } from '../../shared/encoding/bytes.js';
import { askControl, type ControlLine } from '../../shared/run/control-client.js';
import { formatQueue, formatServer } from '../../shared/smp/address.js';
import { EXECUTABLE } from '../support/cli.js';
import { eventually } from '../support/world/eventually.js';
import { TestPhone } from '../support/world/phone.js';
import { startWorld, type World } from '../support/world/world.js';

const WHOLE_WAY = ['received', 'queued', 'sealed', 'sent', 'accepted'];
const TRACE_MS = 5 * 60_000;

let world: World;
let phone: TestPhone;
before(async () => {
  world = await startWorld();
  phone = new TestPhone(world);
  await phone.register();
  for (const name of ['friend', 'family']) await phone.follow(name);
});
after(() => world.close());

const socketPath = () => join(world.subscriberFolder, 'control.sock');

function addressOf(name: string): { server: string; notifier: string } {
  const { queue } = phone.credentials(name);
  return { server: formatServer(queue.server), notifier: toBase64url(queue.notifierId) };
}

/** A trace that is going on, and all that was said since. */
class Trace {
  readonly said: ControlLine[] = [];
  ended = false;
  private readonly lines: AsyncGenerator<ControlLine>;

  private constructor(lines: AsyncGenerator<ControlLine>) {
    this.lines = lines;
  }

  static async of(name: string): Promise<Trace> {
    const trace = new Trace(askControl(socketPath(), { do: 'trace', ...addressOf(name) }));
    assert.deepEqual((await trace.lines.next()).value, { following: true });
    void trace.read();
    return trace;
  }

  get milestones(): unknown[] {
    return this.said.map(({ milestone }) => milestone);
  }

  private async read(): Promise<void> {
    for await (const line of this.lines) this.said.push(line);
    this.ended = true;
  }
}

const refusal = (request: object): Promise<string> =>
  askControl(socketPath(), request)
    .next()
    .then(
      () => assert.fail('no refusal'),
      (error: Error) => error.message.replace(`${socketPath()}: `, ''),
    );

/** What any of this must not show. */
function secrets(): string[] {
  return ['friend', 'family'].flatMap((name) => {
    const { queue } = phone.credentials(name);
    const { hosts, port, keyHash } = queue.server;
    const ids = [queue.notifierId, keyHash, phone.sdk.save().device!.registered!.tokenId];
    return [
      ...ids.flatMap((id) => [toHex(id), toBase64url(id), toBase64url(id).replace(/=+$/, '')]),
      ...hosts.map((host) => `${host}:${port}`),
    ];
  });
}

describe('trace', () => {
  test('every milestone of its queue in order, with times, no other queue’s, for five minutes', async () => {
    const trace = await Trace.of('friend');
    await phone.wakesUp('family');
    await phone.wakesUp('friend');
    await eventually('all milestones', () => trace.milestones.length >= WHOLE_WAY.length);
    assert.deepEqual(trace.milestones, WHOLE_WAY);
    const times = trace.said.map(({ ms }) => ms as number);
    assert.deepEqual(
      times,
      times.toSorted((a, b) => a - b),
    );
    for (const line of trace.said) assert.deepEqual(Object.keys(line), ['ms', 'milestone']);

    world.clock.leap(TRACE_MS - 30_000);
    await phone.wakesUp('friend');
    await eventually('twice', () => trace.milestones.length === 2 * WHOLE_WAY.length);
    assert.equal(trace.ended, false);
    world.clock.leap(30_000);
    await eventually('the end', () => trace.ended);
  });

  test('one that is closed ends, and gives its place to another', async () => {
    const held = await Trace.of('friend');
    assert.equal(await refusal({ do: 'trace', ...addressOf('friend') }), 'followed already, or too many are');
    world.clock.leap(TRACE_MS);
    await eventually('the end', () => held.ended);
    for (let n = 0; n < 2 * MAX_WATCHES; n++) {
      await eventually(`place ${n}`, async () => {
        const lines = askControl(socketPath(), { do: 'trace', ...addressOf('friend') });
        const isFollowing = await lines.next().then(
          () => true,
          () => false,
        );
        await lines.return(undefined); // closes the socket
        return isFollowing;
      });
    }
  });

  test('why it stopped, where the gateway is away', async () => {
    const trace = await Trace.of('friend');
    await world.gateway.close();
    await phone.receive('friend');
    await eventually('a stop', () => trace.milestones.includes('stopped'));
    const reasons = trace.said.flatMap(({ reason }) => (reason === undefined ? [] : [reason]));
    for (const reason of reasons) assert.match(String(reason), /^[a-z-]+$/);
    await world.startGateway();
    world.clock.leap(TRACE_MS);
    await eventually('the end', () => trace.ended);
  });

  test('wrong requests get a closed word', async () => {
    const friend = addressOf('friend');
    const strange = toBase64url(new Uint8Array(24));
    assert.equal(await refusal({ do: 'trace', ...friend, notifier: strange }), 'no such queue');
    const elsewhere = friend.server.replace(/:\d+$/, ':1');
    assert.equal(await refusal({ do: 'trace', ...friend, server: elsewhere }), 'no such queue');
    for (const change of [
      { server: undefined },
      { server: 'smp://x' },
      { server: friend.server.replace('smp:', 'ntf:') },
      { server: 'a'.repeat(3_000) },
      { notifier: '' },
      { notifier: 7 },
      { notifier: 'AAAA' },
    ]) {
      assert.equal(await refusal({ do: 'trace', ...friend, ...change }), 'expected server and notifier');
    }
    for (const request of [{}, { do: 'Trace' }, { do: 'constructor' }, { do: ['trace'] }, [1]]) {
      assert.equal(await refusal(request), 'unknown request');
    }
    assert.deepEqual(await raw('no json\n'), ['{"error":"unknown request"}']);
    assert.deepEqual(await raw(`${'{'.repeat(10_000)}`), ['{"error":"unknown request"}']);
  });

  test('no answer and no log line names a queue, a server or a device, or says that anybody asked', async () => {
    const answers = [
      await refusal({ do: 'trace', ...addressOf('friend'), notifier: 'AAAA' }),
      ...(await raw(`${JSON.stringify({ do: 'trace', ...addressOf('friend'), server: 'smp://x@y' })}\n`)),
    ];
    const text = [...answers, ...world.logLines].join('\n');
    assert.ok(world.logLines.length > 0);
    for (const secret of secrets()) assert.ok(!text.includes(secret));
    assert.doesNotMatch(text, /trace|control request/);
  });
});

/** The lines that come back for these bytes. */
function raw(text: string): Promise<string[]> {
  return new Promise((resolve) => {
    let answer = '';
    const socket = connect(socketPath());
    socket.setEncoding('utf8').on('data', (chunk) => {
      answer += chunk;
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(answer.trimEnd().split('\n')));
    socket.write(text);
  });
}

describe('porchlight trace', () => {
  /** The command with this on its standard input. */
  function run(input: string): { child: ChildProcess; out: () => string; code: Promise<number | null> } {
    const file = join(world.subscriberFolder, 'subscriber.toml');
    const child = spawn(process.execPath, [EXECUTABLE, 'trace', '--config', file], { stdio: 'pipe' });
    let text = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
    }
    child.stdin.on('error', () => {});
    child.stdin.write(input);
    const code = new Promise<number | null>((resolve) => child.once('close', resolve));
    return { child, out: () => text, code };
  }

  test('reads the queue from standard input and prints its milestones', async () => {
    const { out, code } = run(`${formatQueue(phone.credentials('friend').queue)}\n`);
    await eventually('following', () => out().startsWith('following for five minutes\n'));
    await phone.wakesUp('friend');
    await eventually('accepted', () => out().includes('accepted'));
    const lines = out().trimEnd().split('\n').slice(1);
    assert.deepEqual(
      lines.map((line) => line.replace(/^ *\d+ ms {2}/, '')),
      WHOLE_WAY,
    );
    world.clock.leap(TRACE_MS);
    assert.equal(await code, 0);
    for (const secret of secrets()) assert.ok(!out().includes(secret));
  });

  test('refuses what is no queue, and one that is not followed, without repeating it', async () => {
    const stranger = formatQueue({ ...phone.credentials('friend').queue, notifierId: new Uint8Array(24) });
    for (const [input, answer] of [
      ['nonsense\n', /expected smp:/],
      [`${'a'.repeat(100_000)}`, /expected smp:/],
      [`${stranger}\n`, /: no such queue$/],
    ] as const) {
      const { out, code } = run(input);
      assert.equal(await code, 2, out());
      assert.match(out().trimEnd(), answer);
      assert.ok(!out().includes(input.trim()));
    }
  });
});
