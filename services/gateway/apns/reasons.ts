/**
 * The table: what each of Apple's answers makes the gateway do (apns.md §8). Data only; the pool acts on it.
 * A reason that is not here is judged by its status, so that a new word of Apple's never kills a device token.
 */

export type Reaction =
  | { readonly do: 'accept' }
  /** The device token is dead for this topic and environment. */
  | { readonly do: 'drop'; readonly word: 'bad' | 'topic' }
  /** The same, but only where Apple's timestamp is later than the token's last proof. */
  | { readonly do: 'drop-if-older'; readonly word: 'expired' | 'unregistered' }
  /** A bug of ours or content that Apple will never take: never retried. */
  | { readonly do: 'reject' }
  /** The operator's configuration: opens a breaker, kills no token. */
  | { readonly do: 'break'; readonly scope: 'key' | 'topic' }
  /** A new provider token on a new connection, one resend, then the key's breaker. */
  | { readonly do: 'renew-token' }
  /** The provider token changed too often: keep it, sign nothing for 20 minutes. */
  | { readonly do: 'keep-token' }
  /** The connection is of no more use: one resend on a new one. */
  | { readonly do: 'reconnect' }
  /** Too many pushes for this one device. */
  | { readonly do: 'delay-device' }
  /** Apple's side: one resend on another connection, then later; `leave` gives the connection up. */
  | { readonly do: 'back-off'; readonly leave: boolean };

const REJECT: Reaction = { do: 'reject' };
const BREAK_KEY: Reaction = { do: 'break', scope: 'key' };
const RENEW: Reaction = { do: 'renew-token' };
const KEEP: Reaction = { do: 'keep-token' };
const RECONNECT: Reaction = { do: 'reconnect' };
const LEAVE: Reaction = { do: 'back-off', leave: true };
const STAY: Reaction = { do: 'back-off', leave: false };

const TABLE = [
  [400, 'BadCollapseId', REJECT],
  [400, 'BadDeviceToken', { do: 'drop', word: 'bad' }],
  [400, 'BadExpirationDate', REJECT],
  [400, 'BadMessageId', REJECT],
  [400, 'BadPriority', REJECT],
  [400, 'BadTopic', REJECT],
  [400, 'DeviceTokenNotForTopic', { do: 'drop', word: 'topic' }],
  [400, 'DuplicateHeaders', REJECT],
  [400, 'IdleTimeout', RECONNECT],
  [400, 'InvalidPushType', REJECT],
  [400, 'MissingDeviceToken', REJECT],
  [400, 'MissingTopic', REJECT],
  [400, 'PayloadEmpty', REJECT],
  [400, 'TopicDisallowed', { do: 'break', scope: 'topic' }],
  [403, 'BadCertificate', BREAK_KEY],
  [403, 'BadCertificateEnvironment', BREAK_KEY],
  [403, 'BadEnvironmentKeyIdInToken', BREAK_KEY],
  [403, 'BadEnvironmentKeyInToken', BREAK_KEY], // the spelling seen in the wild
  [403, 'ExpiredProviderToken', RENEW],
  [403, 'Forbidden', BREAK_KEY],
  [403, 'InvalidProviderToken', RENEW],
  [403, 'MissingProviderToken', REJECT],
  [403, 'TooManyProviderTokenUpdates', KEEP], // seen under 403 too
  [403, 'UnrelatedKeyIdInToken', RECONNECT],
  [404, 'BadPath', REJECT],
  [405, 'MethodNotAllowed', REJECT],
  [410, 'ExpiredToken', { do: 'drop-if-older', word: 'expired' }],
  [410, 'Unregistered', { do: 'drop-if-older', word: 'unregistered' }],
  [413, 'PayloadTooLarge', REJECT],
  [429, 'TooManyProviderTokenUpdates', KEEP],
  [429, 'TooManyRequests', { do: 'delay-device' }],
  [500, 'InternalServerError', STAY],
  [503, 'ServiceUnavailable', LEAVE],
  [503, 'Shutdown', LEAVE],
] as const satisfies readonly (readonly [number, string, Reaction])[];

/** Apple's words, `none` for an answer without one, `other` for words that this table does not know. */
export type ReasonWord = (typeof TABLE)[number][1] | 'none' | 'other';

/** The closed label set of answers. */
export const REASON_WORDS: readonly ReasonWord[] = [
  ...new Set<ReasonWord>([...TABLE.map((row) => row[1]), 'none', 'other']),
];

const REACTIONS = new Map<string, Reaction>(
  TABLE.map(([status, reason, reaction]) => [`${status} ${reason}`, reaction]),
);
const WORDS = new Map<string, ReasonWord>(TABLE.map((row) => [row[1], row[1]]));

/** What to do about an answer. `reason` is Apple's text, undefined where the body had none. */
export function reactionTo(status: number, reason: string | undefined): Reaction {
  if (status === 200) return { do: 'accept' };
  return REACTIONS.get(`${status} ${reason}`) ?? byStatus(status);
}

/** Unknown words: 5xx is Apple's trouble, 429 the device's, any other 4xx a bug of ours. */
function byStatus(status: number): Reaction {
  if (status === 503) return LEAVE;
  if (status >= 500) return STAY;
  if (status === 429) return { do: 'delay-device' };
  return REJECT;
}

/** A text of Apple's as one of the closed set, so that it may be a label or a log field. */
export const reasonWord = (reason: string | undefined): ReasonWord =>
  reason === undefined ? 'none' : (WORDS.get(reason) ?? 'other');
