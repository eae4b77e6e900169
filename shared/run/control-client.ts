/** Asks a running service on its control socket. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { UsageError } from './usage-error.js';

/** No service listens there. */
export class NotRunning extends UsageError {}

const NOBODY: readonly (string | undefined)[] = ['ENOENT', 'ECONNREFUSED'];

function unreachable(path: string, { code }: NodeJS.ErrnoException): UsageError {
  if (NOBODY.includes(code)) {
    return new NotRunning(`${path}: no service listens there; is it running, with this configuration?`);
  }
  if (code !== 'EACCES') return new UsageError(`${path}: cannot be reached`);
  return new UsageError(`${path}: not permitted; only the user that runs the service may ask`);
}

export type ControlLine = Readonly<Record<string, unknown>>;

/** The answers up to the last, which is not given out. Throws `NotRunning`, or `UsageError` for one that says `error`. */
export async function* askControl(path: string, request: object): AsyncGenerator<ControlLine> {
  const socket = connect(path);
  try {
    await once(socket, 'connect').catch((error: NodeJS.ErrnoException) => {
      throw unreachable(path, error);
    });
    socket.write(`${JSON.stringify(request)}\n`);
    for await (const text of createInterface({ input: socket })) {
      const line = JSON.parse(text) as ControlLine;
      if (line.done === true) return;
      if (typeof line.error === 'string') throw new UsageError(`${path}: ${line.error}`);
      yield line;
    }
    throw new UsageError(`${path}: the service ended while it answered`);
  } finally {
    socket.destroy();
  }
}
