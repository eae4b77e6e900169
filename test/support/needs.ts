/** Real parts that a system test needs: a missing one is an error that names it, never a skipped test. */
import { spawnSync } from 'node:child_process';
import { canSearchMemory } from '../../services/demo/memory.js';

export function needsCommand(command: string, debianPackage: string): void {
  if (spawnSync(command, ['version'], { stdio: 'ignore' }).error === undefined) return;
  throw new Error(`missing: ${command} (Debian package ${debianPackage})`);
}

/** @param pid of a child */
export function needsMemoryOf(pid: number): void {
  if (canSearchMemory(pid)) return;
  throw new Error('missing: /proc/PID/mem of a child process (Linux, with ptrace of children allowed)');
}
