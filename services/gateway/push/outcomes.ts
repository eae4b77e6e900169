/** From Apple's answer to the record that goes back to the subscriber (relay.md §6). Pure. */
import type { Outcome } from '../../../shared/relay/batch.js';
import { laterStep } from '../../../shared/relay/constants.js';
import type { ApnsResult } from '../apns/engine.js';
import type { CapabilityRefusal } from '../capabilities/capabilities.js';

/** Outcomes without a capability hold no data: one object serves all. */
const ACCEPTED: Outcome = { kind: 'accepted', reason: 'none', after: 0 };
export const PROVIDER_DOWN: Outcome = { kind: 'unavailable', reason: 'provider-down', after: 0 };
export const MALFORMED: Outcome = { kind: 'refused', reason: 'malformed', after: 0 };

/** `after` rounded up to 1, 5, 20 or 60 minutes. */
export const later = (reason: 'budget' | 'device' | 'provider' | 'load', seconds: number): Outcome => ({
  kind: 'later',
  reason,
  after: laterStep(seconds),
});

export const refused = (reason: CapabilityRefusal): Outcome => ({ kind: 'refused', reason, after: 0 });

/** For an unproven capability `dead` is always `bad`: a stranger learns no more of a device than that. */
export function outcomeOf(result: ApnsResult, proven: boolean): Outcome {
  switch (result.kind) {
    case 'accepted':
      return ACCEPTED;
    case 'dead':
      return { kind: 'dead', reason: proven ? result.reason : 'bad', after: 0 };
    case 'later':
      return later(result.reason, result.afterSeconds);
    case 'unavailable':
      return { kind: 'unavailable', reason: result.reason, after: 0 };
    case 'rejected':
      return MALFORMED;
  }
}
