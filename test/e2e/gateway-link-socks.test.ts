/** The link to a gateway through a SOCKS5 proxy, also where the gateway is an onion service. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dialThrough } from '../../services/subscriber/outbound/connector.js';
import { createGatewayLink } from '../../services/subscriber/outbound/link.js';
import { linkMetrics } from '../../services/subscriber/outbound/metrics.js';
import { systemClock } from '../../shared/run/clock.js';
import { silentLog } from '../../shared/run/log.js';
import { Metrics } from '../../shared/run/metrics.js';
import { native as crypto } from '../support/crypto.js';
import { startFakeGateway } from '../support/fake-gateway.js';
import { makeFrame } from '../support/frames.js';
import { startSocksServer } from '../support/socks-server.js';

const ONION = `${'b'.repeat(56)}.onion`;

test('statement, hello and pushes all go through the proxy, which alone resolves the name', async () => {
  const gateway = await startFakeGateway({ crypto });
  const proxy = await startSocksServer({ names: { [ONION]: gateway.address.port } });
  const link = createGatewayLink({
    address: { ...gateway.address, host: ONION },
    identity: crypto.ed25519KeyPair(),
    crypto,
    clock: systemClock,
    log: silentLog,
    metrics: new Metrics('test_').add(linkMetrics),
    random: () => 0,
    dial: dialThrough({ host: '127.0.0.1', port: proxy.port }),
  });
  try {
    await new Promise<void>((resolve) => link.onAvailable(resolve));
    assert.equal((await link.push(makeFrame())).kind, 'accepted');
    assert.ok(proxy.requests.length > 0);
    assert.ok(proxy.requests.every(({ type, host }) => type === 'name' && host === ONION));
  } finally {
    await link.close();
    proxy.close();
    await gateway.close();
  }
});
