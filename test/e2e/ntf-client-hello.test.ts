/**
 * The TLS ClientHello of unmodified clients, byte for byte as it was recorded (guide B.1): one key share, for X448,
 * one cipher suite a version, EdDSA signatures only, no SNI, no renegotiation info. OpenSSL can't be made to send it.
 */
import assert from 'node:assert/strict';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { concat, toHex, utf8 } from '../../shared/encoding/bytes.js';
import { Reader } from '../../shared/encoding/reader.js';
import { Writer } from '../../shared/encoding/writer.js';
import { startTestNtfServer, type TestNtfServer } from '../support/ntf-server.js';

const EXTENSION = { alpn: 16, versions: 43, keyShare: 51 } as const;
const X448 = 0x1e;
/** SHA-256 of "HelloRetryRequest": the random of a ServerHello that is one (RFC 8446 §4.1.3). */
const RETRY = 'cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c';

const large = (...parts: Uint8Array[]): Uint8Array => new Writer().large(concat(...parts)).done();
const short = (bytes: Uint8Array): Uint8Array => new Writer().shortString(bytes).done();
const u16s = (...values: number[]): Uint8Array => Uint8Array.from(values.flatMap((v) => [v >> 8, v & 0xff]));
const extension = (type: number, content: Uint8Array): Uint8Array => concat(u16s(type), large(content));

function x448Share(): Uint8Array {
  const { publicKey } = generateKeyPairSync('x448');
  return publicKey.export({ format: 'der', type: 'spki' }).subarray(-56);
}

/** In the order of the recording: 16, 23, 10, 11, 13, 43, 51, 49, 45. */
const extensions = (alpn: string | undefined, versions: readonly number[]): Uint8Array[] => [
  ...(alpn === undefined ? [] : [extension(EXTENSION.alpn, large(short(utf8(alpn))))]),
  extension(23, new Uint8Array(0)),
  extension(10, large(u16s(X448, 0x1d))),
  extension(11, short(Uint8Array.of(0))),
  extension(13, large(u16s(0x0808, 0x0807))),
  extension(EXTENSION.versions, short(u16s(...versions))),
  extension(EXTENSION.keyShare, large(u16s(X448), large(x448Share()))),
  extension(49, new Uint8Array(0)),
  extension(45, short(Uint8Array.of(1))),
];

function clientHello(alpn: string | undefined, versions: readonly number[]): Uint8Array {
  const body = concat(
    u16s(0x0303),
    randomBytes(32),
    short(randomBytes(32)),
    large(u16s(0x1303, 0xcca9)),
    short(Uint8Array.of(0)),
    large(...extensions(alpn, versions)),
  );
  const message = concat(Uint8Array.of(1, 0), large(body));
  return concat(Uint8Array.of(22), u16s(0x0301), large(message));
}

interface ServerHello {
  readonly isRetry: boolean;
  readonly suite: number;
  readonly extensions: ReadonlyMap<number, Uint8Array>;
}

/** The first record's first message. */
function readServerHello(record: Uint8Array): ServerHello {
  const r = new Reader(record);
  assert.equal(r.u8(), 22, 'a handshake record, no alert');
  r.u16();
  const message = new Reader(r.large());
  assert.equal(message.u16(), 0x0200, 'ServerHello');
  const hello = new Reader(message.large());
  assert.equal(hello.u16(), 0x0303);
  const isRetry = toHex(hello.take(32)) === RETRY;
  hello.shortString();
  const suite = hello.u16();
  hello.u8();
  const found = new Map<number, Uint8Array>();
  for (const list = new Reader(hello.large()); list.remaining > 0; ) found.set(list.u16(), list.large());
  return { isRetry, suite, extensions: found };
}

/** What the server says first: a whole record, or less where it closed. */
function answerTo(hello: Uint8Array, port: number): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    let received = new Uint8Array(0);
    const socket = connect(port, '127.0.0.1', () => socket.write(hello));
    const isWhole = (): boolean =>
      received.length >= 5 && received.length >= 5 + (received[3]! << 8) + received[4]!;
    socket.on('data', (chunk) => {
      received = new Uint8Array(concat(received, chunk));
      if (isWhole()) socket.destroy();
    });
    socket.on('close', () => resolve(received));
    socket.on('error', reject);
  });
}

describe('ClientHello of stock clients', () => {
  let server: TestNtfServer;
  before(async () => {
    server = await startTestNtfServer({ algorithm: 'ed448' });
  });
  after(() => server.listener.close());

  const ask = async (alpn: string | undefined, versions: readonly number[]): Promise<ServerHello> =>
    readServerHello(await answerTo(clientHello(alpn, versions), server.listener.port));

  for (const alpn of ['ntf/1', 'http/1.1', undefined]) {
    it(`TLS 1.3, ALPN ${alpn}: X448 is taken without another round trip`, async () => {
      const hello = await ask(alpn, [0x0304, 0x0303]);
      assert.equal(hello.isRetry, false);
      assert.equal(hello.suite, 0x1303);
      assert.deepEqual(hello.extensions.get(EXTENSION.versions), u16s(0x0304));
      assert.deepEqual(hello.extensions.get(EXTENSION.keyShare)?.subarray(0, 4), u16s(X448, 56));
    });
  }

  it('TLS 1.2 without renegotiation info', async () => {
    const hello = await ask('ntf/1', [0x0303]);
    assert.equal(hello.suite, 0xcca9);
    assert.deepEqual(hello.extensions.get(EXTENSION.alpn), large(short(utf8('ntf/1'))));
    assert.equal(hello.extensions.has(EXTENSION.versions), false);
  });

  it('another protocol: alert 120', async () => {
    const record = await answerTo(clientHello('smp/1', [0x0304, 0x0303]), server.listener.port);
    assert.deepEqual([record[0], ...record.subarray(5)], [21, 2, 120]);
  });
});
