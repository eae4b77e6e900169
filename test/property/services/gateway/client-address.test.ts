/** `X-Forwarded-For` is written by strangers: any text ends in a block, in time, and never in a stranger's choice. */
import assert from 'node:assert/strict';
import { isIP } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import { clientAddresses, lastUntrusted } from '../../../../services/gateway/http/client-address.js';

const PROXY = '10.0.0.1';
const clients = clientAddresses(['10.0.0.0/8']);
const hop = fc.oneof(
  fc.ipV4(),
  fc.ipV6(),
  fc.ipV6().map((address) => `[${address}]`),
  fc.constantFrom('', ' ', 'unknown', '_x', '10.0.0.2', '127.0.0.1', '::', '[', ']', '[]', '%', '"1.2.3.4"'),
  fc.string({ maxLength: 60 }),
);
const garbage = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 9000 }),
  fc.array(hop).map((hops) => hops.join(',')),
);

test('any header gives a block', () => {
  fc.assert(
    fc.property(garbage, (header) => {
      const block = clients.blockOf(PROXY, header);
      assert.ok(block.length > 0 && block.length < 64);
      assert.notEqual(block, 'loopback');
      assert.notEqual(block, 'onion');
      assert.notEqual(block, 'proxy');
    }),
    { numRuns: 500 },
  );
});

test('what stands to the left of the proxy’s own word changes nothing', () => {
  const client = fc.ipV4().filter((address) => !address.startsWith('10.'));
  fc.assert(
    fc.property(garbage, client, (header, address) => {
      assert.equal(clients.blockOf(PROXY, `${header}, ${address}`), clients.blockOf(PROXY, address));
    }),
    { numRuns: 500 },
  );
});

test('only an address comes out', () => {
  fc.assert(
    fc.property(garbage, fc.boolean(), (header, trusted) => {
      const last = lastUntrusted(header, () => trusted);
      assert.ok(last === undefined || isIP(last) !== 0);
    }),
  );
});
