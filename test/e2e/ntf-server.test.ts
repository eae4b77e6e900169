/** The NTF server over real TLS: what it takes, what it refuses, and that a connection survives bad input. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { pad } from '../../shared/crypto/box.js';
import { concat, utf8 } from '../../shared/encoding/bytes.js';
import type { NtfCommand } from '../../shared/ntf/commands.js';
import { NTF_BLOCK_SIZE } from '../../shared/ntf/constants.js';
import { encodeClientHello } from '../../shared/ntf/handshake.js';
import { VirtualClock } from '../../shared/run/clock.js';
import { encodeBatch } from '../../shared/smp/transmission.js';
import { type NtfTestClient, NtfWire, replyText } from '../support/ntf-client.js';
import { startTestNtfServer, type TestNtfServer, testPhone } from '../support/ntf-server.js';

const TCHK: NtfCommand = { word: 'TCHK' };
const PING: NtfCommand = { word: 'PING' };
const NONE = new Uint8Array(0);

async function registered(
  server: TestNtfServer,
  client: NtfTestClient,
  options?: Parameters<typeof testPhone>[1],
) {
  const phone = testPhone(server.crypto, options);
  const { response } = await client.send(phone.tnew, { key: phone.key });
  assert.equal(response.word, 'IDTKN');
  return { ...phone, tokenId: response.tokenId, device: server.registry.deviceById(response.tokenId)! };
}

const metric = async (server: TestNtfServer, line: string): Promise<boolean> =>
  (await server.metrics.text()).includes(line);

describe('NTF server', () => {
  let server: TestNtfServer;
  before(async () => {
    server = await startTestNtfServer();
  });
  after(() => server.listener.close());

  describe('TLS', () => {
    const modern = { min: 1, max: 3 };
    for (const maxVersion of ['TLSv1.3', 'TLSv1.2'] as const) {
      const tls = { minVersion: 'TLSv1.2', maxVersion } as const;
      for (const alpn of [['ntf/1'], ['http/1.1'], ['h2'], ['smp/1', 'h2', 'ntf/1'], []]) {
        it(`${maxVersion} with ALPN ${alpn.join(' ') || 'none'}`, async () => {
          const client = await server.connect({ tls, alpn });
          const { socket } = client.wire;
          assert.equal(socket.getProtocol(), maxVersion);
          assert.equal(client.params.sessionId.length, maxVersion === 'TLSv1.3' ? 32 : 12);
          // The first of the client's list that the server knows (guide B.2).
          assert.equal(socket.alpnProtocol, alpn.filter((p) => p !== 'smp/1')[0] ?? false);
          assert.deepEqual(client.offered, alpn.length === 0 ? { min: 1, max: 1 } : modern);
          assert.equal(await client.text(PING), 'PONG');
          const { key, tokenId } = await registered(server, client);
          assert.equal(await client.text(TCHK, { key, entityId: tokenId }), 'TKN CONFIRMED');
          client.close();
        });
      }
    }

    it('refuses other protocols with an alert', async () => {
      await assert.rejects(server.connect({ alpn: ['smp/1'] }), {
        code: 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL',
      });
    });

    it('takes either curve, sends the whole chain and never resumes', async () => {
      for (const ecdhCurve of ['X448', 'X25519']) {
        const client = await server.connect({ tls: { ecdhCurve } });
        const { socket } = client.wire;
        const certificate = socket.getPeerCertificate(true);
        assert.equal(certificate.issuerCertificate.subject.CN, 'SMP server CA');
        assert.equal(socket.getCipher().standardName, 'TLS_CHACHA20_POLY1305_SHA256');
        assert.equal(await client.text(PING), 'PONG');
        assert.equal(socket.isSessionReused(), false);
        client.close();
      }
      const others = { ciphers: 'TLS_AES_128_GCM_SHA256' };
      await assert.rejects(server.connect({ tls: others }));
    });

    it('resumes no session that is offered, and renegotiates none', async () => {
      for (const version of ['TLSv1.3', 'TLSv1.2'] as const) {
        const tls = { minVersion: version, maxVersion: version };
        const first = await server.connect({ tls });
        assert.equal(await first.text(PING), 'PONG');
        const session = first.wire.socket.getSession()!;
        const again = await server.connect({ tls: { ...tls, session } });
        assert.equal(again.wire.socket.isSessionReused(), false);
        if (version === 'TLSv1.2') {
          const refused = new Promise((resolve) => again.wire.socket.once('error', resolve));
          again.wire.socket.renegotiate({ rejectUnauthorized: false }, () => {});
          assert.equal(((await refused) as NodeJS.ErrnoException).code, 'ERR_SSL_NO_RENEGOTIATION');
        }
        first.close();
        again.close();
      }
    });

    it('sends a hello of 161 bytes with an Ed25519 certificate, of 212 with Ed448', async () => {
      const ed448 = await startTestNtfServer({ algorithm: 'ed448' });
      for (const [{ listener }, size] of [
        [server, 161],
        [ed448, 212],
      ] as const) {
        const wire = await NtfWire.open({ port: listener.port, alpn: ['ntf/1'] });
        const block = await wire.read();
        assert.equal((block![0]! << 8) | block![1]!, size);
        wire.close();
      }
      await ed448.listener.close();
    });
  });

  describe('handshake', () => {
    const answer = async (content: Uint8Array): Promise<Uint8Array | undefined> => {
      const wire = await NtfWire.open({ port: server.listener.port, alpn: ['ntf/1'] });
      await wire.read();
      wire.write(pad(content, NTF_BLOCK_SIZE));
      wire.write(pad(concat(Uint8Array.of(1, 0, 8, 0, 1, 1, 0), utf8('PING')), NTF_BLOCK_SIZE));
      const block = await wire.read();
      wire.close();
      return block;
    };
    const hello = (version: number, keyHash = server.identity.keyHash): Uint8Array =>
      encodeClientHello({ version, keyHash });

    it('ignores what stands behind the hello', async () => {
      assert.ok(await answer(concat(hello(3), randomBytes(100))));
    });

    it('closes without a word on another identity or version, and on no hello', async () => {
      for (const content of [hello(3, randomBytes(32)), hello(0), hello(4), hello(3).subarray(1), NONE]) {
        assert.equal(await answer(content), undefined);
      }
      const wire = await NtfWire.open({ port: server.listener.port, alpn: ['ntf/1'] });
      await wire.read();
      wire.write(new Uint8Array(NTF_BLOCK_SIZE).fill(0xff));
      assert.equal(await wire.read(), undefined);
    });
  });

  describe('keys', () => {
    for (const version of [1, 2, 3]) {
      for (const algorithm of ['ed25519', 'ed448', 'x25519'] as const) {
        if (version === 1 && algorithm === 'x25519') continue; // version 1 has no authenticators
        it(`version ${version}: ${algorithm}`, async () => {
          const client = await server.connect({ version });
          const { key, tokenId } = await registered(server, client, { algorithm });
          for (const corrId of [randomBytes(24), randomBytes(3), randomBytes(40)]) {
            assert.equal(await client.text(TCHK, { key, entityId: tokenId, corrId }), 'TKN CONFIRMED');
          }
          const other = testPhone(server.crypto, { algorithm }).key;
          assert.equal(await client.text(TCHK, { key: other, entityId: tokenId }), 'ERR AUTH');
          const otherKind = testPhone(server.crypto, {
            algorithm: algorithm === 'ed448' ? 'ed25519' : 'ed448',
          }).key;
          assert.equal(await client.text(TCHK, { key: otherKind, entityId: tokenId }), 'ERR AUTH');
          assert.equal(await client.text(TCHK, { key, entityId: randomBytes(24) }), 'ERR AUTH');
          client.close();
        });
      }
    }

    it('cuts the reason of INVALID below version 3', async () => {
      const client = await server.connect();
      const { key, tokenId, device } = await registered(server, client);
      server.registry.setStatus(device, 'invalid', 'unregistered');
      assert.equal(await client.text(TCHK, { key, entityId: tokenId }), 'TKN INVALID,UNREGISTERED');
      const older = await server.connect({ version: 2 });
      assert.equal(await older.text(TCHK, { key, entityId: tokenId }), 'TKN INVALID');
      client.close();
      older.close();
    });

    it('takes a signature for one connection only', async () => {
      const client = await server.connect();
      const { key, tokenId } = await registered(server, client);
      const t = client.transmission(TCHK, { key, entityId: tokenId });
      const other = await server.connect();
      other.writeItems([t]);
      assert.equal(replyText((await other.replies())[0]!.response), 'ERR AUTH');
      client.close();
      other.close();
    });
  });

  describe('bad input leaves the connection usable (guide E.4, H.2)', () => {
    interface Row {
      readonly what: string;
      /** Content of the block. */
      readonly content: (client: NtfTestClient, corrId: Uint8Array, entityId: Uint8Array) => Uint8Array;
      readonly reply: string;
      /** Whether the reply names the request and its entity. */
      readonly names?: readonly ('corrId' | 'entityId')[];
      readonly versions?: readonly number[];
    }
    const one = (client: NtfTestClient, t: Uint8Array): Uint8Array => encodeBatch(client.params, [t]);
    const plain =
      (text: string, hasEntity = false) =>
      (client: NtfTestClient, corrId: Uint8Array, entityId: Uint8Array): Uint8Array =>
        one(client, client.transmission(utf8(text), { corrId, ...(hasEntity && { entityId }) }));
    const signed =
      (command: NtfCommand | string, hasEntity: boolean) =>
      (client: NtfTestClient, corrId: Uint8Array, entityId: Uint8Array): Uint8Array => {
        const { key, tnew } = testPhone(client.crypto);
        const bytes = typeof command === 'string' ? utf8(command) : command.word === 'TNEW' ? tnew : command;
        return one(client, client.transmission(bytes, { corrId, key, ...(hasEntity && { entityId }) }));
      };
    const withAuth =
      (size: number) =>
      (client: NtfTestClient, corrId: Uint8Array): Uint8Array => {
        const t = client.transmission(PING, { corrId });
        return one(client, concat(Uint8Array.of(size), new Uint8Array(size), t.subarray(1)));
      };
    const tnew = { word: 'TNEW' } as NtfCommand;
    const both = ['corrId', 'entityId'] as const;
    const rows: readonly Row[] = [
      { what: 'no transmission', content: () => Uint8Array.of(0), reply: 'ERR BLOCK', versions: [2, 3] },
      { what: 'an empty block', content: () => NONE, reply: 'ERR BLOCK' },
      {
        what: 'trailing bytes in the block',
        content: (c, corrId) => concat(plain('PING')(c, corrId, NONE), Uint8Array.of(0)),
        reply: 'ERR BLOCK',
        versions: [2, 3],
      },
      {
        what: 'an item longer than the block',
        content: () => Uint8Array.of(1, 0xff, 0xff, 0),
        reply: 'ERR BLOCK',
        versions: [2, 3],
      },
      {
        what: "a transmission that can't be split",
        content: (c) => one(c, Uint8Array.of(0, 24, 1, 2)),
        reply: 'ERR BLOCK',
      },
      { what: 'auth of 65 bytes', content: withAuth(65), reply: 'ERR BLOCK', names: ['corrId'] },
      { what: 'auth of 1 byte', content: withAuth(1), reply: 'ERR BLOCK', names: ['corrId'] },
      {
        what: 'another session id',
        content: (_, corrId) =>
          concat(Uint8Array.of(0, 1, 7, corrId.length), corrId, Uint8Array.of(0), utf8('PING')),
        reply: 'ERR SESSION',
        names: ['corrId'],
        versions: [1],
      },
      { what: 'an unknown word', content: plain('HELLO', true), reply: 'ERR CMD UNKNOWN', names: both },
      { what: 'a response', content: plain('OK'), reply: 'ERR CMD UNKNOWN', names: ['corrId'] },
      { what: 'no command', content: plain(''), reply: 'ERR CMD UNKNOWN', names: ['corrId'] },
      { what: 'PING with a parameter', content: plain('PING x'), reply: 'ERR CMD SYNTAX', names: ['corrId'] },
      { what: 'TVFY without a code', content: signed('TVFY', true), reply: 'ERR CMD SYNTAX', names: both },
      {
        what: 'a cut SNEW',
        content: signed('SNEW S\u0001', false),
        reply: 'ERR CMD SYNTAX',
        names: ['corrId'],
      },
      { what: 'TCHK without auth', content: plain('TCHK', true), reply: 'ERR CMD NO_AUTH', names: both },
      {
        what: 'TCHK without entity',
        content: signed(TCHK, false),
        reply: 'ERR CMD NO_AUTH',
        names: ['corrId'],
      },
      { what: 'TNEW with entity', content: signed(tnew, true), reply: 'ERR CMD HAS_AUTH', names: both },
      { what: 'PING with auth', content: signed(PING, false), reply: 'ERR CMD HAS_AUTH', names: ['corrId'] },
      { what: 'PING with entity', content: plain('PING', true), reply: 'ERR CMD HAS_AUTH', names: both },
      {
        what: 'ids that no reply could carry',
        content: (c) =>
          one(c, c.transmission(utf8('TCHK'), { corrId: randomBytes(220), entityId: randomBytes(220) })),
        reply: 'ERR BLOCK',
      },
    ];
    for (const version of [1, 2, 3]) {
      it(`version ${version}`, async () => {
        const client = await server.connect({ version });
        for (const { what, content, reply, names = [], versions } of rows) {
          if (versions && !versions.includes(version)) continue;
          const corrId = new Uint8Array(randomBytes(24));
          const entityId = new Uint8Array(randomBytes(24));
          client.writeContent(content(client, corrId, entityId));
          const [answer] = await client.replies();
          assert.equal(replyText(answer!.response), reply, what);
          assert.deepEqual(answer!.corrId, names.includes('corrId') ? corrId : NONE, what);
          assert.deepEqual(answer!.entityId, names.includes('entityId') ? entityId : NONE, what);
          assert.equal(await client.text(PING), 'PONG', what);
        }
        // A block that can't be unpadded.
        client.wire.write(new Uint8Array(NTF_BLOCK_SIZE).fill(0xff));
        assert.equal(replyText((await client.replies())[0]!.response), 'ERR BLOCK');
        assert.equal(await client.text(PING), 'PONG');
        client.close();
      });
    }

    it('answers random blocks with errors only', async () => {
      const client = await server.connect();
      const before = server.registry.devices.length;
      for (let i = 0; i < 300; i++) {
        client.writeContent(concat(Uint8Array.of(1, 1, 0xf0), randomBytes(496)).subarray(0, 510));
        client.wire.write(randomBytes(NTF_BLOCK_SIZE));
        for (let j = 0; j < 2; j++) {
          for (const { response } of await client.replies()) assert.equal(response.word, 'ERR');
        }
      }
      assert.equal(await client.text(PING), 'PONG');
      assert.equal(server.registry.devices.length, before);
      client.close();
    });
  });

  describe('blocks', () => {
    it('answers every command: refusals first in a block of their own, then the rest in order', async () => {
      const client = await server.connect();
      const { key, tokenId } = await registered(server, client);
      const corrIds = Array.from({ length: 6 }, (_, i) => Uint8Array.of(i));
      const commands = [PING, TCHK, utf8('HELLO'), PING, PING, PING];
      client.writeItems(
        commands.map((command, i) => {
          const isCheck = command === TCHK;
          return client.transmission(command, {
            corrId: corrIds[i]!,
            ...(isCheck && { key, entityId: tokenId }),
          });
        }),
      );
      const refused = await client.replies();
      assert.deepEqual(
        refused.map((r) => r.corrId),
        [corrIds[2]],
      );
      const rest = await client.replies();
      assert.deepEqual(
        rest.map((r) => r.corrId),
        [0, 1, 3, 4, 5].map((i) => corrIds[i]),
      );
      assert.deepEqual(
        rest.map((r) => replyText(r.response)),
        ['PONG', 'TKN CONFIRMED', 'PONG', 'PONG', 'PONG'],
      );
      client.close();
    });

    it("splits replies that don't fit one block", async () => {
      const client = await server.connect();
      const corrId = randomBytes(18);
      client.writeItems(Array.from({ length: 17 }, () => client.transmission(PING, { corrId })));
      client.writeItems([client.transmission(PING, { corrId })]);
      let replies = 0;
      while (replies < 18) replies += (await client.replies()).length;
      assert.equal(replies, 18);
      client.close();
    });

    it('runs commands on what earlier commands of the block left', async () => {
      const client = await server.connect();
      const { key, tokenId } = await registered(server, client);
      const item = (word: 'TDEL' | 'TCHK') => client.transmission({ word }, { key, entityId: tokenId });
      client.writeItems([item('TDEL'), item('TCHK')]);
      assert.deepEqual(
        (await client.replies()).map((r) => replyText(r.response)),
        ['OK', 'ERR AUTH'],
      );
      client.close();
    });

    it('takes blocks byte by byte and many at once', async () => {
      const client = await server.connect();
      const block = pad(encodeBatch(client.params, [client.transmission(PING, {})]), NTF_BLOCK_SIZE);
      client.wire.socket.setNoDelay(true);
      for (let i = 0; i < block.length; i++) client.wire.write(block.subarray(i, i + 1));
      assert.equal(replyText((await client.replies())[0]!.response), 'PONG');
      client.wire.write(concat(...Array.from({ length: 100 }, () => block), block.subarray(0, 100)));
      for (let i = 0; i < 100; i++) assert.equal(replyText((await client.replies())[0]!.response), 'PONG');
      client.wire.write(block.subarray(100));
      assert.equal(replyText((await client.replies())[0]!.response), 'PONG');
      client.close();
    });

    it('reads on only when the code was judged', async () => {
      const client = await server.connect();
      const { key, tokenId } = await registered(server, client);
      let answer: (result: 'proven') => void = () => {};
      server.wake.result = new Promise((resolve) => {
        answer = resolve;
      });
      client.writeItems([
        client.transmission({ word: 'TVFY', code: randomBytes(32) }, { key, entityId: tokenId }),
      ]);
      client.writeItems([client.transmission(PING, {})]);
      const other = await server.connect();
      assert.equal(await other.text(PING), 'PONG');
      answer('proven');
      assert.equal(replyText((await client.replies())[0]!.response), 'OK');
      assert.equal(replyText((await client.replies())[0]!.response), 'PONG');
      server.wake.result = undefined;
      client.close();
      other.close();
    });
  });

  describe('closing', () => {
    it('closes without a reply where the gateway could not be asked', async () => {
      const client = await server.connect();
      const { key, tokenId } = await registered(server, client);
      server.wake.result = 'unreachable';
      await assert.rejects(
        client.send({ word: 'TVFY', code: randomBytes(32) }, { key, entityId: tokenId }),
        /closed/,
      );
      server.wake.result = undefined;
      assert.ok(await metric(server, 'test_clients_closed_total{cause="unreachable"} 1'));
    });

    it('closes on trouble inside, with no error reply', async () => {
      const client = await server.connect();
      const { key, tokenId } = await registered(server, client);
      const broken = Promise.reject<never>(new Error('broken'));
      broken.catch(() => {});
      server.wake.result = broken;
      await assert.rejects(
        client.send({ word: 'TVFY', code: randomBytes(32) }, { key, entityId: tokenId }),
        /closed/,
      );
      server.wake.result = undefined;
      assert.ok(await metric(server, 'test_clients_closed_total{cause="internal"} 1'));
    });

    it('closes after the TLS handshake while no sealing key is known', async () => {
      const { facts } = server.link;
      server.link.facts = undefined;
      await assert.rejects(server.connect(), /closed/);
      server.link.facts = facts;
      const client = await server.connect();
      assert.equal(await client.text(PING), 'PONG');
      client.close();
    });
  });
});

