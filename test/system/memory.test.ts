/** What running processes hold, asked of their memory from outside (design §1, §4.2). Needs Linux. */
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Demo } from '../../services/demo/demo.js';
import { searchMemory } from '../../services/demo/memory.js';
import type { Screen } from '../../services/demo/screen.js';
import { loadCrypto } from '../../shared/crypto/load.js';
import { fromHex, utf8 } from '../../shared/encoding/bytes.js';
import { needsMemoryOf } from '../support/needs.js';
import { NtfTestClient } from '../support/ntf-client.js';
import { testPhone } from '../support/ntf-server.js';

const TOKENS = 30;

const sum = (counts: readonly number[]): number => counts.reduce((a, b) => a + b, 0);

describe('memory of running processes', () => {
  it('a subscriber that sealed device tokens holds none of them', async () => {
    const file = fileURLToPath(new URL('../support/ntf-server-process.js', import.meta.url));
    const child = fork(file, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    try {
      const { port, keyHash } = await new Promise<{ port: number; keyHash: string }>((resolve) =>
        child.once('message', (message) => resolve(message as { port: number; keyHash: string })),
      );
      needsMemoryOf(child.pid!);
      const crypto = await loadCrypto();
      const identity = fromHex(keyHash)!;
      const connect = () => NtfTestClient.connect({ port, keyHash: identity, crypto, alpn: ['ntf/1'] });
      const tokens = Array.from({ length: TOKENS }, () => randomBytes(32).toString('hex'));
      const open: NtfTestClient[] = [];
      for (const [i, token] of tokens.entries()) {
        const { tnew, key } = testPhone(crypto, { token });
        const client = await connect();
        assert.equal(await client.text(tnew, { key }), 'IDTKN');
        if (i % 2 === 0) client.close();
        else open.push(client);
      }
      // The last block stays on the stack until another one has been read.
      const client = await connect();
      for (let i = 0; i < 5; i++) assert.equal(await client.text({ word: 'PING' }), 'PONG');
      assert.ok(searchMemory(child.pid!, [identity])[0]! > 0, 'the search finds what is there');
      const asText = searchMemory(child.pid!, tokens.map(utf8));
      const asBytes = searchMemory(
        child.pid!,
        tokens.map((token) => fromHex(token)!),
      );
      assert.deepEqual([sum(asText), sum(asBytes)], [0, 0]);
      for (const each of [client, ...open]) each.close();
    } finally {
      child.disconnect();
    }
  });

  it('no party of the demo holds what it must not', async () => {
    const lines: string[] = [];
    const screen: Screen = { line: (text = '') => void lines.push(text), styled: (_, text) => text };
    const demo = new Demo({ messages: 3, once: true, screen });
    try {
      assert.equal(await demo.run(), true, lines.join('\n'));
    } finally {
      await demo.close();
    }
    const table = lines.slice(lines.indexOf('Who learnt what') + 1);
    assert.match(
      table[0]!,
      /in the memory of +device token +notifier id +sender id +recipient id +message text/,
    );
    assert.match(table[2]!, /subscriber +no +yes +no +no +no/);
    assert.match(table[3]!, /gateway +\w+ +no +no +no +no/);
    assert.equal(
      lines.find((line) => line.includes('BROKEN PROMISE')),
      undefined,
    );
  });
});
