/** A device token that a stock client sends in clear is gone from memory once it is sealed (design §4.2). */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { TLSSocket } from 'node:tls';
import { loadCrypto } from '../../shared/crypto/load.js';
import { NtfTestClient } from '../support/ntf-client.js';
import { startTestNtfServer, testPhone } from '../support/ntf-server.js';
import { watchedCrypto } from '../support/watched-crypto.js';

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
});
