/** A device token that a stock client sends in clear is gone from memory once it is sealed (design §4.2). */
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import { TLSSocket } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { loadCrypto } from '../../shared/crypto/load.js';
import { NtfTestClient } from '../support/ntf-client.js';
import { startTestNtfServer, testPhone } from '../support/ntf-server.js';
import { countInMemory } from '../support/process-memory.js';
import { watchedCrypto } from '../support/watched-crypto.js';

const TOKENS = 30;

describe('device tokens in memory', () => {
  it('are overwritten in every buffer that they passed', async () => {
    const { crypto, seen } = watchedCrypto(await loadCrypto());
    const server = await startTestNtfServer({ crypto });
    const { port } = server.listener;
    const { emit } = TLSSocket.prototype;
    TLSSocket.prototype.emit = function (
      this: TLSSocket,
      event: string | symbol,
      ...args: unknown[]
    ): boolean {
      if (event === 'data' && this.localPort === port) seen.push(args[0] as Uint8Array);
      return emit.apply(this, [event, ...args] as Parameters<typeof emit>);
    };
    try {
      const client = await NtfTestClient.connect({
        port,
        keyHash: server.identity.keyHash,
        crypto: await loadCrypto(), // the client may keep its own token
        alpn: ['ntf/1'],
      });
      for (const algorithm of ['ed25519', 'ed448', 'x25519'] as const) {
        const { tnew, key } = testPhone(server.crypto, { algorithm });
        const { response } = await client.send(tnew, { key });
        assert.equal(response.word, 'IDTKN');
        const raw = Buffer.from(Buffer.from(tnew.token.text).toString(), 'hex');
        for (const bytes of seen) {
          const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
          assert.ok(!buffer.includes(Buffer.from(tnew.token.text)) && !buffer.includes(raw), algorithm);
        }
      }
      assert.ok(seen.length > 20);
      client.close();
    } finally {
      TLSSocket.prototype.emit = emit;
      await server.listener.close();
    }
  });

  it('are nowhere in the process that sealed them', { skip: process.platform !== 'linux' }, async (t) => {
    const file = fileURLToPath(new URL('../support/ntf-server-process.js', import.meta.url));
    const child = fork(file, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    try {
      const { port, keyHash } = await new Promise<{ port: number; keyHash: string }>((resolve) =>
        child.once('message', (message) => resolve(message as { port: number; keyHash: string })),
      );
      const crypto = await loadCrypto();
      const connect = () =>
        NtfTestClient.connect({ port, keyHash: Buffer.from(keyHash, 'hex'), crypto, alpn: ['ntf/1'] });
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
      const known = countInMemory(child.pid!, [Buffer.from(keyHash, 'hex')]);
      if (known === undefined) return t.skip('no access to the memory of a child process');
      assert.equal(known, 1);
      assert.equal(
        countInMemory(
          child.pid!,
          tokens.map((token) => Buffer.from(token)),
        ),
        0,
        'as text',
      );
      const raw = tokens.map((token) => Buffer.from(token, 'hex'));
      assert.equal(countInMemory(child.pid!, raw), 0, 'as bytes');
      for (const each of [client, ...open]) each.close();
    } finally {
      child.disconnect();
    }
  });
});
