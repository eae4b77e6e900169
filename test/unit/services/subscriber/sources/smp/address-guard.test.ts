import assert from 'node:assert/strict';
import type { LookupAddress } from 'node:dns';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  AddressGuard,
  ForbiddenAddressError,
  parseAddress,
} from '../../../../../../services/subscriber/sources/smp/address-guard.js';

const guard = new AddressGuard();

const FORBIDDEN = [
  ...['0.0.0.0', '0.1.2.3', '10.0.0.1', '10.255.255.255', '100.64.0.1', '100.127.255.255', '127.0.0.1'],
  ...['127.255.255.254', '169.254.169.254', '172.16.0.1', '172.31.255.255', '192.0.0.192', '192.168.1.1'],
  ...['198.18.0.1', '198.19.255.255', '203.0.113.9', '224.0.0.1', '239.1.1.1', '240.0.0.1'],
  ...['255.255.255.255', '168.63.129.16', '100.100.100.200', '192.88.99.1'],
  ...['::', '::1', '[::1]', '::ffff:8.8.8.8', '::ffff:127.0.0.1', '::ffff:7f00:1', '::8.8.8.8'],
  ...['64:ff9b::8.8.8.8', '64:ff9b:1::1', '100::1', 'fe80::1', 'fe80::1%eth0', 'fc00::1', 'fd00:ec2::254'],
  ...['ff02::1', '2001::1', '2001:0:53aa:64c::1', '2001:db8::1', '2002:7f00:1::', '3fff::1', '4000::1'],
];
const PERMITTED = [
  ...['1.1.1.1', '9.255.255.255', '11.0.0.1', '100.63.255.255', '100.128.0.1', '126.0.0.1', '128.0.0.1'],
  ...['172.15.255.255', '172.32.0.1', '192.167.1.1', '192.169.1.1', '198.20.0.1', '223.255.255.255'],
  ...['2606:4700::1111', '[2606:4700::1111]', '2a00:1450:4001:80b::200e', '2001:4860::8888', '2003::1'],
];

/** Runs the guard's lookup as `net.connect` does. */
function lookedUp(found: LookupAddress[], all: boolean, by = guard): Promise<unknown> {
  const lookup = by.lookup((_name, _options, done) => done(null, found));
  return new Promise((resolve, reject) => {
    lookup('name', { all }, (error, ...rest) => (error ? reject(error) : resolve(rest)));
  });
}

describe('address guard', () => {
  for (const ip of FORBIDDEN) test(`forbids ${ip}`, () => assert.ok(!guard.permits(ip)));
  for (const ip of PERMITTED) test(`permits ${ip}`, () => assert.ok(guard.permits(ip)));

  test('judges only what is an address: names wait for their lookup', () => {
    assert.ok(guard.refuses('127.0.0.1') && guard.refuses('[::1]') && guard.refuses('::1'));
    assert.ok(!guard.refuses('localhost') && !guard.refuses('127.1') && !guard.refuses('1.1.1.1'));
    assert.ok(guard.refuses('fe80::1%eth0') && guard.refuses('[fe80::1%eth0]'), 'connect takes a zone');
    assert.ok(!guard.permits('localhost') && !guard.permits('2130706433') && !guard.permits(''));
  });

  test('an allow-list opens exactly its ranges', () => {
    const open = new AddressGuard(['127.0.0.0/8', '10.1.2.3', 'fd00::/8']);
    for (const ip of ['127.1.2.3', '10.1.2.3', 'fd12::1', '1.1.1.1']) assert.ok(open.permits(ip), ip);
    for (const ip of ['128.0.0.0/8', '10.1.2.4', 'fc00::1', '::1']) assert.ok(!open.permits(ip), ip);
  });

  test('a wrong allow-list is refused', () => {
    for (const range of ['', 'localhost', '10.0.0.0/33', '10.0.0.0/x', '10.0.0.0/', '::/129', '1.2.3/8']) {
      assert.throws(() => new AddressGuard([range]), RangeError, range);
    }
  });

  test('reads every form of an address', () => {
    assert.deepEqual([...parseAddress('1.2.3.4')!], [1, 2, 3, 4]);
    assert.equal(parseAddress('1.2.3'), undefined);
    fc.assert(
      fc.property(fc.ipV6(), (text) => {
        const bytes = parseAddress(text)!;
        assert.equal(bytes.length, 16);
        const words = Array.from({ length: 8 }, (_, i) =>
          ((bytes[2 * i]! << 8) | bytes[2 * i + 1]!).toString(16),
        );
        assert.deepEqual(parseAddress(words.join(':')), bytes);
      }),
    );
  });

  test('the lookup lets only permitted addresses through', async () => {
    const found = [
      { address: '10.0.0.1', family: 4 },
      { address: '1.1.1.1', family: 4 },
      { address: '::1', family: 6 },
      { address: '2606:4700::1', family: 6 },
    ];
    assert.deepEqual(await lookedUp(found, true), [[found[1], found[3]]]);
    assert.deepEqual(await lookedUp(found, false), ['1.1.1.1', 4]);
    await assert.rejects(lookedUp([found[0]!, found[2]!], true), ForbiddenAddressError);
  });

  test('a name that does not resolve is no forbidden one', async () => {
    const lookup = guard.lookup((_name, _options, done) => done(new Error('ENOTFOUND'), []));
    const error = await new Promise((resolve) => lookup('name', { all: true }, resolve));
    assert.ok(error instanceof Error && !(error instanceof ForbiddenAddressError));
  });
});
