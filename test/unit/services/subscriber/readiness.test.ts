import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { GatewayFacts } from '../../../../services/subscriber/outbound/gateway-link.js';
import { unreadyGateway } from '../../../../services/subscriber/readiness.js';

const facts = (profile: string): GatewayFacts => ({
  identityKey: new Uint8Array(32),
  sealing: { keyId: new Uint8Array(4), publicKey: new Uint8Array(32) },
  apps: new Map([['chat.example', ['production']]]),
  profiles: new Map([['chat.example', [profile]]]),
  clockOffset: 0,
});
const listener = { gateway: 'main', topic: 'chat.example', profile: 'porchlight' } as const;
const judge = (link: { facts: GatewayFacts | undefined; available: boolean }, listeners = [listener]) =>
  unreadyGateway(new Map([['main', link]]), listeners);

test('ready once each gateway has been reached and takes pushes', () => {
  assert.equal(judge({ facts: undefined, available: true }), 'gateway main not reached');
  assert.equal(judge({ facts: facts('porchlight'), available: false }), 'gateway main unavailable');
  assert.equal(judge({ facts: facts('porchlight'), available: true }), undefined);
});

test('not ready where a gateway renders an app in another profile', () => {
  const link = { facts: facts('simplex'), available: true };
  assert.equal(judge(link), 'gateway main: app in another profile');
  assert.equal(judge(link, [{ ...listener, gateway: 'other' } as never]), undefined);
});

test('not ready where a gateway does not serve an app', () => {
  const link = { facts: facts('porchlight'), available: true };
  assert.equal(judge(link, [{ ...listener, topic: 'another.app' } as never]), 'gateway main: app not served');
});
