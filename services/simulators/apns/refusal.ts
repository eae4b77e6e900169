/** Apple's error answers, each reason with its one status (apns.md §8). */

const STATUS = {
  BadCollapseId: 400,
  BadDeviceToken: 400,
  BadExpirationDate: 400,
  BadMessageId: 400,
  BadPriority: 400,
  BadTopic: 400,
  DeviceTokenNotForTopic: 400,
  DuplicateHeaders: 400,
  InvalidPushType: 400,
  MissingDeviceToken: 400,
  MissingTopic: 400,
  PayloadEmpty: 400,
  TopicDisallowed: 400,
  BadEnvironmentKeyIdInToken: 403,
  ExpiredProviderToken: 403,
  InvalidProviderToken: 403,
  MissingProviderToken: 403,
  UnrelatedKeyIdInToken: 403,
  BadPath: 404,
  MethodNotAllowed: 405,
  ExpiredToken: 410,
  Unregistered: 410,
  PayloadTooLarge: 413,
  TooManyProviderTokenUpdates: 429,
  TooManyRequests: 429,
} as const;

export type Reason = keyof typeof STATUS;

export interface Refusal {
  readonly status: number;
  readonly reason: string;
  /** Milliseconds; only with 410. */
  readonly timestamp?: number;
  readonly retryAfterSeconds?: number | undefined;
}

export const refuse = (reason: Reason, more: Partial<Refusal> = {}): Refusal => ({
  status: STATUS[reason],
  reason,
  ...more,
});
