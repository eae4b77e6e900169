/** The version of the package that this file belongs to, wherever in it the compiled tree is. */
import { existsSync, readFileSync } from 'node:fs';

export function packageVersion(folder = new URL('.', import.meta.url)): string {
  const file = new URL('package.json', folder);
  if (!existsSync(file)) return packageVersion(new URL('..', folder));
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}
