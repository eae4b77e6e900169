/** Reads the Markdown pages of the checkout: links, headings, code; so that tests can compare them with the code. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { root } from './paths.js';

/** Made or fetched, not ours. */
const NOT_OURS = new Set(['node_modules', 'dist']);

export interface Page {
  /** From the checkout's root. */
  readonly path: string;
  readonly text: string;
}

export interface Fence {
  /** The word behind the three backticks, or nothing. */
  readonly language: string;
  readonly text: string;
}

/** All pages, hidden and foreign folders left out. */
export function pages(folder = root): Page[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    if (entry.name.startsWith('.') || NOT_OURS.has(entry.name)) return [];
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return pages(path);
    if (!entry.name.endsWith('.md')) return [];
    return [{ path: relative(root, path), text: readFileSync(path, 'utf8') }];
  });
}

const FENCE = /^( *)```(\w*)\n([\s\S]*?)^\1```$/gm;

export const fences = (text: string): Fence[] =>
  [...text.matchAll(FENCE)].map(([, , language = '', inside = '']) => ({ language, text: inside }));

export const prose = (text: string): string => text.replace(FENCE, '');

/** Code inside lines of prose. */
export const inlineCode = (text: string): string[] =>
  [...prose(text).matchAll(/`([^`\n]+(?:\n[^`\n]+)?)`/g)].map((match) => match[1]!.replace(/\s+/g, ' '));

/** Targets of links in prose. */
export const links = (text: string): string[] =>
  [...prose(text).matchAll(/\]\(([^)\s]+)\)/g)].map((match) => match[1]!);

/** The anchors that a page's headings get. */
export const anchors = (text: string): string[] =>
  [...prose(text).matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );

/** The cells of all rows of tables below a heading, up to the next heading. */
export function rows(text: string, heading: string): string[][] {
  const section = text.split(/^(?=#+ )/m).find((part) => part.startsWith(`${heading}\n`)) ?? '';
  const lines = section.split('\n').filter((line) => line.startsWith('|') && !/^\|[-|]+$/.test(line));
  return lines.map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}
