/** Real parts that a system test needs: a missing one is an error that names it, never a skipped test. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { canSearchMemory } from '../../services/demo/memory.js';

export function needsCommand(command: string, debianPackage: string): void {
  if (spawnSync(command, ['version'], { stdio: 'ignore' }).error === undefined) return;
  throw new Error(`missing: ${command} (Debian package ${debianPackage})`);
}

/** Where it is, without running it. */
export function commandOnPath(command: string, debianPackage: string): string {
  const folders = (process.env.PATH ?? '').split(delimiter);
  const file = folders.map((folder) => join(folder, command)).find(existsSync);
  if (file !== undefined) return file;
  throw new Error(`missing: ${command} (Debian package ${debianPackage})`);
}

/** @param pid of a child */
export function needsMemoryOf(pid: number): void {
  if (canSearchMemory(pid)) return;
  throw new Error('missing: /proc/PID/mem of a child process (Linux, with ptrace of children allowed)');
}
