/** The pairing URI: what is written is read again as the same, and nothing else gets through. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { toBase64urlBare } from '../../../../shared/encoding/base64url.js';
import { DecodeError } from '../../../../shared/encoding/reader.js';
import { PROFILES } from '../../../../shared/relay/constants.js';
import { formatPairing, MAX_PAIRING, type Pairing, parsePairing } from '../../../../shared/sdk/pairing.js';

const label = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?$/);
const name = fc
  .tuple(fc.array(label, { maxLength: 4 }), fc.stringMatching(/^[a-z]{1,12}$/))
  .map(([labels, last]) => [...labels, last].join('.'));
const ipv6 = fc.oneof(
  fc.array(fc.stringMatching(/^[0-9a-f]{1,4}$/), { minLength: 8, maxLength: 8 }).map((g) => g.join(':')),
  fc.constantFrom('::', '::1', 'fd00::', 'fe80::1:2', '2001:db8::5'),
);
const host = fc.oneof(name, fc.ipV4(), ipv6);
const port = fc.oneof(fc.constant(443), fc.integer({ min: 1, max: 65_535 }));
const hash = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Uint8Array.from(bytes));

const PLAIN = { noNullPrototype: true } as const;
const pairing: fc.Arbitrary<Pairing> = fc.record(
  {
    subscriber: fc.record({ keyHash: hash, host, port }, PLAIN),
    gateway: fc.record({ fingerprint: hash.map(toBase64urlBare), host, port }, PLAIN),
    topic: fc.stringMatching(/^[A-Za-z0-9.-]{1,60}$/),
    profile: fc.constantFrom(...PROFILES),
  },
  PLAIN,
);

const sample: Pairing = {
  subscriber: { keyHash: new Uint8Array(32).fill(1), host: 'home.example', port: 443 },
  gateway: { fingerprint: toBase64urlBare(new Uint8Array(32).fill(2)), host: 'push.example', port: 8443 },
  topic: 'chat.example.app',
  profile: 'porchlight',
};
const URI =
  'porchlight://AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE@home.example' +
  '?gateway=AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI@push.example:8443' +
  '&topic=chat.example.app&profile=porchlight';

/** The value, or undefined; anything but `DecodeError` is an error of the test. */
function read(text: string): Pairing | undefined {
  try {
    return parsePairing(text);
  } catch (error) {
    assert.ok(error instanceof DecodeError, String(error));
    assert.ok(error.message.length < 40, error.message);
    return undefined;
  }
}

describe('the pairing URI', () => {
  test('its form', () => {
    assert.equal(formatPairing(sample), URI);
    assert.deepEqual(parsePairing(URI), sample);
  });

  test('what is written is read as the same', () => {
    fc.assert(
      fc.property(pairing, (value) => {
        const text = formatPairing(value);
        assert.deepEqual(parsePairing(text), value);
        assert.ok(text.length <= MAX_PAIRING && /^[!-~]+$/.test(text));
      }),
    );
  });

  test('any text is read or refused, and what is read is written as one form', () => {
    const near = fc
      .tuple(
        fc.nat(URI.length),
        fc.nat(3),
        fc.oneof(fc.string({ maxLength: 4 }), fc.constantFrom('?', '&', '@', ':', '=')),
      )
      .map(([at, drop, put]) => URI.slice(0, at) + put + URI.slice(at + drop));
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.string().map((text) => `porchlight://${text}`),
          near,
        ),
        (text) => {
          const value = read(text);
          if (value !== undefined) assert.deepEqual(parsePairing(formatPairing(value)), value);
        },
      ),
      { numRuns: 2_000 },
    );
  });

  test('order and unknown parameters are free; 443 may stand there', () => {
    const [start, query] = URI.split('?') as [string, string];
    const mixed = ['x=1', ...query.split('&').reverse(), 'later=a:b,c'].join('&');
    assert.deepEqual(parsePairing(`${start}:443?${mixed}`), sample);
  });

  const REFUSED: [what: string, text: string][] = [
    ['another scheme', URI.replace('porchlight:', 'https:')],
    ['capitals in the scheme', URI.replace('porchlight:', 'Porchlight:')],
    ['no fingerprint', URI.replace(/\/\/.*@home/, '//home')],
    ['a padded fingerprint', URI.replace('@home', '=@home')],
    ['a short fingerprint', URI.replace('AQ', '')],
    ['bits behind the fingerprint', URI.replace('QE@', 'QF@')],
    ['a path', URI.replace('?', '/?')],
    ['a fragment', `${URI}#x`],
    ['two questions', `${URI}?x=1`],
    ['capitals in a host', URI.replace('home.', 'Home.')],
    ['an escaped host', URI.replace('home.', 'home%2e')],
    ['a trailing dot', URI.replace('home.example', 'home.example.')],
    ['half an IPv4 address', URI.replace('home.example', '10.0.0')],
    ['an octet over 255', URI.replace('home.example', '10.0.0.256')],
    ['two gaps', URI.replace('home.example', '[1::2::3]')],
    ['port 0', URI.replace('home.example', 'home.example:0')],
    ['port 65536', URI.replace('home.example', 'home.example:65536')],
    ['a port with a zero in front', URI.replace('home.example', 'home.example:0443')],
    ['no gateway', URI.replace(/gateway=[^&]*&/, '')],
    ['two gateways', `${URI}&${URI.split(/[?&]/)[1]}`],
    ['no topic', URI.replace('&topic=chat.example.app', '')],
    ['a topic that is none', URI.replace('chat.', 'chat/')],
    ['another profile', URI.replace('profile=porchlight', 'profile=other')],
    ['a later form', `${URI}&v=2`],
    ['an empty parameter', `${URI}&`],
    ['a repeated unknown parameter', `${URI}&x=1&x=2`],
    ['spaces around', ` ${URI}`],
    ['a line end', `${URI}\n`],
    ['too long', `${URI}&x=${'a'.repeat(500)}&y=${'a'.repeat(400)}`],
    ['too many parameters', URI + Array.from({ length: 14 }, (_, i) => `&x${i}=1`).join('')],
  ];
  for (const [what, text] of REFUSED) {
    test(`refuses ${what}`, () => {
      assert.notEqual(text, URI);
      assert.equal(read(text), undefined);
    });
  }

  test('what it can not say is not written', () => {
    for (const wrong of [{ topic: 'a b' }, { topic: 'a'.repeat(156) }]) {
      assert.throws(() => formatPairing({ ...sample, ...wrong }), RangeError);
    }
    const subscriber = { ...sample.subscriber, host: 'Home.Example' };
    assert.throws(() => formatPairing({ ...sample, subscriber }), RangeError);
  });
});
