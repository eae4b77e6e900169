/**
 * Blocks in WebSocket messages inside the same TLS (guide B.8): each block is one binary message of one frame.
 * Everything else that a peer may send ends the connection. The upgrade tells nothing but what it must: path `/`, an
 * empty host, no origin, no agent, no extension.
 */
import type { WebSocket } from 'ws';
import { HandshakeError } from './connector.js';
import type { OpenTls, SecurePeer } from './tls-socket.js';
import { type Framing, TlsTransport } from './tls-transport.js';
import type { Dial } from './transport.js';

/** Of the answer to an upgrade: bytes of all headers. Of messages: frames. Of pings: pongs not yet taken. */
const BOUNDS = { maxHeaderSize: 4_096, maxFragments: 1, maxPendingAutoPongs: 16 };

/** Where it is needed only: it would be a tenth of the memory of an idle subscriber. */
export const loadWebSockets = () => import('ws');

/** Blocks in messages. @param blockSize bytes: 16,384 for SMP */
export const webSocketDial =
  (open: OpenTls, blockSize: number): Dial =>
  async (target, signal) => {
    const library = await loadWebSockets();
    const peer = await open(target, signal);
    const socket = await upgrade(library.WebSocket, peer, blockSize, signal);
    return new TlsTransport(peer, messages(socket, peer, blockSize));
  };

/** Rejects with `HandshakeError` whatever the peer does instead of switching protocols. */
function upgrade(
  Library: typeof WebSocket,
  { socket }: SecurePeer,
  blockSize: number,
  signal: AbortSignal,
): Promise<WebSocket> {
  return new Promise((done, fail) => {
    const upgraded = new Library('ws://localhost/', {
      createConnection: () => socket,
      setHost: false,
      headers: { Host: '' },
      perMessageDeflate: false,
      maxPayload: blockSize,
      ...BOUNDS,
    });
    const abort = (): void => void socket.destroy();
    signal.addEventListener('abort', abort, { once: true });
    upgraded.on('error', () => {
      socket.destroy(); // with a peer that broke the rules no closing handshake
      fail(new HandshakeError('upgrade'));
    });
    upgraded.once('open', () => {
      signal.removeEventListener('abort', abort);
      upgraded.pause();
      done(upgraded);
    });
    if (signal.aborted) abort();
  });
}

function messages(upgraded: WebSocket, { socket }: SecurePeer, blockSize: number): Framing {
  return {
    listen(block, broken) {
      upgraded.on('message', (message, isBinary) => {
        if (isBinary && message instanceof Buffer && message.length === blockSize) block(message);
        else broken();
      });
      upgraded.on('error', broken);
      // Behind the library's own listener: what it has read includes a farewell, which is no reason to wait.
      socket.on('data', () => {
        if (upgraded.readyState !== upgraded.OPEN) socket.destroy();
      });
    },
    send(block) {
      upgraded.send(block, { binary: true });
      return !socket.writableNeedDrain;
    },
    pause: () => upgraded.pause(),
    resume: () => upgraded.resume(),
  };
}
