import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { chmodSync, linkSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import {
  createIdentityKey,
  readIdentityKey,
  replaceIdentityKey,
} from '../../../../shared/crypto/identity-key.js';
import { toPem } from '../../../../shared/crypto/x509.js';
import { concat } from '../../../../shared/encoding/bytes.js';
import { SecretFileError, writeSecretFile } from '../../../../shared/run/files.js';
import { hex, native } from '../../../support/crypto.js';

describe('identity keys', () => {
  const folder = mkdtempSync(join(tmpdir(), 'porchlight-'));
  const file = join(folder, 'identity.key');
  after(() => rmSync(folder, { recursive: true }));

  test('a new one is readable by its owner only and signs', () => {
    createIdentityKey(file);
    assert.equal(statSync(file).mode & 0o777, 0o600);
    const { publicKey, privateKey } = readIdentityKey(native, file);
    const signature = native.ed25519Sign(privateKey, publicKey);
    assert.equal(native.ed25519Verify(publicKey, publicKey, signature), true);
  });

  test('replaced, the old one is overwritten, whoever else has its file open or linked', () => {
    createIdentityKey(file);
    const old = readIdentityKey(native, file);
    const kept = join(folder, 'kept.key');
    linkSync(file, kept);
    replaceIdentityKey(file);
    assert.notDeepEqual(readIdentityKey(native, file).publicKey, old.publicKey);
    assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.ok(readFileSync(kept).every((byte) => byte === 0));
    assert.deepEqual(readdirSync(folder).sort(), ['identity.key', 'kept.key']);
    assert.throws(() => replaceIdentityKey(join(folder, 'none.key')));
  });

  test('the seed in the file is the key', () => {
    const seed = hex('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60');
    writeSecretFile(file, toPem('PRIVATE KEY', concat(hex('302e020100300506032b657004220420'), seed)));
    assert.deepEqual(readIdentityKey(native, file), native.ed25519KeyPair(seed));
  });

  test('another kind of key, no key, or one that others may read is refused by name', () => {
    const refused = { name: SecretFileError.name, message: new RegExp(`^${file}: `) };
    const { privateKey } = generateKeyPairSync('x25519');
    writeSecretFile(file, privateKey.export({ format: 'pem', type: 'pkcs8' }));
    assert.throws(() => readIdentityKey(native, file), refused);
    writeSecretFile(file, 'no key');
    assert.throws(() => readIdentityKey(native, file), refused);
    createIdentityKey(file);
    chmodSync(file, 0o644);
    assert.throws(() => readIdentityKey(native, file), refused);
    assert.throws(() => readIdentityKey(native, join(folder, 'none')), SecretFileError);
  });
});
