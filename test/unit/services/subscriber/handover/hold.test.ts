/** What holds a subscriber still: the gate for timers and answers, the journal for messaging servers. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  Gate,
  gatedClock,
  gatedLink,
  shiftedClock,
} from '../../../../../services/subscriber/handover/gate.js';
import { Journal } from '../../../../../services/subscriber/handover/journal.js';
import type { SourceSink } from '../../../../../services/subscriber/sources/source.js';
import { VirtualClock } from '../../../../../shared/run/clock.js';
import { capability, FakeLink } from '../../../../support/fake-link.js';

describe('gate', () => {
  test('timers that are due while it is held run when it is released, in order; cancelled ones do not', async () => {
    const [clock, gate] = [new VirtualClock(), new Gate()];
    const gated = gatedClock(clock, gate);
    const ran: number[] = [];
    const timers = [1, 2, 3].map((ms) => gated.after(ms, () => ran.push(ms)));
    gate.hold();
    await clock.advance(10);
    timers[1]!.cancel();
    assert.equal(ran.length, 0);
    gate.release();
    assert.deepEqual(ran, [1, 3]);
    gated.after(1, () => ran.push(4));
    await clock.advance(1);
    assert.deepEqual(ran, [1, 3, 4]);
  });

  test('answers wait, good and bad ones, and the gateway seems to be away', async () => {
    const [link, gate] = [new FakeLink(), new Gate()];
    const gated = gatedLink(link, gate);
    const seen: string[] = [];
    gate.hold();
    const renewed = gated.renew(capability(1)).then(() => seen.push('renewed'));
    link.exchange = () => Promise.reject(new Error('no'));
    const refused = gated.exchange(capability(1)).catch(() => seen.push('refused'));
    gated.onAvailable(() => seen.push('available'));
    link.setAvailable(true);
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual([seen, gated.available], [[], false]);
    gate.release();
    await Promise.all([renewed, refused]);
    assert.deepEqual(seen.sort(), ['available', 'refused', 'renewed']);
    assert.equal(gated.available, true);
  });

  test('commands pass at once, or when it is released', async () => {
    const gate = new Gate();
    assert.equal(gate.passed(), undefined);
    gate.hold();
    const passed = gate.passed();
    gate.release();
    await passed;
  });

  test("a successor's time goes on where its predecessor's stands", () => {
    const clock = shiftedClock(new VirtualClock(), 5_000);
    assert.equal(clock.monotonic(), 5_000);
  });
});

function recorder() {
  const told: string[] = [];
  const sink: SourceSink = {
    status: (ref, status) => void told.push(`${ref} ${status.kind}`),
    signal: (ref, nonce) => void told.push(`${ref} signal ${nonce[0]}`),
    maybeMissed: (ref) => void told.push(`${ref} missed`),
  };
  return { told, sink };
}

const METADATA = new Uint8Array(144);
const nonce = (n: number): Uint8Array => new Uint8Array(24).fill(n);

describe('journal', () => {
  test('tells at once; held, it keeps the newest of each queue, statuses on the right side of it', () => {
    const { told, sink } = recorder();
    const journal = new Journal(sink);
    journal.signal(1, nonce(1), METADATA);
    assert.deepEqual(told.splice(0), ['1 signal 1']);
    journal.hold();
    const buffer = nonce(2);
    journal.status(1, { kind: 'active' });
    journal.signal(1, buffer, METADATA);
    buffer.fill(9); // a source's buffers are its own
    journal.signal(2, nonce(3), METADATA);
    journal.signal(2, nonce(4), METADATA);
    journal.status(2, { kind: 'end' });
    journal.maybeMissed(3);
    journal.status(3, { kind: 'inactive' });
    assert.deepEqual(told, []);
    journal.release();
    assert.deepEqual(told.splice(0), [
      ...['1 active', '1 signal 2'],
      ...['2 signal 4', '2 end'],
      ...['3 missed', '3 inactive'],
    ]);
    journal.signal(4, nonce(5), METADATA);
    assert.deepEqual(told, ['4 signal 5']);
  });

  test('released to another sink, that one gets all from then on', () => {
    const [own, other] = [recorder(), recorder()];
    const journal = new Journal(own.sink);
    journal.hold();
    journal.signal(1, nonce(1), METADATA);
    journal.release(other.sink);
    journal.maybeMissed(1);
    assert.deepEqual([own.told, other.told], [[], ['1 signal 1', '1 missed']]);
  });

  test('more signals than it keeps are flags', () => {
    const { told, sink } = recorder();
    const journal = new Journal(sink);
    journal.hold();
    const count = 180_000;
    for (let ref = 0; ref < count; ref++) journal.signal(ref, nonce(1), new Uint8Array(0));
    journal.release();
    assert.equal(told.length, count);
    const flags = told.filter((line) => line.endsWith('missed'));
    assert.ok(flags.length > 0 && flags.length < count / 2);
  });
});
