/** Our HTTP/2 against another's over real TLS: nothing is lost or mixed up, and a peer that is none is given up. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import {
  createSecureServer,
  type Http2SecureServer,
  type IncomingHttpHeaders,
  performServerHandshake,
  type ServerHttp2Stream,
  type Settings,
} from 'node:http2';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { after, describe, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { createServer as createTlsServer, type TLSSocket } from 'node:tls';
import type { Answer, Connection } from '../../../services/gateway/apns/connection.js';
import { http2Dial } from '../../../services/gateway/apns/http2/dial.js';
import { createServerCertificate, toPem } from '../../../shared/crypto/x509.js';
import { toHex } from '../../../shared/encoding/bytes.js';
import { AUTHORIZATION, word } from '../../support/apns/http2-peer.js';
import { push } from '../../support/apns/setup.js';

const PUSHES = 600;
const made = createServerCertificate({ host: 'localhost', now: new Date() });
const cert = toPem('CERTIFICATE', made.certificate);
const key = toPem('PRIVATE KEY', made.privateKey).toString();

interface Dialled {
  readonly connection: Connection;
  /** Each SETTINGS of the peer lets those waiting here go on. */
  opened: Promise<void>;
  readonly closed: Promise<string | undefined>;
}

interface Deferred<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
}

