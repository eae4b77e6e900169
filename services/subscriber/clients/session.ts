/**
 * A session after its handshake: the commands of one block in, the replies to them out (guide E, H.6). Knows no
 * sockets. Each command gets its reply: what is refused before it is run goes out first, in blocks of its own, the
 * others together once all have been run, in the order of the requests.
 */
import type { Crypto, KeyPair } from '../../../shared/crypto/crypto.js';
import { type Bytes, wipe } from '../../../shared/encoding/bytes.js';
import type { AuthAlgorithm, Key } from '../../../shared/encoding/keys.js';
import { DecodeError } from '../../../shared/encoding/reader.js';
import { credentialsProblem, decodeCommand, type NtfCommand } from '../../../shared/ntf/commands.js';
import { AUTH_BATCH_NTF_VERSION, NTF_BLOCK_SIZE } from '../../../shared/ntf/constants.js';
import { ntfSession } from '../../../shared/ntf/handshake.js';
import { encodeResponse, type NtfResponse } from '../../../shared/ntf/responses.js';
import type { MetricHandles } from '../../../shared/run/metrics.js';
import { verifyAuth } from '../../../shared/smp/auth.js';
import type { CommandErrorReason, ErrorType } from '../../../shared/smp/errors.js';
import {
  authorizedAsReceived,
  decodeBatch,
  decodeTransmission,
  encodeBatch,
  encodeTransmission,
  intoBatches,
  problemOf,
  type Received,
  type SessionParams,
} from '../../../shared/smp/transmission.js';
import { errorReply, type Handlers } from './handlers.js';
import type { clientMetrics } from './metrics.js';

export interface SessionOptions {
  /** The version agreed in the handshake. */
  readonly version: number;
  readonly sessionId: Uint8Array;
  /** Our X25519 pair of this connection: authenticators are made for it, from version 2 on. */
  readonly sessionKey: KeyPair;
  readonly crypto: Crypto;
  readonly handlers: Handlers;
  readonly metrics: MetricHandles<typeof clientMetrics>;
  /** Takes the content of one block. */
  readonly send: (content: Bytes) => void;
  /** Whether no command may be run any more. */
  readonly isClosed: () => boolean;
}

/** A command that may be run. Its bytes are views into the block. */
interface Request {
  readonly corrId: Bytes;
  readonly entityId: Bytes;
  readonly command: NtfCommand;
}

const NO_BYTES = new Uint8Array(0);
/** Longer ids could be sent but not answered: a reply holds them both and must fit one block. */
const MAX_IDS_SIZE = 384;

export class Session {
  private readonly options: SessionOptions;
  private readonly params: SessionParams;

  constructor(options: SessionOptions) {
    this.options = options;
    this.params = ntfSession(options.version, options.sessionId);
  }

  /**
   * Runs the commands of a block's content (undefined: it could not be unpadded). The content must stay as it is
   * until this resolves; false = the connection is to be closed, and nothing more is sent.
   */
  async handle(content: Bytes | undefined): Promise<boolean> {
    const requests: Request[] = [];
    const refused: Bytes[] = [];
    for (const item of this.items(content)) {
      const checked = this.check(item);
      if ('command' in checked) requests.push(checked);
      else refused.push(this.reply(checked, errorReply(checked.error)));
    }
    this.send(refused);
    const replies: Bytes[] = [];
    for (const request of requests) {
      const running = this.options.handlers.run(request.command, request.entityId);
      const response = running instanceof Promise ? await running : running;
      if (response === undefined || this.options.isClosed()) return false;
      replies.push(this.reply(request, response));
    }
    this.send(replies);
    return true;
  }

  /** The transmissions of a block; one that is no transmission in place of a block that is none. */
  private items(content: Bytes | undefined): readonly (Bytes | undefined)[] {
    if (content === undefined) return [undefined];
    return attempt(() => decodeBatch(this.params, content)) ?? [undefined];
  }

