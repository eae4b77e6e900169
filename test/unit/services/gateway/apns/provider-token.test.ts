import assert from 'node:assert/strict';
import { generateKeyPairSync, verify } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  MAX_AGE_SECONDS,
  ProviderTokens,
  SLOT_SECONDS,
  TokenLease,
} from '../../../../../services/gateway/apns/provider-token.js';
import {
  parseSigningKey,
  readSigningKey,
  SigningKeyError,
} from '../../../../../services/gateway/apns/signing-key.js';
import { seconds, VirtualClock } from '../../../../../shared/run/clock.js';
import { SecretFileError } from '../../../../../shared/run/files.js';
import { signingKey } from '../../../../support/apns/setup.js';

const MINUTE = 60_000;
/** Divisible by 40 minutes. */
const SLOT_START = 1_800_000_000_000;
const pair = signingKey();
const key = { keyId: 'ABCDE12345', teamId: 'TEAM567890', privateKey: () => pair.privateKey };

function tokensAt(minute: number): { clock: VirtualClock; tokens: ProviderTokens } {
  const clock = new VirtualClock(SLOT_START + minute * MINUTE);
  return { clock, tokens: new ProviderTokens(key, clock) };
}

test('the token is a JWT over ES256 with the raw signature', () => {
  const { tokens } = tokensAt(17);
  const { authorization, issuedAt } = tokens.current();
  assert.equal(issuedAt, SLOT_START / 1000);
  const [header, claims, signature] = authorization.replace(/^bearer /, '').split('.');
  const json = (part: string | undefined): unknown => JSON.parse(Buffer.from(part!, 'base64url').toString());
  assert.deepEqual(json(header), { alg: 'ES256', kid: 'ABCDE12345' });
  assert.deepEqual(json(claims), { iss: 'TEAM567890', iat: SLOT_START / 1000 });
  const raw = Buffer.from(signature!, 'base64url');
  assert.equal(raw.length, 64);
  const input = Buffer.from(`${header}.${claims}`);
  assert.ok(verify('sha256', input, { key: pair.publicKey, dsaEncoding: 'ieee-p1363' }, raw));
});

test('one token a slot, the same slot for every replica, never in the future and never an hour old', async () => {
  const { clock, tokens } = tokensAt(0);
  const seen = new Map<string, number>();
  for (let minute = 0; minute < 400; minute += 7) {
    const replica = new ProviderTokens(key, clock);
    const { authorization, issuedAt } = tokens.current();
    seen.set(authorization, issuedAt);
    assert.equal(replica.current().issuedAt, issuedAt);
    const age = seconds(clock) - issuedAt;
    assert.ok(age >= 0 && age < SLOT_SECONDS);
    await clock.advance(7 * MINUTE);
  }
  assert.equal(seen.size, 10);
});

test('a connection never sees two tokens within 20 minutes, whenever it opened', async () => {
  for (let opened = 0; opened < 40; opened++) {
    const { clock, tokens } = tokensAt(opened);
    const lease = new TokenLease(tokens, clock);
    let last = lease.now()!;
    let since = 0;
    for (let minute = 1; minute <= 120; minute++) {
      await clock.advance(MINUTE);
      const token = lease.now();
      if (token === undefined) {
        assert.ok(opened > 38, 'only a connection of the slot’s last two minutes is replaced');
        break;
      }
      const age = seconds(clock) - token.issuedAt;
      assert.ok(age >= 0 && age < MAX_AGE_SECONDS);
      if (token === last) continue;
      assert.ok(minute - since >= 20);
      [last, since] = [token, minute];
    }
  }
});

test('a refused token is replaced once, however many pushes it failed', async () => {
  const { clock, tokens } = tokensAt(10);
  const rejected = tokens.current();
  assert.equal(tokens.renew(rejected), true);
  const fresh = tokens.current();
  assert.equal(fresh.issuedAt, seconds(clock));
  assert.equal(tokens.renew(rejected), true, 'another push of the same failure');
  assert.equal(tokens.current(), fresh);
  assert.equal(tokens.renew(fresh), false, 'refused again at once: no token helps');
  await clock.advance(35 * MINUTE);
  assert.equal(tokens.current(), fresh, 'it outlives the slot');
  await clock.advance(10 * MINUTE);
  assert.equal(tokens.current().issuedAt, SLOT_START / 1000 + SLOT_SECONDS, 'then the slots again');
});

test('a key that was replaced is used at once, also where a refused token would be kept', async () => {
  const clock = new VirtualClock(SLOT_START);
  let current = signingKey();
  const tokens = new ProviderTokens({ ...key, privateKey: () => current.privateKey }, clock);
  assert.equal(tokens.takeNewKey(), false, 'there is no token yet');
  const rejected = tokens.current();
  assert.ok(tokens.renew(rejected));
  const renewed = tokens.current();
  assert.equal(tokens.renew(renewed), false);
  assert.equal(tokens.takeNewKey(), false);
  current = signingKey();
  assert.equal(tokens.renew(renewed), true);
  assert.equal(tokens.renew(renewed), true, 'for every push that was refused');
  const next = tokens.current();
  const [header, claims, signature] = next.authorization.replace(/^bearer /, '').split('.');
  const raw = Buffer.from(signature!, 'base64url');
  const signed = Buffer.from(`${header}.${claims}`);
  assert.ok(verify('sha256', signed, { key: current.publicKey, dsaEncoding: 'ieee-p1363' }, raw));
});

test('after TooManyProviderTokenUpdates nothing is signed for 20 minutes', async () => {
  const { clock, tokens } = tokensAt(35);
  const token = tokens.current();
  tokens.freeze();
  assert.equal(tokens.renew(token), false);
  await clock.advance(19 * MINUTE);
  assert.equal(tokens.current(), token);
  await clock.advance(MINUTE);
  assert.notEqual(tokens.current(), token);
});

test('a clock that is set back makes a token that is not in the future', () => {
  const { clock, tokens } = tokensAt(50);
  const lease = new TokenLease(tokens, clock);
  tokens.renew(tokens.current());
  clock.jump(-6 * 60 * MINUTE);
  assert.equal(lease.now(), undefined);
  const { issuedAt } = tokens.current();
  assert.ok(issuedAt <= seconds(clock) && seconds(clock) - issuedAt < SLOT_SECONDS);
});

test('signing keys: PKCS#8 PEM of P-256 in a 0600 file, nothing else', () => {
  const folder = mkdtempSync(join(tmpdir(), 'p8-'));
  try {
    const file = join(folder, 'AuthKey.p8');
    const pem = pair.privateKey.export({ format: 'pem', type: 'pkcs8' });
    writeFileSync(file, pem, { mode: 0o600 });
    assert.ok(readSigningKey(file).equals(pair.privateKey));
    chmodSync(file, 0o644);
    assert.throws(() => readSigningKey(file), SecretFileError);
  } finally {
    rmSync(folder, { recursive: true });
  }
  const other = generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey;
  const wrong = [
    other.export({ format: 'pem', type: 'pkcs8' }),
    pair.privateKey.export({ format: 'pem', type: 'sec1' }),
    'no key',
  ];
  for (const text of wrong) assert.throws(() => parseSigningKey(Buffer.from(text), 'a key'), SigningKeyError);
});
