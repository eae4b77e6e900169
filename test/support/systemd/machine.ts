/** A systemd of its own in new namespaces, with the units of deploy/ as the package installs them. Needs root. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { commandOnPath } from '../needs.js';
import { root } from '../paths.js';
import { eventually } from '../world/eventually.js';

const COMPILED = fileURLToPath(new URL('../../..', import.meta.url));
const UNITS = 'etc/porchlight-units';
/** What units of ours wait for, and systemd itself. */
const TARGETS = ['basic', 'sysinit', 'shutdown', 'sockets', 'network-online', 'time-sync', 'multi-user'];

export class Machine {
  private readonly work = mkdtempSync(join(tmpdir(), 'porchlight-systemd-'));
  private outside: ChildProcess | undefined;
  private pid = 0;

  /** @param files by path: drop-ins, settings; /etc/porchlight-units is where units are */
  async start(files: Readonly<Record<string, string>>): Promise<void> {
    if (process.getuid!() !== 0) throw new Error('only root may start a systemd');
    commandOnPath('unshare', 'util-linux');
    commandOnPath('systemctl', 'systemd');
    this.lay(files);
    const boot = join(root, 'test', 'support', 'systemd', 'boot.sh');
    const namespaces = ['--mount', '--pid', '--fork', '--ipc', '--uts', '--kill-child'];
    this.outside = spawn('unshare', [...namespaces, boot, this.work], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let said = '';
    this.outside.stderr!.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    await eventually('systemd runs', () => {
      if (this.outside!.exitCode !== null) throw new Error(`no systemd in namespaces here: ${said}`);
      const own = this.outside!.pid!;
      this.pid = Number(readFileSync(`/proc/${own}/task/${own}/children`, 'utf8'));
      return this.pid > 0 && this.run('systemctl', 'is-active', 'basic.target').said.includes('active');
    });
  }

  /** A command in there: exit status and everything said. */
  run(...command: readonly string[]): { readonly status: number | null; readonly said: string } {
    const args = ['--target', String(this.pid), '--mount', '--pid', '--cgroup', ...command];
    const { status, stdout, stderr } = spawnSync('nsenter', args, { encoding: 'utf8' });
    return { status, said: stdout + stderr };
  }

  /** The same, without holding up this process. */
  async lasting(...command: readonly string[]): Promise<number | null> {
    const args = ['--target', String(this.pid), '--mount', '--pid', '--cgroup', ...command];
    const child = spawn('nsenter', args, { stdio: 'ignore' });
    return new Promise((resolve) => child.once('close', resolve));
  }

  state(unit: string): string {
    return this.run('systemctl', 'show', '--property=ActiveState', '--value', unit).said.trim();
  }

  async close(): Promise<void> {
    if (this.outside?.exitCode === null) {
      const ended = new Promise((resolve) => this.outside!.once('close', resolve));
      this.outside.kill('SIGKILL');
      await ended;
      const name = basename(this.work);
      const clear = `umount -R /sys/fs/cgroup; mount -t cgroup2 cgroup2 /sys/fs/cgroup; find /sys/fs/cgroup/${name} -depth -type d -exec rmdir {} +`;
      await eventually('its processes are gone', () => {
        const { status } = spawnSync('unshare', ['--mount', 'sh', '-c', clear], { stdio: 'ignore' });
        return status === 0;
      });
    }
    rmSync(this.work, { recursive: true, force: true });
  }

  private lay(files: Readonly<Record<string, string>>): void {
    const at = (path: string): string => join(this.work, path);
    const lib = at('usr/lib/porchlight');
    for (const folder of [`${lib}/dist`, `${lib}/node_modules`, at('usr/bin'), at(UNITS)]) {
      mkdirSync(folder, { recursive: true });
    }
    const start = 'exec node /usr/lib/porchlight/dist/services/cli/main.js "$@"';
    writeFileSync(at('usr/bin/porchlight'), `#!/bin/sh\n${start}\n`, { mode: 0o755 });
    symlinkSync(COMPILED, at('dist'));
    symlinkSync(join(root, 'node_modules'), at('node_modules'));
    cpSync(join(root, 'package.json'), join(lib, 'package.json'));
    cpSync(join(root, 'deploy', 'debian', 'files', 'sysusers.conf'), at('sysusers.conf'));
    cpSync(join(root, 'deploy', 'systemd'), at(UNITS), { recursive: true });
    cpSync(join(root, 'deploy', 'systemd', 'subscriber-instances'), join(lib, 'subscriber-instances'));
    for (const name of TARGETS) {
      writeFileSync(at(`${UNITS}/${name}.target`), '[Unit]\nDefaultDependencies=no\n');
    }
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(join(at(path), '..'), { recursive: true });
      writeFileSync(at(path), text);
    }
    writeFileSync(at('console'), '');
  }
}
