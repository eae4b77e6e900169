/** Secret files and credentials: who else may read or replace them is refused. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, describe, test } from 'node:test';
import { ConfigError } from '../../../../shared/run/config.js';
import { controlPath } from '../../../../shared/run/control.js';
import { pathOf, readSecretFile, SecretFileError } from '../../../../shared/run/files.js';

const folder = mkdtempSync(join(tmpdir(), 'porchlight-files-'));
after(() => rmSync(folder, { recursive: true }));

const { CREDENTIALS_DIRECTORY } = process.env;
afterEach(() => {
  if (CREDENTIALS_DIRECTORY === undefined) delete process.env.CREDENTIALS_DIRECTORY;
  else process.env.CREDENTIALS_DIRECTORY = CREDENTIALS_DIRECTORY;
});

function file(name: string, mode: number): string {
  const path = join(folder, name);
  rmSync(path, { force: true });
  writeFileSync(path, 'hunter2');
  chmodSync(path, mode);
  return path;
}

const refused = (text: string, why: RegExp): void =>
  assert.throws(
    () => readSecretFile(text),
    (error) =>
      error instanceof SecretFileError && why.test(error.message) && !error.message.includes('hunter2'),
  );

describe('a secret file', () => {
  test('is read where only its owner may', () => {
    for (const mode of [0o600, 0o400]) assert.equal(readSecretFile(file('key', mode)).toString(), 'hunter2');
  });

  test('is refused where group or others may read, write or execute', () => {
    for (const mode of [0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o777]) {
      refused(file('key', mode), /lets others read it; run: chmod 600/);
    }
  });

  test('is refused in a folder into which others write, unless they can replace nothing there', () => {
    const path = join(folder, 'shared', 'key');
    mkdirSync(join(folder, 'shared'));
    writeFileSync(path, 'hunter2', { mode: 0o600 });
    for (const mode of [0o770, 0o707]) {
      chmodSync(join(folder, 'shared'), mode);
      refused(path, /others may replace the keys in it; run: chmod 700/);
    }
    chmodSync(join(folder, 'shared'), 0o1777);
    assert.equal(readSecretFile(path).toString(), 'hunter2');
  });
});

describe('credential:NAME', () => {
  test('is the file of that name in the folder that systemd made, with the modes that it sets', () => {
    process.env.CREDENTIALS_DIRECTORY = folder;
    for (const mode of [0o400, 0o440]) {
      file('tls.key', mode);
      assert.equal(readSecretFile('credential:tls.key').toString(), 'hunter2');
    }
    assert.equal(pathOf('credential:tls.key'), join(folder, 'tls.key'));
    for (const mode of [0o444, 0o460, 0o402]) {
      file('tls.key', mode);
      refused('credential:tls.key', /expected 0400 or 0440/);
    }
    refused('credential:other', /no such file/);
  });

  test('leads nowhere else', () => {
    process.env.CREDENTIALS_DIRECTORY = join(folder, 'none');
    file('key', 0o400);
    for (const name of ['', '../key', '.', '..', '/etc/hostname', 'a/b', `${'a'.repeat(256)}`]) {
      refused(`credential:${name}`, /expected a name of/);
    }
  });

  test('without systemd says what to set', () => {
    delete process.env.CREDENTIALS_DIRECTORY;
    refused('credential:identity', /LoadCredential=/);
    process.env.CREDENTIALS_DIRECTORY = 'relative';
    refused('credential:identity', /LoadCredential=/);
  });

  test('as identity leaves no place for the control socket, so one must be named', () => {
    const identity_key = 'credential:identity';
    assert.throws(() => controlPath({ control: {}, identity_key }), ConfigError);
    assert.equal(controlPath({ control: { socket: '/run/x' }, identity_key }), '/run/x');
  });
});
