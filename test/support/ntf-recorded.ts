/** The recorded NTF exchanges (test/vectors/README.md), their bytes decoded. */
import { decodePrivateKey, decodePublicKey } from '../../shared/encoding/keys.js';
import { vector } from './paths.js';

interface TransmissionJson {
  readonly corrId: string;
  readonly entityId: string;
  readonly command: string;
}

interface FileJson {
  readonly given: {
    readonly keyHash: string;
    readonly tlsSessionId: string;
    readonly tlsLeafPublicKey: string;
    readonly alpn: string | null;
  };
  readonly handshake: {
    readonly serverHello: string;
    readonly clientHello: string;
    readonly agreedVersion: number;
    readonly serverSessionPublicKey?: string;
  };
  readonly token: Readonly<Record<string, string>>;
  readonly subscription: Readonly<Record<string, string>>;
  readonly pushes: readonly { readonly plaintext?: string }[];
  readonly steps: readonly {
    readonly about: string;
    readonly request: TransmissionJson & { readonly transmission: string };
    readonly response: TransmissionJson;
  }[];
  readonly blocks: readonly { readonly direction: string; readonly block: string }[];
}

export interface RecordedTransmission {
  readonly corrId: Uint8Array;
  readonly entityId: Uint8Array;
  readonly command: Uint8Array;
}

export interface RecordedStep {
  readonly about: string;
  readonly request: RecordedTransmission & { readonly transmission: Uint8Array };
  readonly response: RecordedTransmission;
}

export const fromBase64 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'base64'));

/** `ntf-v3`, `ntf-v2`, `ntf-v1-no-alpn`. */
export const RECORDED = ['ntf-v3', 'ntf-v2', 'ntf-v1-no-alpn'] as const;

export function recorded(name: (typeof RECORDED)[number]) {
  const file = vector<FileJson>(`ntf/${name}`);
  const { given, handshake, token, subscription } = file;
  return {
    keyHash: fromBase64(given.keyHash),
    sessionId: fromBase64(given.tlsSessionId),
    leafKey: decodePublicKey(fromBase64(given.tlsLeafPublicKey)),
    alpn: given.alpn,
    version: handshake.agreedVersion,
    serverHello: fromBase64(handshake.serverHello),
    clientHello: fromBase64(handshake.clientHello),
    sessionKey: handshake.serverSessionPublicKey
      ? decodePublicKey(fromBase64(handshake.serverSessionPublicKey))
      : undefined,
    authKey: decodePrivateKey(fromBase64(token.authPrivateKey!)),
    code: fromBase64(token.registrationCode!),
    replacementCode: fromBase64(token.replacementCode!),
    tokenId: fromBase64(token.tokenId!),
    subscriptionId: fromBase64(subscription.subscriptionId!),
    server: subscription.smpServer!,
    notifierId: fromBase64(subscription.notifierId!),
    payloads: file.pushes.flatMap((push) => push.plaintext ?? []),
    steps: file.steps.map(
      ({ about, request, response }): RecordedStep => ({
        about,
        request: { ...decoded(request), transmission: fromBase64(request.transmission) },
        response: decoded(response),
      }),
    ),
    blocks: file.blocks.map(({ direction, block }) => ({ direction, block: fromBase64(block) })),
  };
}

const decoded = (json: TransmissionJson): RecordedTransmission => ({
  corrId: fromBase64(json.corrId),
  entityId: fromBase64(json.entityId),
  command: fromBase64(json.command),
});
