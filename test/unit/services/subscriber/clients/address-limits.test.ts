import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AddressLimits } from '../../../../../services/subscriber/clients/address-limits.js';
import { addressBlock } from '../../../../../shared/run/address-block.js';
import { VirtualClock } from '../../../../../shared/run/clock.js';

describe('handshakes per address', () => {
  const make = (addresses = 100) => {
    const clock = new VirtualClock();
    const perAddress = { burst: 3, perSecond: 0.5 };
    const limits = new AddressLimits({ clock, perAddress, loopback: { burst: 5, perSecond: 1 }, addresses });
    const taken = (address: string, n: number): number =>
      Array.from({ length: n }, () => limits.take(address)).filter(Boolean).length;
    return { clock, taken };
  };

  it('lets a burst pass and then the rate', async () => {
    const { clock, taken } = make();
    assert.equal(taken('192.0.2.1', 10), 3);
    assert.equal(taken('192.0.2.2', 10), 3);
    await clock.advance(2_000);
    assert.equal(taken('192.0.2.1', 10), 1);
    await clock.advance(3_600_000);
    assert.equal(taken('192.0.2.1', 10), 3);
  });

  it('counts an IPv6 /64 as one, and loopback as a pool of its own', () => {
    const { taken } = make();
    assert.equal(taken('2001:db8:1:2::1', 2) + taken('2001:db8:1:2:ffff::9', 10), 3);
    assert.equal(taken('2001:db8:1:3::1', 10), 3);
    assert.equal(taken('127.0.0.1', 3) + taken('::1', 10), 5);
  });

  it('forgets the address that was quiet longest when there are too many', () => {
    const { taken } = make(2);
    assert.equal(taken('192.0.2.1', 3), 3);
    assert.equal(taken('192.0.2.2', 1) + taken('192.0.2.3', 1), 2);
    assert.equal(taken('192.0.2.1', 1), 1);
  });

  it('names blocks', () => {
    assert.equal(addressBlock('::ffff:192.0.2.1'), '192.0.2.1');
    assert.equal(addressBlock('::ffff:127.0.0.1'), 'loopback');
    assert.equal(addressBlock('2001:0DB8::1'), '2001:db8:0:0');
    assert.equal(addressBlock('fe80::1%eth0'), 'fe80:0:0:0');
    assert.equal(addressBlock('::2'), '0:0:0:0');
    assert.equal(addressBlock(undefined), 'loopback');
  });
});
