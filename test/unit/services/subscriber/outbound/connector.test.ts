/** Connections to a gateway that doesn't answer, over real sockets of loopback. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { test } from 'node:test';
import { createConnector, dialTcp } from '../../../../../services/subscriber/outbound/connector.js';
import { sleep, systemClock } from '../../../../../shared/run/clock.js';
import { native } from '../../../../support/crypto.js';

test('a TLS handshake that stalls ends in a timeout, and in nothing that nobody listens to', async (t) => {
  const server = createServer((socket) => socket.on('error', () => {}).resume()).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const unheard: unknown[] = [];
  const hear = (error: unknown): void => void unheard.push(error);
  process.on('uncaughtException', hear);
  t.after(() => process.off('uncaughtException', hear));

  const { port } = server.address() as AddressInfo;
  const connector = createConnector({
    host: '127.0.0.1',
    port,
    ca: undefined,
    dial: dialTcp,
    crypto: native,
    clock: systemClock,
    timeoutMs: 50,
    trust: () => true,
  });
  const error = await new Promise<Error | null>((resolve) => {
    connector({ hostname: '127.0.0.1', protocol: 'https:', port: String(port) }, (...[why]) => resolve(why));
  });
  assert.deepEqual([error?.name, error?.message], ['ConnectError', 'timeout']);
  await sleep(systemClock, 20);
  assert.deepEqual(unheard, []);
});
