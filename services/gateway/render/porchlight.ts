/**
 * Apple's JSON bodies for profile `porchlight` (shared/push/README.md). A message of urgency 0 goes in the background;
 * `check` and `alert` hold nothing but what Apple needs.
 */
import { BACKGROUND, boxed, checkSizes, json, type Profile } from './bodies.js';

export interface PorchlightTexts {
  readonly visible_text: string;
  /** Left out of the push where it is not set. */
  readonly category?: string | undefined;
}

const DATA = 'porchlight';

/** Renders every body once at full size. Throws `PayloadTooLarge`. */
export function createPorchlightProfile({ visible_text: alert, category }: PorchlightTexts): Profile {
  return checkSizes({
    verification: boxed(BACKGROUND, DATA, 'verification'),
    message: boxed({ 'mutable-content': 1, alert, category }, DATA, 'message'),
    silentMessage: boxed(BACKGROUND, DATA, 'message'),
    check: json({ aps: BACKGROUND }),
    alert: json({ aps: { alert } }),
  });
}
