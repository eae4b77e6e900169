/** Peers of the gateway that stall: in the TLS handshake, in the headers, in a body. Closed at their deadlines. */
import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import { type Listener, startListener } from '../../../services/gateway/http/listener.js';
import type { Addresses } from '../../../services/gateway/limits/addresses.js';
import { gatewayMetrics } from '../../../services/gateway/metrics.js';
import { createServerCertificate, toPem } from '../../../shared/crypto/x509.js';
import { addressBlock } from '../../../shared/run/address-block.js';
import { addressesFor } from '../../support/admission.js';
import { countedMetrics } from '../../support/metrics.js';
import { eventually } from '../../support/world/eventually.js';

const SOON_MS = 100;
const HEAD = 'POST / HTTP/1.1\r\nhost: localhost\r\n';

describe('stalled connections to the gateway', () => {
  let listener: Listener;
  let addresses: Addresses;
  let tls: ConnectionOptions;

  before(async () => {
    const made = createServerCertificate({ host: 'localhost', now: new Date() });
    const cert = toPem('CERTIFICATE', made.certificate);
    addresses = addressesFor({ connections: 100, connectionsPerAddress: 100, failuresPerAddress: 100 });
    listener = await startListener({
      listen: { host: '127.0.0.1', port: 0 },
      tls: { cert, key: Buffer.from(toPem('PRIVATE KEY', made.privateKey)) },
      addresses,
      blockOf: addressBlock,
      metrics: countedMetrics(gatewayMetrics).handles,
      fetch: async (request) => new Response(await request.text()),
      deadlines: {
        handshakeMs: SOON_MS,
        headersMs: SOON_MS,
        requestMs: 2 * SOON_MS,
        keepAliveMs: SOON_MS,
        lookEveryMs: SOON_MS,
      },
    });
    tls = { host: '127.0.0.1', port: listener.port, servername: 'localhost', ca: cert };
  });
  after(async () => {
    listener.stop();
    await listener.close();
  });

  /** Resolves with what the server said, if anything, before it closed the connection. */
  function until(closing: Socket): Promise<string> {
    return new Promise((resolve) => {
      let heard = '';
      closing.on('data', (chunk) => {
        heard += chunk.toString('latin1');
      });
      closing.on('error', () => {});
      closing.once('close', () => resolve(heard));
    });
  }

  test('before and in the TLS handshake', async () => {
    const silent = connect(listener.port, '127.0.0.1');
    const halfway = connect(listener.port, '127.0.0.1');
    halfway.write(Uint8Array.of(0x16, 0x03, 0x01, 0x02, 0x00)); // a record that never comes
    await Promise.all([until(silent), until(halfway)]);
  });

  for (const [where, text] of [
    ['in the headers', HEAD],
    ['in the body', `${HEAD}content-length: 1000\r\n\r\nbegun`],
  ] as const) {
    test(where, async () => {
      const socket = connectTls(tls, () => socket.write(text));
      assert.match(await until(socket), /^(HTTP\/1\.1 408|$)/);
    });
  }

  test('idle after a request', async () => {
    const socket = connectTls(tls, () => socket.write(`${HEAD}content-length: 2\r\n\r\nok`));
    assert.match(await until(socket), /200 OK.*ok$/s);
  });

  test('and all of them are counted out', async () => {
    await eventually('nobody left', () => addresses.connections === 0);
  });
});
