/** Push frames and metrics for tests of the relay contract's two ends. */
import { randomBytes } from 'node:crypto';
import {
  CAPABILITY_SIZE,
  FRAME_ID_SIZE,
  type Frame,
  NONCE_SIZE,
  PAYLOAD_SIZE,
} from '../../shared/relay/batch.js';

export function makeFrame(changes: Partial<Frame> = {}): Frame {
  return {
    id: randomBytes(FRAME_ID_SIZE),
    kind: 'message',
    urgent: true,
    slot: 0,
    expiry: 1_900_000_000,
    capability: randomBytes(CAPABILITY_SIZE),
    nonce: randomBytes(NONCE_SIZE),
    payload: randomBytes(PAYLOAD_SIZE),
    ...changes,
  };
}
