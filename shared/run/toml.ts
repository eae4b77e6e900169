/** Values as TOML writes them, for the commented templates. */
import { stringify } from 'smol-toml';

/** One value, quoted and escaped. */
export const toml = (value: string | number | readonly string[]): string =>
  stringify({ v: value as string })
    .trim()
    .slice('v = '.length);

/** `text` as it is, or commented out line by line where it does not apply yet. */
export const unless = (condition: boolean, text: string): string =>
  condition ? text.replace(/^(?!#)/gm, '# ') : text;
