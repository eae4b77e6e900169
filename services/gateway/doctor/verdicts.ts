/**
 * What Apple's answer to the doctor's push says about the configuration (apns.md §8). The token is made up, so that
 * a refusal of the token is the good answer: it comes only after key, team and topic were taken. Data only.
 */
import type { FindingState } from '../../../shared/run/doctor.js';
import { type ReasonWord, reasonWord } from '../apns/reasons.js';

export interface Verdict {
  readonly state: FindingState;
  /** What it means. */
  readonly means: string;
  readonly fix?: string;
}

const taken: Verdict = { state: 'ok', means: 'key, team and topic are taken' };
const failed = (means: string, fix: string): Verdict => ({ state: 'failed', means, fix });
const warning = (means: string, fix: string): Verdict => ({ state: 'warning', means, fix });

const TOPIC_FIX =
  'set apps.N.topic to the bundle id of an app of this team, and see in the developer account that the key may push for that app';
const KEY_FIX =
  "in the developer account under Keys: is the key still there, is its id keys.N.key_id, and is keys.N.team_id the team under Membership? Then see this machine's clock";
const CLOCK_FIX = 'set the clock of this machine: timedatectl set-ntp true';
const ENVIRONMENT_FIX =
  'use a key made for this environment, or take the environment out of apps.N.environments';
const LATER_FIX = 'wait 15 minutes and ask again; see developer.apple.com/system-status';
const BUG_FIX = 'this is a fault of the gateway: please report it with the line above';
const TOKEN_FIX =
  'wait 20 minutes; if it returns, something else signs with the same key too often on one connection';

const VERDICTS: Partial<Record<ReasonWord, Verdict>> = {
  BadDeviceToken: taken,
  DeviceTokenNotForTopic: taken,
  Unregistered: taken,
  ExpiredToken: taken,
  TopicDisallowed: failed('the key may not push for this topic', TOPIC_FIX),
  BadTopic: failed('the topic is not one', TOPIC_FIX),
  MissingTopic: failed('the topic is not one', TOPIC_FIX),
  InvalidProviderToken: failed('the key, its id or the team is not what Apple knows', KEY_FIX),
  ExpiredProviderToken: failed('the time in the signature is more than an hour off', CLOCK_FIX),
  BadEnvironmentKeyIdInToken: failed('the key is for another environment', ENVIRONMENT_FIX),
  BadEnvironmentKeyInToken: failed('the key is for another environment', ENVIRONMENT_FIX),
  UnrelatedKeyIdInToken: failed('the key does not belong to this topic', TOPIC_FIX),
  Forbidden: failed('the key is not allowed to push', KEY_FIX),
  BadCertificate: failed('the key is not allowed to push', KEY_FIX),
  BadCertificateEnvironment: failed('the key is for another environment', ENVIRONMENT_FIX),
  TooManyProviderTokenUpdates: warning('the provider token changed too often', TOKEN_FIX),
  TooManyRequests: warning('too many requests', LATER_FIX),
  InternalServerError: warning('Apple has trouble', LATER_FIX),
  ServiceUnavailable: warning('Apple has trouble', LATER_FIX),
  Shutdown: warning('that server of Apple is being stopped', LATER_FIX),
};

/** @param reason Apple's text; only the closed words for it are passed on */
export function verdictOn(status: number, reason: string | undefined): Verdict {
  if (status === 200) return { state: 'ok', means: 'taken, although the token is made up' };
  const known = VERDICTS[reasonWord(reason)];
  if (known !== undefined) return known;
  return status >= 500 ? warning('Apple has trouble', LATER_FIX) : failed('the request was refused', BUG_FIX);
}