function deferred<T>(): Deferred<T> {
  let resolve: Deferred<T>['resolve'] = () => {};
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

function dial(port: number, ca: string | undefined = cert): Dialled {
  const opened = deferred<void>();
  const closed = deferred<string | undefined>();
  const connection = http2Dial(
    { host: 'localhost', port, ca },
    Math.random,
  )({
    settings: opened.resolve,
    goaway: () => {},
    closed: closed.resolve,
  });
  return { connection, opened: opened.promise, closed: closed.promise };
}

async function portOf(server: Server | Http2SecureServer): Promise<number> {
  await once(server.listen(0, 'localhost'), 'listening');
  return (server.address() as AddressInfo).port;
}

describe('a server of node:http2', () => {
  /** What it does with the push of a token, which says so itself. */
  const FATES = [
    '200',
    '200 with a body',
    '400',
    '410 in pieces',
    'refused',
    'cancelled',
    '200 unended',
  ] as const;
  const ANSWERS = [200, 200, 400, 410, 'unprocessed', 'unknown', 200] as const;

  function act(stream: ServerHttp2Stream, fate: number): void {
    stream.on('error', () => {});
    switch (FATES[fate]) {
      case '200':
        stream.respond({ ':status': 200, 'apns-id': crypto.randomUUID() }, { endStream: true });
        break;
      case '200 with a body':
        stream.respond({ ':status': 200 });
        stream.end('x'.repeat(9_000));
        break;
      case '400':
        stream.respond({ ':status': 400, 'apns-id': crypto.randomUUID(), [crypto.randomUUID()]: 'more' });
        stream.end('{"reason":"BadDeviceToken"}');
        break;
      case '410 in pieces':
        stream.additionalHeaders({ ':status': 103 });
        stream.respond({ ':status': 410, filler: 'x'.repeat(9_000) }, { waitForTrailers: true });
        stream.on('wantTrailers', () => stream.sendTrailers({ checksum: '1' }));
        stream.write('{"reason":"Unregi');
        stream.end('stered","timestamp":7}');
        break;
      case 'refused':
        stream.close(7);
        break;
      case 'cancelled':
        stream.close(8);
        break;
      default:
        stream.respond({ ':status': 200 });
    }
  }

  for (const settings of [
    {},
    { maxConcurrentStreams: 1 },
    { maxConcurrentStreams: 40, headerTableSize: 0 },
    { headerTableSize: 70, initialWindowSize: 300 },
    { headerTableSize: 65_536, initialWindowSize: 0, maxFrameSize: 1 << 20 },
  ] satisfies Settings[]) {
    test(`with ${JSON.stringify(settings)}: each push arrives whole, each has its own answer`, async () => {
      const server = createSecureServer({ cert, key, settings });
      const seen = new Map<string, { headers: IncomingHttpHeaders; body: Buffer }>();
      server.on('stream', (stream, headers) => {
        const token = headers[':path']!.slice('/3/device/'.length);
        const chunks: Buffer[] = [];
        stream.on('data', (chunk: Buffer) => {
          chunks.push(chunk);
        });
        stream.on('end', () => {
          seen.set(token, { headers, body: Buffer.concat(chunks) });
          act(stream, Number.parseInt(token.slice(0, 2), 16));
        });
      });
      server.on('session', (session) => {
        // A window that is closed at first opens for streams one by one as node reads them, once it says so.
        if (settings.initialWindowSize === 0)
          void setImmediate().then(() => session.settings({ initialWindowSize: 100 }));
      });
      // Node counts a stream that was reset for a while longer, and refuses the next one where few are allowed.
      const fates = settings.maxConcurrentStreams === undefined ? FATES.length : FATES.length - 1;
      const { connection, opened, closed } = dial(await portOf(server));
      await opened;
      const sent = Array.from({ length: PUSHES }, (_, n) => {
        const fate = n % fates;
        const bytes = Buffer.alloc(4 + (n % 90), n);
        bytes[0] = fate;
        bytes.writeUInt16BE(n, 1);
        const body = Buffer.from(`${n} `.repeat(1 + n)).subarray(0, 4096);
        const topic = `org.example.${n % 5}`;
        const collapseId = n % 3 === 0 ? `id-${n}` : undefined;
        const made = push('', { token: bytes, body, topic, ...(collapseId && { collapseId }) });
        const answer = new Promise<Answer>((answered) => {
          assert.ok(connection.send(AUTHORIZATION, { push: made, answered }));
        });
        return { push: made, answer, expected: ANSWERS[fate], token: toHex(bytes) };
      });
      for (const each of sent) {
        const answer = await each.answer;
        assert.equal(word(answer), each.expected, each.token);
        const { headers, body } = seen.get(each.token)!;
        assert.deepEqual(body, Buffer.from(each.push.body));
        assert.deepEqual(
          [headers['apns-topic'], headers['apns-collapse-id'], headers.authorization, headers[':method']],
          [each.push.topic, each.push.collapseId, AUTHORIZATION, 'POST'],
        );
        if (answer.kind === 'response' && answer.status === 410) {
          assert.deepEqual([answer.reason, answer.timestampMs], ['Unregistered', 7]);
        }
      }
      const pong = deferred<void>();
      connection.ping(pong.resolve);
      await pong.promise;
      connection.destroy();
      server.close();
      assert.equal(await closed, undefined);
    });
  }

  test('a drain ends the connection when the last answer is there', async () => {
    const server = createSecureServer({ cert, key });
    server.on(
      'stream',
      (stream) =>
        void stream.resume().on('end', () => stream.respond({ ':status': 200 }, { endStream: true })),
    );
    const { connection, opened, closed } = dial(await portOf(server));
    await opened;
    const words: unknown[] = [];
    for (let n = 0; n < 50; n++) {
      connection.send(AUTHORIZATION, { push: push('abcd'), answered: (answer) => words.push(word(answer)) });
    }
    connection.drain();
    assert.equal(connection.maxStreams, 0);
    assert.equal(await closed, undefined);
    assert.deepEqual(words, Array(50).fill(200));
    server.close();
  });
});

test('a server that knows no ALPN is taken', async () => {
  const server = createTlsServer({ cert, key }, (socket) => {
    performServerHandshake(socket).on('stream', (stream) => {
      stream.resume().on('end', () => stream.respond({ ':status': 200 }, { endStream: true }));
    });
  });
  const { connection, opened, closed } = dial(await portOf(server));
  await opened;
  const answer = await new Promise<Answer>((answered) => {
    connection.send(AUTHORIZATION, { push: push('abcd'), answered });
  });
  assert.equal(word(answer), 200);
  connection.destroy();
  await closed;
  server.close();
});

describe('a peer that is no APNs', () => {
  const servers: Server[] = [];
  after(() => {
    for (const server of servers) server.close();
  });

  async function listen(server: Server): Promise<number> {
    servers.push(server);
    return portOf(server);
  }
  const tls = (options: object, talk: (socket: Socket) => void) =>
    listen(createTlsServer({ cert, key, ...options }, (socket) => talk(socket.on('error', () => {}))));

  test('does not speak HTTP/2', async () => {
    const port = await tls({ ALPNProtocols: ['http/1.1'] }, () => {});
    assert.equal(await dial(port).closed, 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL');
  });

  test('does not speak TLS', async () => {
    const port = await listen(
      createServer((socket) => void socket.on('error', () => {}).end('220 hello\r\n')),
    );
    assert.match((await dial(port).closed)!, /^(ERR_SSL|EPROTO|ECONNRESET)/);
  });

  test('has a certificate that nobody vouches for, or of another name', async () => {
    const port = await tls({ ALPNProtocols: ['h2'] }, () => {});
    const stranger = createServerCertificate({ host: 'localhost', now: new Date() });
    const { closed } = dial(port, toPem('CERTIFICATE', stranger.certificate));
    assert.match((await closed)!, /^(DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_\w+)$/);
    const other = createServerCertificate({ host: 'example.org', now: new Date() });
    const [otherCert, otherKey] = [
      toPem('CERTIFICATE', other.certificate),
      toPem('PRIVATE KEY', other.privateKey).toString(),
    ];
    const wrongName = await tls({ ALPNProtocols: ['h2'], cert: otherCert, key: otherKey }, () => {});
    assert.equal(await dial(wrongName, otherCert).closed, 'ERR_TLS_CERT_ALTNAME_INVALID');
  });

  test('is not there', async () => {
    const server = createServer();
    const port = await portOf(server);
    server.close();
    await once(server, 'close');
    assert.equal(await dial(port).closed, 'ECONNREFUSED');
  });

  test('talks nonsense: it is told so, and nothing was processed', async () => {
    const heard: Buffer[] = [];
    const gone = deferred<void>();
    const port = await tls({ ALPNProtocols: ['h2'] }, (socket) => {
      socket.on('data', (chunk) => heard.push(chunk as Buffer)).on('close', () => gone.resolve());
      socket.write('HTTP/1.1 400 Bad Request\r\n\r\n');
    });
    const { connection, closed } = dial(port);
    const answer = new Promise<Answer>((answered) => {
      connection.send(AUTHORIZATION, { push: push('abcd'), answered });
    });
    assert.equal(await closed, 'FRAME_SIZE_ERROR');
    assert.equal(word(await answer), 'unprocessed');
    await gone.promise;
    assert.match(Buffer.concat(heard).toString('hex'), /0000080700000000000000000000000006$/);
  });

  test('hangs up', async () => {
    const port = await tls({ ALPNProtocols: ['h2'] }, (socket) => void socket.end());
    await dial(port).closed;
  });

  test('asks for ever and reads nothing', async () => {
    const ping = Buffer.from('0000080600000000000000000000000000', 'hex');
    const port = await tls({ ALPNProtocols: ['h2'] }, (socket) => {
      socket.pause();
      socket.write(Buffer.from('000000040000000000', 'hex'));
      const more = (): void => {
        if (socket.destroyed) return;
        if (socket.write(Buffer.concat(Array(4_000).fill(ping)))) setImmediate(more);
        else socket.once('drain', more);
      };
      more();
    });
    assert.equal(await dial(port).closed, 'ENHANCE_YOUR_CALM');
  });

  /** SETTINGS and a WINDOW_UPDATE that leave every window open; a 200 to the first push; a PING of no size. */
  const SETTINGS = '0000060400000000000004' + '7fffffff' + '0000040800000000007ff00000';
  const OK = '00000101050000000188';
  const BROKEN = '000000060000000000';
  /** Enough for the kernel to take what it takes: each lets one write through. */
  const turns = async (): Promise<void> => {
    for (let n = 0; n < 500; n++) await setImmediate();
  };

  test('breaks the rules and reads nothing: it is left at once and not heard any more', async () => {
    let peer: Socket | undefined;
    const port = await tls({ ALPNProtocols: ['h2'] }, (socket) => {
      peer = socket.pause();
      socket.write(Buffer.from(SETTINGS, 'hex'));
    });
    const { connection, opened, closed } = dial(port);
    await opened;
    const body = Buffer.alloc(4096);
    // More than the kernel takes.
    const answers = Array.from(
      { length: 4_000 },
      () =>
        new Promise<Answer>((answered) => {
          connection.send(AUTHORIZATION, { push: push('abcd', { body }), answered });
        }),
    );
    await turns();
    peer!.write(Buffer.from(BROKEN, 'hex'));
    peer!.write(Buffer.from(OK, 'hex'));
    assert.equal(await closed, 'FRAME_SIZE_ERROR');
    const told = await Promise.all(answers);
    assert.deepEqual([word(told[0]), word(told.at(-1))], ['unknown', 'unprocessed']);
    peer!.destroy();
  });

  test('negotiates TLS 1.2 anew', async () => {
    const port = await tls({ ALPNProtocols: ['h2'], maxVersion: 'TLSv1.2' }, (socket) => {
      const peer = socket.resume() as TLSSocket;
      peer.on('error', () => peer.destroy()).renegotiate({}, () => {});
    });
    assert.match((await dial(port).closed)!, /^ERR_SSL_/);
  });

  test('ends its side only', async () => {
    let peer: Socket | undefined;
    const port = await tls({ ALPNProtocols: ['h2'], allowHalfOpen: true }, (socket) => {
      peer = socket.pause();
      socket.write(Buffer.from(SETTINGS, 'hex'));
    });
    const { connection, opened, closed } = dial(port);
    await opened;
    const body = Buffer.alloc(4096);
    for (let n = 0; n < 4_000; n++) {
      connection.send(AUTHORIZATION, { push: push('abcd', { body }), answered: () => {} });
    }
    await turns();
    peer!.end();
    assert.equal(await closed, undefined);
    peer!.destroy();
  });

  test('is left in the moment of a push: that was not processed', async () => {
    const port = await tls({ ALPNProtocols: ['h2'] }, (socket) => {
      socket.write(Buffer.from(SETTINGS, 'hex'));
    });
    const { connection, opened, closed } = dial(port);
    await opened;
    const answers: Answer[] = [];
    connection.send(AUTHORIZATION, { push: push('abcd'), answered: (answer) => answers.push(answer) });
    connection.destroy();
    await closed;
    assert.deepEqual(answers.map(word), ['unprocessed']);
  });
});
