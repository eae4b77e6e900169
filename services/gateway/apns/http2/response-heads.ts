/**
 * From HEADERS and CONTINUATION frames to the heads of responses (RFC 9113 §4.3, §6.2, §6.10). Every block is decoded,
 * also of a stream that nobody waits for, or the table of the decoder falls out of step. Bounded in bytes and pieces.
 */
import { DecodeError } from '../../../../shared/encoding/reader.js';
import { RESPONSE_FIELDS, ResponseHead } from './answer.js';
import { type Frame, unpad } from './frame-reader.js';
import { HpackDecoder } from './hpack/decoder.js';
import { Flag, Http2Error } from './protocol.js';

/** Of the fields of a response, as RFC 9113 §6.5.2 counts; Apple's are below 300. */
export const MAX_HEADER_LIST = 16_384;
const MAX_BLOCK = 32 * 1024;
const MAX_PIECES = 32;
const PRIORITY_SIZE = 5;

type TakeHead = (streamId: number, head: ResponseHead, isEnd: boolean) => void;

export class ResponseHeads {
  private readonly take: TakeHead;
  private readonly decoder = new HpackDecoder({ wanted: RESPONSE_FIELDS, maxListSize: MAX_HEADER_LIST });
  private head = new ResponseHead();
  /** Of the block that is under way; 0 while there is none. */
  private streamId = 0;
  private isEnd = false;
  private pieces: Buffer[] = [];
  private size = 0;

  constructor(take: TakeHead) {
    this.take = take;
  }

  /** Nothing but CONTINUATION may come now. */
  get isOpen(): boolean {
    return this.streamId !== 0;
  }

  /** Throws `Http2Error`, as `continuation` does. */
  headers(frame: Frame): void {
    unpad(frame);
    if ((frame.flags & Flag.PRIORITY) !== 0) frame.start += PRIORITY_SIZE;
    if (frame.start > frame.end) throw new Http2Error('FRAME_SIZE_ERROR');
    this.isEnd = (frame.flags & Flag.END_STREAM) !== 0;
    if ((frame.flags & Flag.END_HEADERS) !== 0) {
      this.decode(frame.streamId, frame.bytes, frame.start, frame.end);
    } else {
      this.streamId = frame.streamId;
      this.add(frame);
    }
  }

  continuation(frame: Frame): void {
    const { streamId } = this;
    if (streamId === 0 || frame.streamId !== streamId) throw new Http2Error('PROTOCOL_ERROR');
    this.add(frame);
    if ((frame.flags & Flag.END_HEADERS) === 0) return;
    const block = Buffer.concat(this.pieces);
    this.streamId = 0;
    this.pieces = [];
    this.size = 0;
    this.decode(streamId, block, 0, block.length);
  }

  private add({ bytes, start, end }: Frame): void {
    this.size += end - start;
    if (this.size > MAX_BLOCK || this.pieces.length === MAX_PIECES) throw new Http2Error('ENHANCE_YOUR_CALM');
    this.pieces.push(Buffer.from(bytes.subarray(start, end)));
  }

  private decode(streamId: number, bytes: Buffer, start: number, end: number): void {
    const head = new ResponseHead();
    this.head = head;
    try {
      this.decoder.decode(bytes, start, end, this.field);
    } catch (error) {
      throw error instanceof DecodeError ? new Http2Error('COMPRESSION_ERROR') : error;
    }
    this.take(streamId, head, this.isEnd);
  }

  private readonly field = (name: string, value: string): void => this.head.field(name, value);
}
