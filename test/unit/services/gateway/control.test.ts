import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { subscriberCommands } from '../../../../services/gateway/control.js';
import { Subscribers } from '../../../../services/gateway/limits/subscribers.js';
import { loadCrypto } from '../../../../shared/crypto/load.js';
import { toBase64urlBare } from '../../../../shared/encoding/base64url.js';
import { VirtualClock } from '../../../../shared/run/clock.js';
import { ControlRefusal } from '../../../../shared/run/control.js';
import { rosterFor } from '../../../support/admission.js';

const crypto = await loadCrypto();
const folder = mkdtempSync(join(tmpdir(), 'porchlight-control-'));
after(() => rmSync(folder, { recursive: true }));
let files = 0;

function setUp(mode: 'open' | 'listed' = 'listed', name = `${++files}.json`) {
  const allowances = { rate: 9, newcomerRate: 9, requests: 9, newcomerRequests: 9, nonces: 9, capacity: 9 };
  const subscribers = new Subscribers({ clock: new VirtualClock(), ...allowances });
  const file = join(folder, name);
  const roster = rosterFor(crypto, { mode, file });
  const commands = subscriberCommands(roster, subscribers);
  const ask = async (word: string, more: object = {}): Promise<Record<string, unknown>[]> => {
    const lines: Record<string, unknown>[] = [];
    const say = (line: object) => void lines.push(line as Record<string, unknown>);
    await commands[word]!({ do: word, ...more }, say, new AbortController().signal);
    return lines;
  };
  return { subscribers, roster, ask, file };
}
const newKey = () => toBase64urlBare(crypto.ed25519KeyPair().publicKey);

describe('subscribers over the control socket', () => {
  test('added, limited, listed and removed', async () => {
    const { roster, subscribers, ask } = setUp();
    const key = newKey();
    await ask('subscriber-add', { key, name: 'Ada', requests: 3 });
    await ask('subscriber-limit', { key, rate: 7 });
    for (let n = 0; n < 33; n++) subscribers.establish(roster.tagOf(key)).sawDevice(0);
    subscribers.establish('somebody else').sawDevice(0);
    assert.deepEqual(await ask('subscribers'), [
      { key, name: 'Ada', rate: 7, requests: 3, isConfigured: false, mayAsk: true, devices: 50 },
      { mode: 'listed', others: 10 },
    ]);
    await ask('subscriber-remove', { key });
    assert.deepEqual(await ask('subscribers'), [{ mode: 'listed', others: 10 }]);
  });

  test('mode open: a stranger is limited to nothing', async () => {
    const { roster, ask } = setUp('open');
    const key = newKey();
    await ask('subscriber-limit', { key, rate: 0 });
    assert.equal(roster.admits(roster.tagOf(key)), false);
    assert.equal((await ask('subscribers'))[0]?.mayAsk, false);
  });

  test('what can’t be done is said in closed words', async () => {
    const { ask } = setUp();
    const key = newKey();
    for (const [word, request, message] of [
      ['subscriber-add', { key: 'AAAA' }, /^key: expected the base64url of a 32-byte/],
      ['subscriber-add', { key, rate: -1 }, /^rate: /],
      ['subscriber-add', { key, rate: 1.5 }, /^rate: /],
      ['subscriber-add', { key, name: 'a\nb' }, /^name: expected/],
      ['subscriber-add', {}, /^key: /],
      ['subscriber-limit', { key, rate: 1 }, /^not on the list$/],
      ['subscriber-remove', { key }, /^not on the list$/],
    ] as const) {
      await assert.rejects(ask(word, request), (error: Error) => {
        assert.ok(error instanceof ControlRefusal);
        assert.match(error.message, message);
        return true;
      });
    }
  });

  test('a list that can’t be read or written is named, and not written over', async () => {
    const { ask, file } = setUp();
    const key = newKey();
    writeFileSync(file, '{ half a list', { mode: 0o600 });
    await assert.rejects(
      ask('subscriber-add', { key }),
      new ControlRefusal(`${file}: not a list of subscribers`),
    );
    assert.equal(readFileSync(file, 'utf8'), '{ half a list');
    const long = setUp('listed', 'x'.repeat(250));
    await assert.rejects(
      long.ask('subscriber-add', { key }),
      new ControlRefusal(`${long.file}: cannot be written (ENAMETOOLONG)`),
    );
  });
});
