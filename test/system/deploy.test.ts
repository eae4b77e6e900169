/** What is in deploy/, judged by the programs that will read it. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { createServerCertificate, toPem } from '../../shared/crypto/x509.js';
import { needsCommand } from '../support/needs.js';
import { root } from '../support/paths.js';

const deploy = join(root, 'deploy');
const read = (...path: string[]): string => readFileSync(join(deploy, ...path), 'utf8');

let folder: string;
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'porchlight-deploy-'));
});
after(() => rmSync(folder, { recursive: true, force: true }));

/** Exit status and everything said. */
function run(command: string, ...args: string[]): { status: number | null; said: string } {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8', cwd: folder });
  return { status, said: stdout + stderr };
}

function succeeds(command: string, ...args: string[]): string {
  const { status, said } = run(command, ...args);
  assert.equal(status, 0, `${command}: ${said}`);
  return said;
}

describe('systemd units', () => {
  before(() => needsCommand('systemd-analyze', 'systemd'));
  const units = readdirSync(join(deploy, 'systemd')).filter((name) => /\.(service|socket)$/.test(name));
  const services = units.filter((name) => name.endsWith('.service'));

  /** The exposure is out of 10; systemd's own scale calls anything below 2.5 safe. */
  const MOST_EXPOSED = 20;

  for (const unit of services) {
    it(`${unit} is exposed below 2.0`, (t) => {
      const said = succeeds(
        'systemd-analyze',
        'security',
        '--offline=true',
        `--threshold=${MOST_EXPOSED}`,
        join(deploy, 'systemd', unit),
      );
      const score = /Overall exposure level for \S+: (\d+\.\d)/.exec(said)![1]!;
      t.diagnostic(`${unit}: ${score}`);
      assert.ok(Number(score) < 2, score);
    });

    const text = read('systemd', unit);
    if (!text.includes('/usr/bin/porchlight ')) continue;
    it(`${unit} leaves no memory on a disk`, () => {
      for (const line of ['LimitCORE=0', 'MemorySwapMax=0', 'UMask=0077', 'StateDirectoryMode=0700']) {
        assert.match(text, new RegExp(`^${line}$`, 'm'));
      }
    });
  }

  it('are understood without a complaint', () => {
    // The executable is not installed where the tests run.
    for (const unit of units) {
      writeFileSync(
        join(folder, unit),
        read('systemd', unit).replace(
          /=\/usr\/(bin\/porchlight|lib\/porchlight\/subscriber-instances) /g,
          '=/bin/true ',
        ),
      );
    }
    const files = units.map((unit) => join(folder, unit.replace('@.', '@a.')));
    for (const unit of units.filter((name) => name.includes('@.'))) {
      writeFileSync(join(folder, unit.replace('@.', '@a.')), readFileSync(join(folder, unit)));
    }
    assert.equal(
      succeeds('systemd-analyze', 'verify', '--man=no', '--recursive-errors=no', ...files).trim(),
      '',
    );
  });

  it('take the drop-in with credentials', () => {
    const unit = 'porchlight-gateway.service';
    const text = read('systemd', unit).replace('=/usr/bin/porchlight ', '=/bin/true ');
    const dropIn = join(folder, 'with', `${unit}.d`);
    mkdirSync(dropIn, { recursive: true });
    writeFileSync(join(folder, 'with', unit), text);
    writeFileSync(join(dropIn, 'credentials.conf'), read('systemd', 'credentials.conf'));
    const said = succeeds(
      'systemd-analyze',
      'verify',
      '--man=no',
      '--recursive-errors=no',
      join(folder, 'with', unit),
    );
    assert.equal(said.trim(), '');
  });
});

