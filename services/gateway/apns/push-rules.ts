/** What Apple would refuse anyway (apns.md §2–§4), found before it costs an answer. Names are Apple's own. */

import { utf8 } from '../../../shared/encoding/bytes.js';
import { isPathWord } from '../path-word.js';
import type { ApnsPush } from './engine.js';

export const MAX_BODY = 4096;
const MAX_COLLAPSE_ID = 64;
/** Tokens have no fixed size; this is what a capability can hold (relay.md §4). */
const MAX_TOKEN = 100;

/** The reason why a push is never sent, undefined where it may go. */
export function fault(push: ApnsPush): string | undefined {
  if (push.token.length === 0) return 'MissingDeviceToken';
  if (push.token.length > MAX_TOKEN || (push.environment === 'test' && !isPathWord(push.token)))
    return 'BadPath';
  if (push.body.length === 0) return 'PayloadEmpty';
  if (push.body.length > MAX_BODY) return 'PayloadTooLarge';
  if (push.pushType === 'background' && push.priority === 10) return 'BadPriority';
  if (!Number.isSafeInteger(push.expiration) || push.expiration < 0) return 'BadExpirationDate';
  if (push.collapseId !== undefined && !isCollapseId(push.collapseId)) return 'BadCollapseId';
  return undefined;
}

const isCollapseId = (text: string): boolean => text.length > 0 && utf8(text).length <= MAX_COLLAPSE_ID;
