/** How what is to be asked becomes calls of the script. Pure. */
import type { Argument } from './client.js';

/** One thing to ask or to tell. */
export interface Entry {
  /** Hash tag of all its keys. */
  readonly tag: string;
  readonly keys: readonly string[];
  readonly args: readonly Argument[];
  /** Where it asks. */
  readonly answer?: (text: string) => void;
}

/** Entries of one call: Redis does nothing else meanwhile, and lists of arguments have their limits. */
const MAX_ENTRIES = 64;

/** Calls for all entries; in a cluster one for each device, whose keys lie together. */
export function callsOf(entries: readonly Entry[], isCluster: boolean): Entry[][] {
  const calls: Entry[][] = [];
  const open = new Map<string, Entry[]>();
  for (const entry of entries) {
    const place = isCluster ? entry.tag : '';
    let call = open.get(place);
    if (call === undefined || call.length === MAX_ENTRIES) {
      call = [];
      calls.push(call);
      open.set(place, call);
    }
    call.push(entry);
  }
  return calls;
}
