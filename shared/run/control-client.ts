/** Asks a running service on its control socket. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { UsageError } from './usage-error.js';

const WHY: Readonly<Record<string, string>> = {
  ENOENT: 'no service listens there; is it running, with this configuration?',
  ECONNREFUSED: 'no service listens there; is it running, with this configuration?',
  EACCES: 'not permitted; only the user that runs the service may ask',
};

export type ControlLine = Readonly<Record<string, unknown>>;

/** The answers up to the last, which is not given out. Throws `UsageError` for one that says `error`. */
export async function* askControl(path: string, request: object): AsyncGenerator<ControlLine> {
  const socket = connect(path);
  try {
    await once(socket, 'connect').catch((error: NodeJS.ErrnoException) => {
      throw new UsageError(`${path}: ${WHY[error.code ?? ''] ?? 'cannot be reached'}`);
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
