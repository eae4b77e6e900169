/** The recorded SMP exchanges, read into bytes. See test/vectors/README.md. */
import { vector } from './paths.js';

export interface RecordedTransmission {
  readonly auth: string;
  readonly serviceSig?: string;
  readonly sessionId?: string;
  readonly corrId: string;
  readonly entityId: string;
  readonly command: string;
}

export interface RecordedBlock {
  readonly direction: 'client->server' | 'server->client';
  readonly block: string;
  readonly content: string;
  readonly transmissions: readonly RecordedTransmission[];
}

export interface RecordedQueue {
  readonly notifierId: string;
  readonly notifierPrivateKey: string;
  readonly notifierPublicKey?: string;
  readonly recipientNotifierDhSecret: string;
}

export interface Recording {
  readonly given: {
    readonly keyHash: string;
    readonly tlsSessionId: string;
    readonly tlsLeafPublicKey: string;
    readonly maxVersion: number;
    readonly clientSessionPrivateKey?: string;
    readonly alpn: string | null;
  };
  readonly handshake: {
    readonly serverHello: string;
    readonly serverRange: readonly [number, number];
    readonly agreedVersion: number;
    readonly certificateChain?: readonly string[];
    readonly serverSessionPublicKey?: string;
    readonly clientHello: string;
    readonly serviceResponse?: string;
  };
  readonly derived: { readonly sharedSecret?: string; readonly blockEncryption: boolean };
  readonly queue?: RecordedQueue;
  readonly queues?: readonly RecordedQueue[];
  readonly service?: {
    readonly id: string;
    readonly certificateChain: readonly string[];
    readonly certificatePrivateKey: string;
    readonly sessionPrivateKey: string;
    readonly certificateHash: string;
  };
  readonly idsHash?: string;
  readonly nmsg?: readonly {
    readonly nonce: string;
    readonly encryptedMeta: string;
    readonly msgId: string;
    readonly timestamp: number;
  }[];
  readonly exchange: readonly RecordedBlock[];
}

export const RECORDINGS = [
  'smp-v6-no-alpn',
  'smp-v7',
  'smp-v10',
  'smp-v15',
  'smp-v18-encrypted-blocks',
  'smp-v18-no-client-key',
  'smp-v18-x25519-notifier-key',
  'smp-v18-full-batch-end-deld',
  'smp-v18-service-association',
  'smp-v18-service-nsubs',
  'smp-v20-service-nsubs',
] as const;

export const recording = (name: (typeof RECORDINGS)[number]): Recording => vector<Recording>(`smp/${name}`);

/** Bytes of standard base64, in memory of their own. */
export const unbase64 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'base64'));

export const queuesOf = (recorded: Recording): readonly RecordedQueue[] =>
  recorded.queues ?? (recorded.queue ? [recorded.queue] : []);
