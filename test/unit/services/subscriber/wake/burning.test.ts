import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GatewayRefusal } from '../../../../../services/subscriber/outbound/gateway-link.js';
import type { BurnProgress } from '../../../../../services/subscriber/wake/burning.js';
import { loadCrypto } from '../../../../../shared/crypto/load.js';
import { registration } from '../../../../support/registry.js';
import { type WakeRig, wakeRig } from '../../../../support/wake.js';

const crypto = await loadCrypto();
const MINUTE = 60_000;

/** Three phones, and a stranger that never proved anything. */
async function rigOfThree(): Promise<WakeRig> {
  const rig = wakeRig(crypto);
  for (const token of [1, 2, 3]) await rig.active(token);
  rig.engine.verify(rig.registry.register(registration(4, 4))!);
  await rig.clock.advance(0);
  return rig;
}

test('every proven capability is revoked once, and its device is not woken any more', async () => {
  const rig = await rigOfThree();
  const said: BurnProgress[] = [];
  const signal = new AbortController().signal;
  assert.deepEqual(await rig.engine.burn((line) => said.push(line), signal), { revoked: 3, total: 3 });
  assert.deepEqual(rig.link.revoked, [2, 4, 6]);
  assert.deepEqual(said.at(-1), { revoked: 3, total: 3 });
  assert.deepEqual(await rig.engine.burn(() => {}, signal), { revoked: 0, total: 0 });
});

test('goes on for as long as it takes, at the pace that the gateway asks for', async () => {
  const rig = await rigOfThree();
  const since = rig.clock.monotonic();
  const refusals = [new GatewayRefusal('rate', 30), new GatewayRefusal('no-answer'), new Error('anything')];
  rig.link.revocation = async () => {
    const refusal = refusals.pop();
    if (refusal !== undefined) throw refusal;
  };
  let endedAt = 0;
  const burning = rig.engine.burn(() => {}, new AbortController().signal);
  void burning.then(() => {
    endedAt = rig.clock.monotonic();
  });
  await rig.clock.advance(10 * MINUTE);
  assert.deepEqual(await burning, { revoked: 3, total: 3 });
  assert.ok(endedAt - since >= 30_000);
});

test('what is over already counts as revoked; whoever stops waiting stops it', async () => {
  const rig = await rigOfThree();
  rig.link.revocation = async () => {
    if (rig.link.revoked.length > 1) throw new GatewayRefusal('no-answer');
    throw new GatewayRefusal('bad-capability');
  };
  const gone = new AbortController();
  const burning = rig.engine.burn(() => {}, gone.signal);
  await rig.clock.advance(MINUTE);
  gone.abort();
  await rig.clock.advance(MINUTE);
  assert.deepEqual(await burning, { revoked: 1, total: 3 });
  rig.link.revocation = undefined;
  assert.deepEqual(await rig.engine.burn(() => {}, new AbortController().signal), { revoked: 2, total: 2 });
});
