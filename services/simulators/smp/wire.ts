/** Blocks on a client's TLS socket: bare (guide B.6), or each in a WebSocket message of its own (guide B.8). */
import { createServer, type Server as HttpServer } from 'node:http';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Bytes } from '../../../shared/encoding/bytes.js';
import { BlockReader } from '../../../shared/smp/block.js';
import { SMP_BLOCK_SIZE } from '../../../shared/smp/constants.js';

/** What a real server takes of a message before it looks at its size. */
const MAX_MESSAGE = 65_536;

export interface Wire {
  /** What carries it: for TLS's own things, for `close` and `drain`, and to be destroyed. */
  readonly socket: TLSSocket;
  /** Tells blocks as they come. */
  listen(block: (block: Bytes) => void): void;
  /** False when the peer does not keep up: `drain` follows. */
  send(block: Uint8Array): boolean;
  pause(): void;
  resume(): void;
}

/** @param socket with its TLS handshake done */
export function bareWire(socket: TLSSocket): Wire {
  const reader = new BlockReader();
  return {
    socket,
    listen: (block) => void socket.on('data', (chunk) => reader.push(chunk).forEach(block)),
    send: (block) => socket.write(block),
    pause: () => void socket.pause(),
    resume: () => void socket.resume(),
  };
}

/** Takes sockets that finished TLS and gives wires, at any path; requests that are no upgrade are refused. */
export function webSocketUpgrader(upgraded: (wire: Wire) => void): HttpServer {
  const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false, maxPayload: MAX_MESSAGE });
  const http = createServer((_, response) => response.writeHead(400).end());
  http.on('upgrade', (request, socket: Duplex, head) =>
    sockets.handleUpgrade(request, socket, head, (ws) => upgraded(messageWire(ws, socket as TLSSocket))),
  );
  return http;
}

/** A message of another size than a block's, or a text, ends the connection. */
function messageWire(ws: WebSocket, socket: TLSSocket): Wire {
  ws.on('error', () => socket.destroy());
  return {
    socket,
    listen: (block) =>
      void ws.on('message', (message, isBinary) => {
        if (isBinary && message instanceof Buffer && message.length === SMP_BLOCK_SIZE) block(message);
        else socket.destroy();
      }),
    send(block) {
      ws.send(block);
      return !socket.writableNeedDrain;
    },
    pause: () => ws.pause(),
    resume: () => ws.resume(),
  };
}
