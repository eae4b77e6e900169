import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { clientAddresses, parseNetwork } from '../../../../../services/gateway/http/client-address.js';

const PROXY = '10.0.0.1';
const clients = clientAddresses(['127.0.0.1', '10.0.0.0/8', '::1', 'fd00::/8']);

describe('whose request it is', () => {
  for (const [what, remote, header, block] of [
    ['no proxy: its own address, whatever the header says', '192.0.2.9', '198.51.100.1', '192.0.2.9'],
    ['a proxy without the header', PROXY, undefined, PROXY],
    ['a proxy and its client', PROXY, '198.51.100.1', '198.51.100.1'],
    ['what the client itself wrote stands to the left', PROXY, '203.0.113.7, 198.51.100.1', '198.51.100.1'],
    ['proxies in a row', PROXY, '198.51.100.1, 10.9.9.9,10.1.1.1', '198.51.100.1'],
    ['a proxy as the socket gives it', '::ffff:10.0.0.1', '198.51.100.1', '198.51.100.1'],
    ['IPv6, by its /64', '::1', '2001:db8:1:2::3', '2001:db8:1:2'],
    ['IPv6 in brackets', PROXY, '[2001:db8:1:2::3]', '2001:db8:1:2'],
    ['a mapped client', PROXY, '::ffff:198.51.100.1', '198.51.100.1'],
    ['an empty header', PROXY, '', PROXY],
    ['garbage at the right', PROXY, '198.51.100.1, unknown', PROXY],
    ['garbage behind a trusted hop', PROXY, 'x, 10.2.2.2', '10.2.2.2'],
    ['an empty hop', PROXY, '198.51.100.1,', PROXY],
    ['a port', PROXY, '198.51.100.1:80', PROXY],
    ['a zone', PROXY, 'fe80::1%eth0', PROXY],
    ['all of them trusted', PROXY, '10.3.3.3, 10.2.2.2', '10.3.3.3'],
    ['loopback by name is not trusted as loopback is', PROXY, '127.0.0.9', 'loopback by name'],
    ['nothing but spaces', PROXY, ' \t ', PROXY],
  ] as const) {
    test(what, () => assert.equal(clients.blockOf(remote, header), block));
  }

  test('only so many hops are looked at', () => {
    const hops = ['198.51.100.1', ...Array.from({ length: 20 }, (_, i) => `10.0.1.${i}`)].join(',');
    assert.equal(clients.blockOf(PROXY, hops), '10.0.1.12');
  });

  test('without trusted proxies the header is never read', () => {
    assert.equal(clientAddresses([]).blockOf('127.0.0.1', '198.51.100.1'), 'loopback');
  });
});

test('networks', () => {
  assert.deepEqual(parseNetwork('10.0.0.0/8'), { address: '10.0.0.0', bits: 8 });
  assert.deepEqual(parseNetwork('fd00::1'), { address: 'fd00::1', bits: 128 });
  for (const bad of [
    '',
    'localhost',
    '10.0.0.0/33',
    '10.0.0.0/',
    '10.0.0.0/8/8',
    '10.0.0/8',
    'fe80::1%lo',
    '::/129',
    '10.0.0.0/-1',
  ]) {
    assert.equal(parseNetwork(bad), undefined, bad);
  }
});
