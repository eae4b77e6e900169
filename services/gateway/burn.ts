/** `gateway --burn EPOCH`: destroys an epoch's root at once; every capability sealed under it is dead (relay.md §4). */
import { join } from 'node:path';
import { KeyFolder } from './capabilities/key-folder.js';

/** Where the roots lie in the state folder. */
export const EPOCHS_FOLDER = 'epochs';

/** Names of the epochs whose roots are there, as the log calls them. */
export const epochNames = (state: string): string[] => folderOf(state).names();

/** Overwrites and unlinks the root; running gateways forget it within a minute. False where there is none of that name. */
export function burnEpoch(state: string, name: string): boolean {
  const folder = folderOf(state);
  if (!folder.names().includes(name)) return false;
  folder.destroy(name);
  return true;
}

const folderOf = (state: string): KeyFolder => new KeyFolder(join(state, EPOCHS_FOLDER), 'epoch root');
