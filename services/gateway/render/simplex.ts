/** Apple's JSON bodies for profile `simplex` (guide H.8): what a stock app and its notification extension open. */
import { BACKGROUND, boxed, checkSizes, json, type Profile } from './bodies.js';

export interface SimplexTexts {
  readonly visible_text: string;
  readonly category?: string | undefined;
}

/** Stock apps register it for the actions of a notification. */
const STOCK_CATEGORY = 'NTF_CAT_CHECK_MESSAGE';
const DATA = 'notificationData';

/** Renders every body once at full size. Throws `PayloadTooLarge`. */
export function createSimplexProfile({
  visible_text: alert,
  category = STOCK_CATEGORY,
}: SimplexTexts): Profile {
  return checkSizes({
    verification: boxed(BACKGROUND, DATA, 'verification'),
    message: boxed({ 'mutable-content': 1, alert, category }, DATA, 'message'),
    check: json({ aps: BACKGROUND, [DATA]: { checkMessages: true } }),
    alert: json({ aps: { alert } }),
  });
}
