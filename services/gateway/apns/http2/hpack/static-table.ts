/** The static table of HPACK (RFC 7541 Appendix A): fields that both sides know by number from the start. */
import { type Entry, newEntry } from './entry.js';

const WITH_VALUE: readonly (readonly [name: string, value: string])[] = [
  [':authority', ''],
  [':method', 'GET'],
  [':method', 'POST'],
  [':path', '/'],
  [':path', '/index.html'],
  [':scheme', 'http'],
  [':scheme', 'https'],
  [':status', '200'],
  [':status', '204'],
  [':status', '206'],
  [':status', '304'],
  [':status', '400'],
  [':status', '404'],
  [':status', '500'],
  ['accept-charset', ''],
  ['accept-encoding', 'gzip, deflate'],
];

const NAME_ONLY =
  'accept-language accept-ranges accept access-control-allow-origin age allow authorization cache-control ' +
  'content-disposition content-encoding content-language content-length content-location content-range ' +
  'content-type cookie date etag expect expires from host if-match if-modified-since if-none-match if-range ' +
  'if-unmodified-since last-modified link location max-forwards proxy-authenticate proxy-authorization range ' +
  'referer refresh retry-after server set-cookie strict-transport-security transfer-encoding user-agent vary ' +
  'via www-authenticate';

/** Entry n of Appendix A is element n - 1. */
export const STATIC_TABLE: readonly Entry[] = [
  ...WITH_VALUE.map(([name, value]) => newEntry(name, value)),
  ...NAME_ONLY.split(' ').map((name) => newEntry(name, '')),
];

const NAMES = new Map<string, number>();
const FIELDS = new Map<string, Map<string, number>>();
STATIC_TABLE.forEach(({ name, value }, i) => {
  if (!NAMES.has(name)) NAMES.set(name, i + 1);
  const values = FIELDS.get(name) ?? new Map<string, number>();
  FIELDS.set(name, values.set(value, i + 1));
});

/** Index of the field with this name and value, `undefined` where the table has none. */
export const staticField = (name: string, value: string): number | undefined => FIELDS.get(name)?.get(value);

/** Index of the first field with this name, `undefined` where the table has none. */
export const staticName = (name: string): number | undefined => NAMES.get(name);
