import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ONION_BLOCK, PROXY_BLOCK } from '../../../../../services/gateway/limits/addresses.js';
import { addressBlock } from '../../../../../shared/run/address-block.js';
import { VirtualClock } from '../../../../../shared/run/clock.js';
import { addressesFor } from '../../../../support/admission.js';

describe('address block', () => {
  for (const [address, block] of [
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['127.0.0.5', 'loopback'],
    ['::1', 'loopback'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2'],
    ['2001:DB8:1:2::9', '2001:db8:1:2'],
    ['2001:db8::9', '2001:db8:0:0'],
    ['fe80::1%eth0', 'fe80:0:0:0'],
    ['::', '0:0:0:0'],
    [undefined, 'loopback'],
  ] as const) {
    test(String(address), () => assert.equal(addressBlock(address), block));
  }
});

describe('addresses', () => {
  const clock = new VirtualClock();
  const make = () => addressesFor({ clock, connections: 4, connectionsPerAddress: 2, failuresPerAddress: 3 });

  test('connections of one block and in all', () => {
    const addresses = make();
    assert.ok(addresses.enter('a') && addresses.enter('a'));
    assert.ok(!addresses.enter('a'));
    assert.ok(addresses.enter('b') && addresses.enter('c'));
    assert.ok(!addresses.enter('d'), 'the whole is full');
    addresses.leave('a');
    assert.ok(addresses.enter('a'));
    assert.equal(addresses.connections, 4);
  });

  test('loopback may use all of them', () => {
    const addresses = make();
    for (let i = 0; i < 4; i++) assert.ok(addresses.enter('loopback'));
    assert.ok(!addresses.enter('loopback'));
  });

  test('failures block for as long as they last, one a second', async () => {
    const addresses = make();
    for (let i = 0; i < 3; i++) addresses.failed('a');
    assert.equal(addresses.blockedSeconds('a'), 1);
    assert.equal(addresses.blockedSeconds('b'), 0);
    await clock.advance(1000);
    assert.equal(addresses.blockedSeconds('a'), 0);
    for (let i = 0; i < 9; i++) addresses.failed('loopback');
    assert.equal(addresses.blockedSeconds('loopback'), 0);
  });

  test('a flood of failures blocks while it lasts, and no longer', async () => {
    const addresses = make();
    for (let i = 0; i < 10_000; i++) addresses.failed(ONION_BLOCK);
    assert.equal(addresses.blockedSeconds(ONION_BLOCK), 1);
    await clock.advance(1000);
    assert.equal(addresses.blockedSeconds(ONION_BLOCK), 0);
  });
});

describe('pools and rates', () => {
  const clock = new VirtualClock();

  test('what comes through Tor has a share of its own', () => {
    const addresses = addressesFor({ clock, connections: 4, connectionsPerAddress: 2, onionConnections: 3 });
    assert.deepEqual(
      [1, 2, 3, 4].map(() => addresses.enter(ONION_BLOCK)),
      [true, true, true, false],
    );
    assert.ok(addresses.enter('a'));
  });

  test('connections that come and go are so many a second', async () => {
    const addresses = addressesFor({ clock, connectionsPerAddress: 5 });
    const come = (block: string): boolean => {
      const isIn = addresses.enter(block);
      if (isIn) addresses.leave(block);
      return isIn;
    };
    let n = 0;
    while (come('a')) n++;
    assert.equal(n, 10);
    assert.ok(come('b'));
    await clock.advance(1_000);
    n = 0;
    while (come('a')) n++;
    assert.equal(n, 10);
    for (let i = 0; i < 1_000; i++) assert.ok(come('loopback') && come(PROXY_BLOCK));
  });

  test('requests under way of a block behind a proxy are as many as it could have connections', () => {
    const addresses = addressesFor({ clock, connectionsPerAddress: 2 });
    assert.deepEqual(
      [1, 2, 3].map(() => addresses.begin('a')),
      [true, true, false],
    );
    assert.ok(addresses.begin('b'));
    addresses.end('a');
    assert.ok(addresses.begin('a'));
  });

  test('what is remembered of blocks is bounded', () => {
    const addresses = addressesFor({ clock });
    for (let n = 0; n < 50_000; n++) {
      addresses.failed(`${n}`);
      addresses.newcomer(`${n}`);
      if (addresses.enter(`${n}`)) addresses.leave(`${n}`);
    }
    assert.equal(addresses.size, 30_000);
    assert.equal(addresses.connections, 0);
  });
});
