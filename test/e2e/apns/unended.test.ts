/** A peer that accepts pushes and never ends their streams, as nothing in HTTP/2 forbids. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createSecureServer, type ServerHttp2Session } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { http2Dial } from '../../../services/gateway/apns/http2/dial.js';
import { createServerCertificate, toPem } from '../../../shared/crypto/x509.js';
import { push } from '../../support/apns/setup.js';

const PUSHES = 40;

test('200 without an end takes no place for ever', { timeout: 20_000 }, async () => {
  const made = createServerCertificate({ host: 'localhost', now: new Date() });
  const cert = toPem('CERTIFICATE', made.certificate);
  const key = toPem('PRIVATE KEY', made.privateKey).toString();
  const server = createSecureServer({ cert, key, settings: { maxConcurrentStreams: 4 } });
  const sessions: ServerHttp2Session[] = [];
  server.on('session', (session) => sessions.push(session));
  server.on('stream', (stream) => {
    stream.on('error', () => {});
    stream.respond({ ':status': 200 });
  });
  await once(server.listen(0, 'localhost'), 'listening');
  const { port } = server.address() as AddressInfo;
  let closed = (): void => {};
  const isClosed = new Promise<void>((resolve) => {
    closed = resolve;
  });
  let opened = (): void => {};
  const isOpen = new Promise<void>((resolve) => {
    opened = resolve;
  });
  const listener = { settings: () => opened(), goaway: () => {}, closed: () => closed() };
  const connection = http2Dial({ host: 'localhost', port, ca: cert }, Math.random)(listener);
  await isOpen;
  const send = (): Promise<string> =>
    new Promise((resolve) => {
      const answered = (answer: { kind: string }): void => resolve(answer.kind);
      assert.ok(connection.send('bearer token', { push: push('ab'), answered }));
    });
  for (let i = 0; i < PUSHES; i++) {
    // Node from 22 on resets a stream that comes right behind the reset of another: the pool sends such a push again.
    const kind = await send();
    assert.equal(kind === 'response' ? kind : await send(), 'response', `push ${i}`);
  }
  connection.destroy();
  for (const session of sessions) session.destroy();
  server.close();
  await isClosed;
});
