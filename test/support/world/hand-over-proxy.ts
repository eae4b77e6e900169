/** Stands between two processes that hand over, so that one of them can be killed, or both be cut off, at an exact frame. */
import { connect, createServer, type Socket } from 'node:net';
import { FrameReader, type FrameType } from '../../../services/subscriber/handover/frames.js';
import { listenOn } from '../../../shared/run/listen.js';

const NEWLINE = 0x0a;

export interface HandOverProxyOptions {
  /** Where the successor connects; free again once it has. */
  readonly path: string;
  /** The predecessor's control socket. */
  readonly target: string;
  /** Neither the first frame of this type is passed on, nor anything after it. */
  readonly at: FrameType;
  /** Called then. @param cut ends both connections */
  readonly reached: (cut: () => void) => void;
}

/** Listens when this resolves. */
export async function startHandOverProxy(options: HandOverProxyOptions): Promise<void> {
  const { path, target, at, reached } = options;
  let isReached = false;
  const pass = (from: Socket, to: Socket, beginsWithLine: boolean): void => {
    const frames = new FrameReader();
    let isLine = beginsWithLine;
    from.on('data', (chunk: Buffer) => {
      const start = isLine ? chunk.indexOf(NEWLINE) + 1 : 0;
      isLine = false;
      isReached ||= frames.push(Buffer.from(chunk.subarray(start))).some(({ type }) => type === at);
      if (isReached) reached(() => from.destroy());
      else to.write(chunk);
    });
    from.on('end', () => to.end());
    from.on('error', () => {}); // 'close' follows
    from.on('close', () => to.destroy());
  };
  const server = createServer((successor) => {
    server.close();
    const predecessor = connect(target);
    pass(successor, predecessor, true);
    pass(predecessor, successor, false);
  });
  await listenOn(server, { path });
}
