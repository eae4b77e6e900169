/** PEM (RFC 7468): DER in base64 between labelled lines. */
import type { Bytes } from '../encoding/bytes.js';
import { DecodeError } from '../encoding/reader.js';

export interface PemBlock {
  /** "CERTIFICATE", "PRIVATE KEY", ... */
  readonly label: string;
  readonly der: Uint8Array;
}

const BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----\r?\n([A-Za-z0-9+/=\s]*?)-----END \1-----/g;
const LINE = /.{1,64}/g;

/** One block as text, with a newline at its end. */
export function toPem(label: string, der: Bytes): string {
  const base64 = Buffer.from(der.buffer, der.byteOffset, der.length).toString('base64');
  return `-----BEGIN ${label}-----\n${(base64.match(LINE) ?? []).join('\n')}\n-----END ${label}-----\n`;
}

/** All blocks of a text in order; what stands between them is skipped. Throws `DecodeError` where there is none. */
export function pemBlocks(text: string): PemBlock[] {
  const blocks = [...text.matchAll(BLOCK)].map(([, label, base64]) => ({
    label: label!,
    der: new Uint8Array(Buffer.from(base64!, 'base64')),
  }));
  if (blocks.length === 0) throw new DecodeError('no PEM block');
  return blocks;
}
