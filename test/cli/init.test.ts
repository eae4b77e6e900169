/** `porchlight init` asks nothing that it can find out, says what to run next, and prints what phones scan. */
import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { renderUnicodeCompact } from 'uqr';
import { findAppleKey } from '../../services/cli/apple-key.js';
import { publicHost } from '../../services/cli/public-host.js';
import { shellWord } from '../../services/cli/screen.js';
import { apnsFiles } from '../../services/simulators/files.js';
import { parsePairing } from '../../shared/sdk/pairing.js';
import { parseServer } from '../../shared/smp/address.js';
import { type CliResult, runCli } from '../support/cli.js';

let cwd: string;
before(() => {
  cwd = mkdtempSync(join(tmpdir(), 'porchlight-init-'));
});
after(() => rmSync(cwd, { recursive: true, force: true }));

const run = (folder: string, ...args: string[]): Promise<CliResult> => {
  mkdirSync(join(cwd, folder), { recursive: true });
  return runCli({ cwd: join(cwd, folder) }, ...args);
};

function appleKey(...path: string[]): void {
  mkdirSync(join(cwd, ...path.slice(0, -1)), { recursive: true });
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  writeFileSync(join(cwd, ...path), privateKey.export({ format: 'pem', type: 'pkcs8' }));
}

/** The command in what `init` said, run as a shell would. */
const next = (stdout: string): string[] => /^ {2}porchlight (.*)$/m.exec(stdout)![1]!.split(' ');

