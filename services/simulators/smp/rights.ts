/** Whose key must have authorised a command, and on which queue it works (guide F, G.2). */
import type { Bytes } from '../../../shared/encoding/bytes.js';
import type { AuthAlgorithm, Key } from '../../../shared/encoding/keys.js';
import type { Command } from '../../../shared/smp/commands.js';
import type { Queue, QueueStore } from './queues.js';
import type { ServiceSession } from './services.js';

export interface Right {
  readonly queue: Queue | undefined;
  /** 'nobody': the command needs no authorisation and may have none; undefined: no such queue, so never right. */
  readonly key: Key<AuthAlgorithm> | 'nobody' | undefined;
}

/** @param service of the session, if it is one's */
export function rightTo(
  store: QueueStore,
  command: Command,
  entityId: Bytes,
  service: ServiceSession | undefined,
): Right {
  switch (command.word) {
    case 'PING':
      return { queue: undefined, key: 'nobody' };
    case 'NSUBS':
      return { queue: undefined, key: service && { algorithm: 'ed25519', raw: service.auth.sessionKey } };
    case 'NEW':
      return { queue: undefined, key: command.recipientKey };
    case 'NSUB': {
      const queue = store.byNotifier(entityId);
      return { queue, key: queue?.notifier?.key };
    }
    case 'SKEY': {
      const queue = store.bySender(entityId);
      return { queue, key: queue?.mode === 'M' ? command.senderKey : undefined };
    }
    case 'SEND': {
      const queue = store.bySender(entityId);
      return { queue, key: queue && (queue.senderKey ?? 'nobody') };
    }
    default: {
      const queue = store.byRecipient(entityId);
      return { queue, key: queue?.recipientKey };
    }
  }
}
