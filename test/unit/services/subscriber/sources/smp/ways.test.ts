/** Which way leads to a server, and how the configuration names it. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Dial, DialOptions } from '../../../../../../services/subscriber/sources/smp/transport.js';
import { dialByWays, type Way } from '../../../../../../services/subscriber/sources/smp/ways.js';
import { wayOf, waysField } from '../../../../../../services/subscriber/sources/smp/ways-config.js';
import { toBase64url } from '../../../../../../shared/encoding/base64url.js';

const KEY = new Uint8Array(32).fill(1);
const OTHER = new Uint8Array(32).fill(2);

/** What is dialled for this target. */
async function dialled(ways: readonly Way[], target: Partial<DialOptions>): Promise<string> {
  let text = '';
  const dial =
    (kind: string): Dial =>
    async ({ host, port, circuit }) => {
      text = [kind, host, port, circuit].join(' ');
      throw new Error('enough');
    };
  const dials = { tls: dial('tls'), websocket: dial('websocket') };
  const whole = { host: 'a.example', port: 5223, keyHash: KEY, circuit: 'c', ...target };
  await assert.rejects(dialByWays(ways, dials)(whole, new AbortController().signal), /enough/);
  return text;
}

describe('ways', () => {
  const ways: readonly Way[] = [
    { host: 'A.example.', transport: 'websocket', port: 443 },
    { host: 'a.example', fingerprint: OTHER, transport: 'tls', port: 444 },
    { host: 'b.example', transport: 'websocket' },
    { host: '2001:DB8::1', transport: 'websocket' },
    { host: 'c.example', fingerprint: OTHER, transport: 'websocket' },
  ];

  test('a host’s, in any spelling of its name', async () => {
    assert.equal(await dialled(ways, {}), 'websocket a.example 443 c');
    assert.equal(await dialled(ways, { host: 'a.EXAMPLE.' }), 'websocket a.EXAMPLE. 443 c');
    assert.equal(await dialled(ways, { host: '[2001:db8::1]' }), 'websocket [2001:db8::1] 5223 c');
  });

  test('a fingerprint’s before its host’s', async () => {
    assert.equal(await dialled(ways, { keyHash: OTHER }), 'tls a.example 444 c');
  });

  test('at the address’s port unless it names one', async () => {
    assert.equal(await dialled(ways, { host: 'b.example', port: 80 }), 'websocket b.example 80 c');
  });

  test('TLS for all others, of the same host too', async () => {
    assert.equal(await dialled(ways, { host: 'c.example' }), 'tls c.example 5223 c');
    assert.equal(await dialled(ways, { host: 'x.b.example' }), 'tls x.b.example 5223 c');
    assert.equal(await dialled([], {}), 'tls a.example 5223 c');
  });
});

describe('[[smp.servers]]', () => {
  const fingerprint = toBase64url(OTHER);
  const good = { host: 'a.example', transport: 'websocket' };

  test('becomes ways', () => {
    const [way] = waysField.parse([{ ...good, fingerprint, port: 443 }]).map(wayOf);
    assert.deepEqual(way, { host: 'a.example', fingerprint: OTHER, transport: 'websocket', port: 443 });
    assert.deepEqual(waysField.parse(undefined), []);
    assert.equal(waysField.parse([good, { ...good, fingerprint }, { ...good, host: 'b' }]).length, 3);
  });

  const wrong: readonly object[][] = [
    [{ host: 'a.example' }],
    [{ transport: 'websocket' }],
    [{ ...good, transport: 'quic' }],
    [{ ...good, host: 'smp://a.example' }],
    [{ ...good, host: '' }],
    [{ ...good, port: 0 }],
    [{ ...good, port: 65_536 }],
    [{ ...good, fingerprint: 'AAAA' }],
    [{ ...good, path: '/' }],
    [good, { ...good, host: 'A.Example.', port: 1 }],
    [
      { ...good, fingerprint },
      { ...good, fingerprint: fingerprint.replace('=', '') },
    ],
    Array.from({ length: 257 }, (_, i) => ({ ...good, host: `h${i}` })),
  ];
  for (const servers of wrong) {
    test(`refuses ${JSON.stringify(servers).slice(0, 100)}`, () => {
      assert.equal(waysField.safeParse(servers).success, false);
    });
  }
});
