/**
 * The header block of a push (apns.md §2). The path is the device token: it goes from the token's bytes into the bytes
 * to be sent, is no string, and is never indexed by anyone; nor is the provider token.
 */

import { utf8 } from '../../../../shared/encoding/bytes.js';
import { hostPort } from '../../../../shared/encoding/host-port.js';
import type { ApnsPush } from '../engine.js';
import { HpackEncoder, MAX_BEGIN_SIZE, MAX_FIELD_OVERHEAD } from './hpack/encoder.js';

const PATH = utf8('/3/device/');
const HEX = utf8('0123456789abcdef');
/** Names, fixed values and numbers of all fields together are shorter. */
const MAX_FIXED_SIZE = 256;
const FIELDS = 10;
const HTTPS_PORT = 443;

/** RFC 9113 §8.3.1 */
export const authorityOf = (host: string, port: number): string => hostPort(host, port, HTTPS_PORT);

export class RequestHeaders {
  private readonly encoder = new HpackEncoder();
  private readonly authority: string;
  /** The provider token as it was last sent, and its bytes: it changes every 40 minutes. */
  private authorization = '';
  private authorizationBytes: Uint8Array = new Uint8Array(0);

  constructor(authority: string) {
    this.authority = authority;
  }

  /** SETTINGS_HEADER_TABLE_SIZE of the peer. */
  setTableSize(size: number): void {
    this.encoder.setMaxTableSize(size);
  }

  /** No block of this push is larger. */
  maxSize(push: ApnsPush, authorization: string): number {
    const { token, topic, collapseId = '' } = push;
    const variable = 2 * token.length + authorization.length + topic.length + collapseId.length;
    return MAX_BEGIN_SIZE + FIELDS * MAX_FIELD_OVERHEAD + MAX_FIXED_SIZE + this.authority.length + variable;
  }

  /** Writes the block, returns the offset behind it. Blocks are to be sent whole and in the order of these calls. */
  write(out: Buffer, start: number, push: ApnsPush, authorization: string): number {
    const { encoder } = this;
    let at = encoder.begin(out, start);
    at = encoder.indexed(out, at, ':method', 'POST');
    at = encoder.indexed(out, at, ':scheme', 'https');
    at = encoder.indexed(out, at, ':authority', this.authority);
    at = this.writePath(out, at, push);
    at = this.writeAuthorization(out, at, authorization);
    at = encoder.indexed(out, at, 'apns-topic', push.topic);
    at = encoder.indexed(out, at, 'apns-push-type', push.pushType);
    at = encoder.indexed(out, at, 'apns-priority', push.priority === 10 ? '10' : '5');
    // These differ from push to push: indexed, they would evict the rest of Apple's small table.
    at = encoder.literal(out, at, 'apns-expiration', String(push.expiration));
    if (push.collapseId !== undefined) at = encoder.literal(out, at, 'apns-collapse-id', push.collapseId);
    return at;
  }

  /** Lower-case hex of the token; in the environment `test` its text, which was found harmless before. */
  private writePath(out: Buffer, start: number, { token, environment }: ApnsPush): number {
    const isText = environment === 'test';
    const length = PATH.length + (isText ? token.length : 2 * token.length);
    let at = this.encoder.neverIndexed(out, start, ':path', length);
    out.set(PATH, at);
    at += PATH.length;
    if (isText) {
      out.set(token, at);
      return at + token.length;
    }
    for (const byte of token) {
      out[at++] = HEX[byte >> 4]!;
      out[at++] = HEX[byte & 15]!;
    }
    return at;
  }

  private writeAuthorization(out: Buffer, start: number, authorization: string): number {
    if (authorization !== this.authorization) {
      this.authorization = authorization;
      this.authorizationBytes = utf8(authorization);
    }
    const bytes = this.authorizationBytes;
    const at = this.encoder.neverIndexed(out, start, 'authorization', bytes.length);
    out.set(bytes, at);
    return at + bytes.length;
  }
}