describe('proxies', () => {
  before(() => {
    needsCommand('nginx', 'nginx');
    needsCommand('caddy', 'caddy');
  });

  it('nginx takes its example', () => {
    const made = createServerCertificate({ host: 'push.example.org', now: new Date() });
    writeFileSync(join(folder, 'fullchain.pem'), toPem('CERTIFICATE', made.certificate));
    writeFileSync(join(folder, 'privkey.pem'), toPem('PRIVATE KEY', made.privateKey), { mode: 0o600 });
    const site = read('proxy', 'nginx.conf')
      .replaceAll('/etc/letsencrypt/live/push.example.org', folder)
      .replace(/^ {4}listen \[::\].*\n/m, ''); // a machine without IPv6 refuses it
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
      .map((name) => `${name}_temp_path ${folder}/${name};`)
      .join(' ');
    const all = `pid ${folder}/pid; error_log ${folder}/error.log; events {} http { ${temporary}\n${site}\n}`;
    writeFileSync(join(folder, 'nginx.conf'), all);
    assert.match(succeeds('nginx', '-t', '-c', join(folder, 'nginx.conf')), /test is successful/);
  });

  it('Caddy takes its example', () => {
    const file = join(deploy, 'proxy', 'Caddyfile');
    const said = succeeds('caddy', 'validate', '--adapter', 'caddyfile', '--config', file);
    assert.match(said, /Valid configuration/);
    assert.equal(run('caddy', 'fmt', '--diff', file).status, 0);
  });

  it('both let in only what is for subscribers, with a body limit, and keep no log of who asked', () => {
    const [nginx, caddy] = [read('proxy', 'nginx.conf'), read('proxy', 'Caddyfile')];
    assert.deepEqual(
      [...nginx.matchAll(/^ {4}location (\S+)/gm)].map((match) => match[1]),
      ['/v1/', '=', '/'],
    );
    assert.match(nginx, /access_log off;/);
    assert.match(nginx, /client_max_body_size 1m;/);
    assert.match(nginx, /X-Forwarded-For \$remote_addr;/);
    assert.match(caddy, /@public path \/v1\/\*\n/);
    assert.match(caddy, /max_size 1MiB/);
    assert.doesNotMatch(caddy.replace(/#.*/g, ''), /\blog\b/);
  });
});

describe('containers', () => {
  // No engine is needed for this, and none is to be had everywhere: the image itself is not built here.
  const compose = read('docker', 'compose.yaml');
  const dockerfile = read('docker', 'Dockerfile');

  it('the image runs as nobody in particular, without a shell, and brings no tests', () => {
    const stages = dockerfile.split(/^FROM /m).slice(1);
    assert.equal(stages.length, 2);
    assert.match(stages[1]!, /^gcr\.io\/distroless\/nodejs22-debian12:nonroot$/m);
    assert.match(stages[1]!, /^USER 65532:65532$/m);
    assert.match(stages[1]!, /^ENTRYPOINT \[/m);
    assert.doesNotMatch(stages[1]!, /^(RUN|ADD)\b/m);
    for (const [, from] of dockerfile.matchAll(/^COPY (?!--from)(.*) \S+$/gm)) {
      for (const name of from!.split(' ')) assert.ok(readdirSync(root).includes(name), name);
    }
  });

  it('every service is read-only, without capabilities, and leaves no core', () => {
    const [shared, rest] = compose.split(/^services:$/m) as [string, string];
    const services = rest
      .split(/^networks:$/m)[0]!
      .split(/^ {2}(?=\w+:$)/m)
      .slice(1);
    assert.deepEqual(
      services.map((text) => text.split(':')[0]),
      ['gateway', 'subscriber', 'redis'],
    );
    for (const text of services) {
      const whole = text.includes('<<: *hardened') ? text + shared : text;
      for (const wanted of [
        /read_only: true/,
        /cap_drop: \[ALL\]/,
        /no-new-privileges:true/,
        /ulimits:\n\s+core: 0/,
        /memswap_limit: /,
        /user: "\d+:\d+"/,
      ]) {
        assert.match(whole, wanted, text.split(':')[0]);
      }
    }
  });

  it('Redis keeps nothing on a disk and is reached by the gateway only', () => {
    assert.match(compose, /- --save\n\s+- ""\n\s+- --appendonly\n\s+- "no"/);
    assert.match(compose, /networks: \[limits\]\n\nnetworks:/);
    assert.match(compose, /limits:\n\s+internal: true/);
    assert.doesNotMatch(compose.split('redis:')[1]!, /ports:|volumes:/);
  });
});

describe('scripts', () => {
  before(() => needsCommand('shellcheck', 'shellcheck'));
  const debian = join(deploy, 'debian');

  it('shellcheck finds nothing', () => {
    const maintainer = ['postinst', 'prerm', 'postrm'].map((name) => join(debian, 'files', name));
    const scripts = [
      join(debian, 'build.sh'),
      join(debian, 'test.sh'),
      join(root, '.ci', 'run'),
      join(deploy, 'systemd', 'subscriber-instances'),
      join(root, 'test', 'support', 'systemd', 'boot.sh'),
      ...maintainer,
    ];
    assert.equal(succeeds('shellcheck', ...scripts), '');
  });

  it('every file of deploy/ is in its index', () => {
    const index = read('README.md');
    const names = readdirSync(deploy).filter((name) => name !== 'README.md');
    for (const name of names) assert.ok(index.includes(`\`${name}`) || index.includes(`(${name}`), name);
  });
});
