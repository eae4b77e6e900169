/** What Redis learns: everything that it was told and everything that it holds is searched for things it must not know. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Redis } from 'ioredis';
import { utf8 } from '../../shared/encoding/bytes.js';
import { sleep, systemClock } from '../../shared/run/clock.js';
import { makeFrame } from '../support/frames.js';
import { startGatewayPair } from '../support/gateway-pair.js';
import { RedisServer } from '../support/redis-server.js';
import { filesBelow, formsOf, keysIn } from '../support/secret-search.js';

test('no token, capability, key or name of a subscriber reaches Redis', async () => {
  const server = await RedisServer.start();
  const redis = new Redis(server.port, '127.0.0.1');
  const monitor = await redis.monitor();
  const told: string[] = [];
  monitor.on('monitor', (_, args: string[]) => told.push(args.join(' ')));
  const pair = await startGatewayPair({ URLS: server.url, TIMEOUT_MS: '3000' });
  const secrets = new Map<string, Uint8Array>();
  for (let n = 0; n < 20; n++) {
    const { capability, token } = pair.device();
    secrets.set(`capability ${n}`, capability);
    secrets.set(`token ${n}`, Buffer.from(token, 'hex'));
    secrets.set(`token ${n} as text`, utf8(token));
    const frame = makeFrame({ capability });
    secrets.set(`frame id ${n}`, frame.id);
    // Also across gateways, and one that is refused.
    for (const { client } of pair.gateways) await client.push(frame);
  }
  const { identity } = pair.gateways[0]!.client;
  secrets.set('public key of the subscriber', identity.publicKey);
  for (const [path, key] of keysIn(filesBelow(pair.state))) secrets.set(path, key);
  assert.ok(secrets.size > 84, 'the keys of the state folder are among them');
  await sleep(systemClock, 100);

  const held: Buffer[] = [];
  for await (const keys of redis.scanStream()) {
    for (const key of keys as string[]) {
      const value = await redis.getBuffer(key);
      const dump = await redis.dumpBuffer(key);
      held.push(Buffer.from(key), value ?? Buffer.alloc(0), dump ?? Buffer.alloc(0));
    }
  }
  assert.ok(held.length > 100 && told.length > 20, `${held.length} held, ${told.length} told`);
  const place = Buffer.concat([...held, Buffer.from(told.join('\n'))]);
  const found = [...secrets].filter(([, secret]) => formsOf(secret).some((form) => place.includes(form)));
  assert.deepEqual(
    found.map(([name]) => name),
    [],
  );
  // The search finds what is there.
  const known = told.find((line) => /accepted none 0/.test(line));
  assert.ok(known !== undefined && place.includes('porchlight:{'));
  assert.ok(readFileSync(`${pair.state}/shared-limits.key`).length === 32);

  monitor.disconnect();
  redis.disconnect();
  await pair.close();
  await server.close();
});
