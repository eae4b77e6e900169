/** Where things of the checkout are, seen from compiled tests. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

function findRoot(from: string): string {
  return existsSync(join(from, 'package.json')) ? from : findRoot(dirname(from));
}

/** The checkout's root folder. */
export const root = findRoot(dirname(fileURLToPath(import.meta.url)));

/** A recorded exchange: `vector<Shape>('smp/smp-v15')`. See test/vectors/README.md. */
export function vector<T>(name: string): T {
  return JSON.parse(readFileSync(join(root, 'test/vectors', `${name}.json`), 'utf8')) as T;
}

/** A vector of our own making: `ownVector<Shape>('relay-batch')`, made by the generators in test/vectors-own. */
export function ownVector<T>(name: string): T {
  return JSON.parse(readFileSync(join(root, 'test/vectors-own', `${name}.json`), 'utf8')) as T;
}