describe('init gateway', () => {
  test("finds Apple's key and its id, and says what to run", async () => {
    appleKey('found', 'AuthKey_ABCDE12345.p8');
    const { code, stdout, stderr } = await run('found', 'init', 'gateway', '--team', 'TEAM000001');
    assert.equal(code, 0, stderr);
    assert.match(stdout, /Found Apple's key AuthKey_ABCDE12345\.p8, key id ABCDE12345\./);
    assert.match(stdout, /others may read .*AuthKey_ABCDE12345\.p8: delete it/);
    assert.match(stdout, /Others reach this machine as \S+: with --host NAME/);
    const written = readFileSync(join(cwd, 'found/porchlight-gateway/gateway.toml'), 'utf8');
    assert.match(written, /^key_id = "ABCDE12345"$/m);
    assert.deepEqual(next(stdout), ['gateway', '--config', 'porchlight-gateway/gateway.toml']);
    const address = /porchlight-gateway:\/\/\S+/.exec(stdout)![0];
    assert.ok(stdout.includes(renderUnicodeCompact(address)));
    const checked = await run('found', ...next(stdout), '--check-config');
    assert.equal(checked.code, 0, checked.stderr);
  });

  test('says what is still to be set, and how to check it', async () => {
    const { code, stdout } = await run('bare', 'init', 'gateway', '--host', 'gateway.example');
    assert.equal(code, 0);
    assert.match(stdout, /Still to be set in porchlight-gateway\/gateway\.toml:/);
    assert.match(stdout, /keys\.0\.team_id: expected 10 of A-Z and 0-9/);
    const checked = await run('bare', ...next(stdout));
    assert.deepEqual([checked.code, /team_id/.test(checked.stderr)], [2, true]);
    assert.doesNotMatch(stdout, /--host NAME/);
  });

  test('what it is given must fit, before anything is written', async () => {
    const wrong = [
      ['--host', 'https://push.example'],
      ['--host', 'push.example:8443'],
      ['--topic', 'bad topic'],
      ['--team', 'abc'],
      ['--apns-key-id', 'short'],
      ['--simulator', 'none'],
    ];
    for (const answer of wrong) {
      const { code, stderr } = await run('wrong', 'init', 'gateway', ...answer);
      assert.deepEqual([code, stderr.startsWith(`porchlight: ${answer[0]}: `)], [2, true], stderr);
    }
    const GATEWAY = `porchlight-gateway://${'A'.repeat(43)}@push.example`;
    const subscriber = ['init', 'subscriber', '--gateway', GATEWAY, '--host', 'home.example:443'];
    assert.match(
      (await run('wrong', ...subscriber)).stderr,
      /^porchlight: --host: expected a name .* port$/m,
    );
    assert.deepEqual(readdirSync(join(cwd, 'wrong')), []);
  });

  test("takes the simulator in Apple's place, for trying", async () => {
    apnsFiles(join(cwd, 'try/apple'));
    const { code, stdout, stderr } = await run('try', 'init', 'gateway', '--simulator', 'apple');
    assert.equal(code, 0, stderr);
    const checked = await run('try', ...next(stdout), '--check-config');
    assert.equal(checked.code, 0, checked.stderr);
    assert.match(checked.stdout, /^listen = "127.0.0.1:8443"$/m);
    assert.match(checked.stdout, /^environments = \[ "test" \]$/m);
    assert.match(checked.stdout, /^url = "https:\/\/localhost:2197"$/m);
  });

  test('does not guess between two keys, and takes no other file for one', async () => {
    appleKey('two', 'AuthKey_AAAAAAAAAA.p8');
    appleKey('two', 'AuthKey_BBBBBBBBBB.p8');
    const { code, stderr } = await run('two', 'init', 'gateway');
    assert.deepEqual([code, /several.*AAAAAAAAAA.*BBBBBBBBBB/.test(stderr)], [2, true], stderr);
    assert.equal(findAppleKey(undefined, [join(cwd, 'none')]), undefined);
    assert.throws(() => findAppleKey(cwd, []), /no AuthKey_KEYID\.p8/);
    assert.throws(() => findAppleKey(join(cwd, 'none'), []), /no such file/);
    appleKey('copy', 'AuthKey_ABCDE12345.p8');
    const folders = [join(cwd, 'found'), join(cwd, 'copy')];
    assert.equal(findAppleKey(undefined, folders)?.file, join(cwd, 'copy/AuthKey_ABCDE12345.p8'));
    appleKey('other', 'apple.p8');
    assert.deepEqual(findAppleKey(join(cwd, 'other/apple.p8'), []), { file: join(cwd, 'other/apple.p8') });
    assert.equal(findAppleKey(join(cwd, 'found'), [])?.keyId, 'ABCDE12345');
  });
});

describe('init subscriber, and pair', () => {
  const GATEWAY = `porchlight-gateway://${'A'.repeat(43)}@push.example:8443`;
  let made: CliResult;
  before(async () => {
    made = await run('home', 'init', 'subscriber', '--gateway', GATEWAY, '--host', 'home.example');
  });

  test('prints both addresses, explained, the URI as QR code, and what to run', () => {
    assert.equal(made.code, 0, made.stderr);
    const uri = /porchlight:\/\/\S+/.exec(made.stdout)![0];
    const { subscriber, gateway, topic, profile } = parsePairing(uri);
    const { keyHash } = parseServer(/ntf:\/\/\S+/.exec(made.stdout)![0], 'ntf');
    assert.deepEqual(subscriber, { keyHash, host: 'home.example', port: 443 });
    assert.deepEqual(gateway, { fingerprint: 'A'.repeat(43), host: 'push.example', port: 8443 });
    assert.deepEqual([topic, profile], ['chat.simplex.app', 'simplex']);
    assert.ok(made.stdout.includes(renderUnicodeCompact(uri)));
    assert.match(made.stdout, /as it comes from its makers, enter as notification server/);
    assert.deepEqual(next(made.stdout), ['subscriber', '--config', 'porchlight-subscriber/subscriber.toml']);
  });

  test('the command that it names finds everything in order', async () => {
    const { code, stderr } = await run('home', ...next(made.stdout), '--check-config');
    assert.equal(code, 0, stderr);
  });

  test('pair prints the same again, and needs no key for it', async () => {
    rmSync(join(cwd, 'home/porchlight-subscriber/server.key'));
    const config = ['--config', 'porchlight-subscriber/subscriber.toml'];
    const again = await run('home', 'pair', ...config);
    assert.equal(again.code, 0, again.stderr);
    assert.ok(again.stdout.length > 500 && made.stdout.includes(again.stdout));
    const file = join(cwd, 'home/porchlight-subscriber/identity.key');
    const key = createPublicKey(readFileSync(file)).export({ format: 'jwk' }).x;
    assert.match(again.stdout, new RegExp(`needs this one's key:\n\n  ${key}\n`));
    renameSync(file, `${file}.away`);
    const without = await run('home', 'pair', ...config);
    assert.deepEqual(
      [without.code, /ntf:/.test(without.stdout), /key:/.test(without.stdout)],
      [0, true, false],
    );
  });

  test('pair without a public address says which key is missing', async () => {
    const file = join(cwd, 'home/porchlight-subscriber/subscriber.toml');
    writeFileSync(file, readFileSync(file, 'utf8').replace(/^public_address.*$/m, ''));
    const { code, stderr } = await run('home', 'pair', '--config', file);
    assert.deepEqual(
      [code, /listeners\.0\.public_address: expected HOST:PORT/.test(stderr)],
      [2, true],
      stderr,
    );
  });
});

test('the public host: a full name, else a public address, else the short name', () => {
  assert.equal(publicHost('Push.Example.org', ['8.8.8.8']), 'push.example.org');
  assert.equal(publicHost('box', ['127.0.0.1', '10.0.0.5', '2a01:4f8::1', '8.8.8.8']), '8.8.8.8');
  assert.equal(publicHost('box', ['::1', 'fe80::1', '2a01:4f8::1']), '2a01:4f8::1');
  assert.equal(publicHost('box.local', ['192.168.1.4']), 'box.local');
  assert.equal(publicHost('', []), 'localhost');
  assert.ok(publicHost().length > 0 && hostname() !== undefined);
});

test('words for a shell', () => {
  assert.equal(shellWord('a/b-c.toml'), 'a/b-c.toml');
  assert.equal(shellWord("it's here"), `'it'\\''s here'`);
});
