/** Differential check: `@parse/node-apn` and our engine say the same about the same pushes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import apn from '@parse/node-apn';
import type { ApnsResult } from '../../../services/gateway/apns/engine.js';
import { device, engineFor, KEY, push, startWorld, TEAM, TOPIC } from '../../support/apns/setup.js';

test('both clients get the same answers and deliver the same pushes', async () => {
  const world = await startWorld();
  const { simulator, key } = world;
  const engine = engineFor(world);
  const provider = new apn.Provider({
    token: {
      key: key.privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
      keyId: KEY,
      teamId: TEAM,
    },
    ...{ address: '127.0.0.1', port: simulator.ports.production! },
    ca: simulator.ca as unknown as Buffer[],
    production: true,
  });
  try {
    const live = device(world);
    const dead = device(world);
    simulator.devices.find('production', dead)!.gone = { reason: 'Unregistered', at: world.clock.now() };
    const theirs: string[] = [];
    const ours: string[] = [];
    for (const token of [live, dead, 'abcd']) {
      const { body, expiration } = push(token);
      const notification = new apn.Notification();
      Object.assign(notification, { topic: TOPIC, pushType: 'alert', priority: 10, expiry: expiration });
      notification.rawPayload = JSON.parse(Buffer.from(body).toString());
      const { sent, failed } = await provider.send(notification, token);
      theirs.push(sent.length > 0 ? 'accepted' : String(failed[0]?.response?.reason));
      ours.push(wordOf(await engine.send(push(token))));
    }
    assert.deepEqual(theirs, ['accepted', 'Unregistered', 'BadDeviceToken']);
    assert.deepEqual(ours, theirs);
    const [first, second] = simulator.deliveries.read().map(({ seq, at, apnsId, ...same }) => same);
    assert.deepEqual(second, first);
  } finally {
    await provider.shutdown();
    await engine.close(0);
    await simulator.close();
  }
});

function wordOf(result: ApnsResult): string {
  if (result.kind !== 'dead') return result.kind;
  return result.reason === 'bad' ? 'BadDeviceToken' : 'Unregistered';
}
