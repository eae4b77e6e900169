/** What Apple checks about a request by itself: headers, path and size (apns.md §2–§4). Pure. */
import { type Reason, type Refusal, refuse } from './refusal.js';

const PRIORITIES = ['1', '5', '10'] as const;

/** The eleven push types with the suffix that their topic must have. */
const PUSH_TYPES = {
  alert: '',
  background: '',
  complication: '.complication',
  controls: '.push-type.controls',
  fileprovider: '.pushkit.fileprovider',
  liveactivity: '.push-type.liveactivity',
  location: '.location-query',
  mdm: '',
  pushtotalk: '.voip-ptt',
  voip: '.voip',
  widgets: '.push-type.widgets',
} as const;
export type PushType = keyof typeof PUSH_TYPES;

const MAX_PAYLOAD = 4096;
const MAX_VOIP_PAYLOAD = 5120;
const MAX_COLLAPSE_ID = 64;
/** Apple names no size for tokens; this only bounds the registry. */
const MAX_TOKEN = 400;
const PATH = '/3/device/';
const UUID = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/;
const TOPIC = /^[A-Za-z0-9.-]{1,255}$/;

/** The request as the rest of the simulator works with it. */
export interface PushRequest {
  readonly token: string;
  /** Bundle id, without the suffix of the push type. */
  readonly topic: string;
  readonly pushType: PushType;
  readonly priority: number;
  /** Unix seconds; undefined = Apple's own storage policy. */
  readonly expiration: number | undefined;
  readonly collapseId: string | undefined;
  readonly apnsId: string | undefined;
}

/** Header names and values as they came, duplicates included. */
export class RequestHeaders {
  private readonly values = new Map<string, string>();
  readonly hasDuplicates: boolean;

  constructor(raw: readonly string[]) {
    let hasDuplicates = false;
    for (let i = 0; i + 1 < raw.length; i += 2) {
      const name = raw[i]!.toLowerCase();
      hasDuplicates ||= this.values.has(name);
      this.values.set(name, raw[i + 1]!);
    }
    this.hasDuplicates = hasDuplicates;
  }

  get(name: string): string | undefined {
    return this.values.get(name);
  }
}

/** Method, path and duplicates: what is wrong before anybody asks who is there. */
export function checkShape(headers: RequestHeaders): Reason | undefined {
  if (headers.get(':method') !== 'POST') return 'MethodNotAllowed';
  const path = headers.get(':path') ?? '';
  if (path === PATH || `${path}/` === PATH) return 'MissingDeviceToken';
  const token = path.slice(PATH.length);
  if (!path.startsWith(PATH) || /[/?#]/.test(token)) return 'BadPath';
  return headers.hasDuplicates ? 'DuplicateHeaders' : undefined;
}

/** The other headers and the size of the body. `checkShape` has passed. */
export function parseRequest(headers: RequestHeaders, bodyBytes: number): PushRequest | Refusal {
  const apnsId = headers.get('apns-id');
  if (apnsId !== undefined && !UUID.test(apnsId)) return refuse('BadMessageId');
  const pushType = headers.get('apns-push-type');
  // A missing type is accepted or silently dropped by Apple, nobody knows when: an error is the strict reading.
  if (pushType === undefined || !Object.hasOwn(PUSH_TYPES, pushType)) return refuse('InvalidPushType');
  const type = pushType as PushType;
  const topic = baseTopic(headers.get('apns-topic'), type);
  if (typeof topic !== 'string') return topic;
  const priority = headers.get('apns-priority') ?? '10';
  // Apple names no reason for a background push of priority 10; BadPriority is this simulator's choice.
  const isKnown = (PRIORITIES as readonly string[]).includes(priority);
  if (!isKnown || (type === 'background' && priority !== '5')) return refuse('BadPriority');
  const expiration = headers.get('apns-expiration');
  if (expiration !== undefined && !/^\d{1,15}$/.test(expiration)) return refuse('BadExpirationDate');
  const collapseId = headers.get('apns-collapse-id');
  if (collapseId !== undefined && !isCollapseId(collapseId)) return refuse('BadCollapseId');
  if (bodyBytes === 0) return refuse('PayloadEmpty');
  if (bodyBytes > maxPayload(type)) return refuse('PayloadTooLarge');
  return {
    token: headers.get(':path')!.slice(PATH.length),
    topic,
    pushType: type,
    priority: Number(priority),
    expiration: expiration === undefined ? undefined : Number(expiration),
    collapseId,
    apnsId,
  };
}

/** The most that any push may carry; longer bodies need not be read. */
export const LARGEST_PAYLOAD = MAX_VOIP_PAYLOAD;

const maxPayload = (type: PushType): number => (type === 'voip' ? MAX_VOIP_PAYLOAD : MAX_PAYLOAD);

/** Header values come as one character a byte, so this counts bytes. */
const isCollapseId = (value: string): boolean => value.length > 0 && value.length <= MAX_COLLAPSE_ID;

function baseTopic(topic: string | undefined, type: PushType): string | Refusal {
  if (topic === undefined || topic === '') return refuse('MissingTopic');
  const suffix = PUSH_TYPES[type];
  if (!TOPIC.test(topic) || !topic.endsWith(suffix)) return refuse('BadTopic');
  return topic.slice(0, topic.length - suffix.length);
}

/** A token in the form in which the registry keeps it; undefined where it can't be one. */
export function canonicalToken(token: string, isText: boolean): string | undefined {
  if (token.length === 0 || token.length > MAX_TOKEN) return undefined;
  if (isText) return token;
  return /^(?:[0-9a-f]{2})+$/i.test(token) ? token.toLowerCase() : undefined;
}

/**
 * Why a phone would not show or run what was accepted: Apple has no error for these, such pushes just vanish
 * (apns.md §2, §4, §11). Undefined where the payload fits its type.
 */
export function payloadFault(
  type: PushType,
  body: Uint8Array,
): 'not-json' | 'no-aps' | 'type-mismatch' | undefined {
  let payload: unknown;
  try {
    payload = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch {
    return 'not-json';
  }
  const aps = (payload as { aps?: unknown } | null)?.aps;
  if (typeof aps !== 'object' || aps === null) return 'no-aps';
  const has = (name: string): boolean => Object.hasOwn(aps, name);
  const shows = has('alert') || has('badge') || has('sound');
  if (type === 'alert') return shows ? undefined : 'type-mismatch';
  if (type !== 'background') return undefined;
  const wakes = (aps as { 'content-available'?: unknown })['content-available'] === 1;
  return wakes && !shows ? undefined : 'type-mismatch';
}
