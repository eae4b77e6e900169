/** WebSocket by hand (RFC 6455), for peers that break its rules. */
import { createHash } from 'node:crypto';

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

export const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

export interface FrameOptions {
  /** Default true: the last frame of its message. */
  readonly fin?: boolean;
  /** As clients send, and servers never. */
  readonly masked?: boolean;
  /** The three reserved bits. */
  readonly reserved?: number;
  /** The length that the header tells; by default the payload's. */
  readonly claimed?: number;
}

/** A frame as servers send it. */
export function frame(opcode: number, payload: Uint8Array, options: FrameOptions = {}): Buffer {
  const { fin = true, masked = false, reserved = 0, claimed = payload.length } = options;
  const first = (fin ? 0x80 : 0) | (reserved << 4) | opcode;
  const mask = masked ? 0x80 : 0;
  const header = Buffer.alloc(claimed < 126 ? 2 : claimed < 65_536 ? 4 : 10);
  header[0] = first;
  header[1] = mask | (claimed < 126 ? claimed : claimed < 65_536 ? 126 : 127);
  if (header.length === 4) header.writeUInt16BE(claimed, 2);
  if (header.length === 10) header.writeBigUInt64BE(BigInt(claimed), 2);
  return Buffer.concat([header, Buffer.alloc(masked ? 4 : 0), payload]);
}

/** The value of `Sec-WebSocket-Accept` for this request. */
export function acceptFor(request: string): string {
  const key = /^sec-websocket-key: *(\S+)\r$/im.exec(request)?.[1] ?? '';
  return createHash('sha1').update(`${key}${GUID}`).digest('base64');
}

/** The answer that a server owes to this request. */
export const switching = (request: string, ...headers: readonly string[]): string =>
  [
    'HTTP/1.1 101 Switching Protocols',
    'Upgrade: websocket',
    'Connection: Upgrade',
    `Sec-WebSocket-Accept: ${acceptFor(request)}`,
    ...headers,
    '\r\n',
  ].join('\r\n');