describe('limits of the NTF server', () => {
  it('closes a connection whose handshake is not done in time, and a silent one after the idle time', async () => {
    const clock = new VirtualClock();
    const server = await startTestNtfServer({ clock, limits: { handshakeMs: 30_000, idleMs: 3_600_000 } });
    const wire = await NtfWire.open({ port: server.listener.port, alpn: ['ntf/1'] });
    await wire.read();
    const client = await server.connect();
    assert.equal(await client.text(PING), 'PONG');
    await clock.advance(30_000);
    assert.equal(await wire.read(), undefined);
    await clock.advance(3_000_000);
    assert.equal(await client.text(PING), 'PONG');
    await clock.advance(3_000_000);
    assert.equal(await client.text(PING), 'PONG');
    await clock.advance(3_600_000);
    assert.equal(await client.wire.read(), undefined);
    assert.ok(await metric(server, 'test_clients_closed_total{cause="idle"} 1'));
    assert.ok(await metric(server, 'test_clients_refused_total{cause="deadline"} 1'));
    await server.listener.close();
    assert.equal(clock.pending, 0);
  });

  it('drops a TLS handshake that does not come', async () => {
    const server = await startTestNtfServer({ limits: { handshakeMs: 50 } });
    const socket = connect(server.listener.port, '127.0.0.1');
    await new Promise((resolve) => socket.on('error', () => {}).once('close', resolve));
    assert.ok(await metric(server, 'test_clients_refused_total{cause="tls"} 1'));
    await server.listener.close();
  });

  it('closes connections above the limit, and takes new ones once others have gone', async () => {
    const server = await startTestNtfServer({ limits: { connections: 2 } });
    const [first] = [await server.connect(), await server.connect()];
    await assert.rejects(server.connect());
    assert.ok(await metric(server, 'test_clients_refused_total{cause="full"} 1'));
    assert.equal(await metric(server, 'cause="tls"'), false);
    first.close();
    while (server.listener.connections > 1) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(await (await server.connect()).text(PING), 'PONG');
    await server.listener.close();
  });

  it('limits handshakes by address', async () => {
    const server = await startTestNtfServer({
      limits: { loopbackHandshakes: { burst: 2, perSecond: 0.001 } },
    });
    const clients = [await server.connect(), await server.connect()];
    await assert.rejects(server.connect());
    assert.ok(await metric(server, 'test_clients_refused_total{cause="address"} 1'));
    assert.equal(await clients[0]!.text(PING), 'PONG');
    await server.listener.close();
  });
});
