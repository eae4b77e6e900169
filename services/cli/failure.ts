/** What a person sees when a command can't do its work: the problem, not a stack. */
import { ConfigError } from '../../shared/run/config.js';
import { SecretFileError } from '../../shared/run/files.js';
import { HandOverError } from '../../shared/run/hand-over-error.js';
import { UsageError } from '../../shared/run/usage-error.js';

const SOCKET_CODES: Readonly<Record<string, string>> = {
  EADDRINUSE: 'the address is in use by another process',
  EACCES: 'not permitted; ports below 1024 need a privilege',
  EADDRNOTAVAIL: 'this machine does not have that address',
};

const FILE_CODES: Readonly<Record<string, string>> = {
  EACCES: 'not permitted; run this as the user that owns it',
  EPERM: 'not permitted; run this as the user that owns it',
  EROFS: 'read-only here; choose another folder',
  ENOSPC: 'the disk is full',
};

/** Why a subscriber was not taken over, where the word for it says too little. */
const HAND_OVER_REASONS: Readonly<Record<string, string>> = {
  key: 'it has another identity key',
  version: 'one of the two is too old for the other, so only a restart changes to this version',
  configuration:
    'this configuration has no listener or no room for what it holds, or an address that can not be had',
  busy: 'it hands over to another one already, or is burning',
  stalled: 'it did not answer in time',
  stopped: 'it ended the connection',
};

/**
 * Prints the failure and sets the exit status: 2 for what the user gave, 3 where the subscriber that runs serves on (units
 * mind both), 1 for everything else.
 */
export function reportFailure(error: unknown): void {
  const say = (line: string) => process.stderr.write(`porchlight: ${line}\n`);
  if (error instanceof ConfigError) {
    for (const problem of error.problems) say(problem);
    process.exitCode = 2;
  } else if (error instanceof UsageError || error instanceof SecretFileError) {
    say(error.message);
    process.exitCode = 2;
  } else if (error instanceof HandOverError) {
    const reason = HAND_OVER_REASONS[error.reason] ?? error.reason;
    say(`cannot take over: ${reason}; the subscriber that runs serves on`);
    process.exitCode = 3;
  } else {
    say(systemProblem(error as NodeJS.ErrnoException) ?? String((error as Error)?.stack ?? error));
    process.exitCode = 1;
  }
}

/** What the system refused, in words; undefined where that says too little. */
function systemProblem(error: NodeJS.ErrnoException & { readonly port?: number }): string | undefined {
  const { code = '', path, port } = error;
  if (path !== undefined) return FILE_CODES[code] && `${path}: ${FILE_CODES[code]}`;
  return SOCKET_CODES[code] && `${SOCKET_CODES[code]}${port === undefined ? '' : ` (port ${port})`}`;
}
