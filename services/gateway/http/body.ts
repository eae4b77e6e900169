/**
 * The body of a request, read from its socket into one array of the announced size: hono would join the chunks and
 * copy them once more. Chunks are overwritten once copied; whoever gets the body overwrites that.
 */
import type { IncomingMessage } from 'node:http';
import { wipe } from '../../../shared/encoding/bytes.js';
import { DecodeError } from '../../../shared/encoding/reader.js';

/** @param length announced bytes, within the limit. Rejects with `DecodeError` where others come, or the peer goes. */
export function readBody(incoming: IncomingMessage, length: number): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const body = new Uint8Array(length);
    let received = 0;
    const end = (): void => {
      if (incoming.readableEnded && received === length) resolve(body);
      else {
        wipe(body);
        reject(new DecodeError('body'));
      }
    };
    incoming.on('data', (chunk: Buffer) => {
      if (received + chunk.length <= length) body.set(chunk, received);
      received += chunk.length;
      wipe(chunk);
    });
    incoming.once('end', end);
    incoming.once('error', end);
    incoming.once('close', end);
    // It went while its nonce was asked for: there are no more events.
    if (incoming.destroyed) end();
  });
}