  /** Guide E.4, row by row, then the authorisation. */
  private check(item: Bytes | undefined): Request | Refusal {
    const received = item && attempt(() => decodeTransmission(this.params, item));
    if (received === undefined || received.corrId.length + received.entityId.length > MAX_IDS_SIZE) {
      return { corrId: NO_BYTES, entityId: NO_BYTES, error: { kind: 'BLOCK' } };
    }
    const { corrId, entityId } = received;
    const problem = problemOf(this.params, received);
    if (problem !== undefined) return { corrId, entityId: NO_BYTES, error: { kind: problem } };
    const command = commandOf(received);
    if (typeof command === 'string') return { corrId, entityId, error: { kind: 'CMD', reason: command } };
    if (!this.isAuthorized(command, received)) return { corrId, entityId, error: { kind: 'AUTH' } };
    this.options.metrics.clients_commands_total.inc({ command: command.word });
    return { corrId, entityId, command };
  }

  /** An unknown id costs as much time as a wrong signature (guide F). */
  private isAuthorized(command: NtfCommand, received: Received): boolean {
    if (command.word === 'PING') return true;
    const { crypto, version, sessionKey } = this.options;
    const sessionPrivateKey = version < AUTH_BATCH_NTF_VERSION ? undefined : sessionKey.privateKey;
    const authorized = authorizedAsReceived(this.params, received);
    const key = this.keyFor(command, received.entityId);
    const { auth, corrId } = received;
    const isRight = verifyAuth(crypto, key, { sessionPrivateKey, corrId }, authorized, auth);
    // In version 1 it is a view into the block, whose command is still needed.
    if (!this.params.sendsSessionId) wipe(authorized);
    return isRight;
  }

  private keyFor(command: NtfCommand, entityId: Bytes): Key<AuthAlgorithm> | undefined {
    const { handlers } = this.options;
    switch (command.word) {
      case 'TNEW':
        return command.verifyKey;
      case 'SNEW':
        return handlers.device(command.tokenId)?.verifyKey;
      case 'SCHK':
      case 'SDEL':
        return handlers.subscription(entityId)?.device.verifyKey;
      default:
        return handlers.device(entityId)?.verifyKey;
    }
  }

  private reply(to: { readonly corrId: Bytes; readonly entityId: Bytes }, response: NtfResponse): Bytes {
    if (response.word === 'ERR')
      this.options.metrics.clients_errors_total.inc({ error: errorLabel(response.error) });
    const command = encodeResponse(response, this.options.version);
    return encodeTransmission(this.params, {
      auth: NO_BYTES,
      corrId: to.corrId,
      entityId: to.entityId,
      command,
    });
  }

  private send(items: readonly Bytes[]): void {
    for (const batch of intoBatches(this.params, items, NTF_BLOCK_SIZE)) {
      this.options.send(encodeBatch(this.params, batch));
    }
  }
}

interface Refusal {
  readonly corrId: Bytes;
  readonly entityId: Bytes;
  readonly error: ErrorType;
}

/** The command of a transmission with the right kind of credentials, or the reason of its `ERR CMD`. */
function commandOf(received: Received): NtfCommand | CommandErrorReason {
  try {
    const command = decodeCommand(received.command);
    if (command === undefined) return 'UNKNOWN';
    const given = { auth: received.auth.length > 0, entity: received.entityId.length > 0 };
    return credentialsProblem(command.word, given) ?? command;
  } catch (error) {
    if (error instanceof DecodeError) return 'SYNTAX';
    throw error;
  }
}

/** Undefined where the bytes don't have the shape. */
function attempt<T>(decode: () => T): T | undefined {
  try {
    return decode();
  } catch (error) {
    if (error instanceof DecodeError) return undefined;
    throw error;
  }
}

/** Only these are ever answered. */
const errorLabel = ({ kind }: ErrorType): 'BLOCK' | 'SESSION' | 'CMD' | 'AUTH' | 'QUOTA' =>
  kind === 'BLOCK' || kind === 'SESSION' || kind === 'CMD' || kind === 'QUOTA' ? kind : 'AUTH';
