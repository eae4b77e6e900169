/** Command lines as pages show them, compared with the executable's commands and options. */
import type { Command } from 'commander';
import { fences, inlineCode, type Page } from './markdown.js';

/** From the name of the executable, with what a shell takes for itself cut off. */
const CALL = /(?<![\w./-])porchlight((?: +[^|;&<>#\n]+)+)/g;

/** Labels of keys and signatures, such as `porchlight token v1`. */
const LABEL = / (?:v\d|SIDE)$/;

/** The arguments of every `porchlight …` on a page. */
export function callsOn({ text }: Page): string[] {
  const shown = fences(text)
    .filter(({ language }) => language === 'sh' || language === 'console' || language === '')
    .map((fence) => fence.text.replace(/\\\n/g, ' '));
  const indented = text.match(/^ {4,}(?:sudo .*)?porchlight .*$/gm) ?? [];
  const written = inlineCode(text).filter(
    (code) => /^(?:sudo -u \S+ |\$ )?porchlight /.test(code) && !LABEL.test(code),
  );
  return [...shown, ...indented, ...written].flatMap((code) =>
    [...code.matchAll(CALL)].map((match) => match[1]!.trim()),
  );
}

/** What is wrong with the arguments; undefined where all are known. */
export function problemOf(program: Command, args: string): string | undefined {
  const words = args.match(/'[^']*'|"[^"]*"|\S+/g) ?? [];
  let command = program;
  let given = 0;
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!.replace(/[.,:)]+$/, '');
    if (word === '' || word === '…' || word === '--') continue;
    const below = command.commands.find((each) => each.name() === word);
    if (below !== undefined) {
      command = below;
      given = 0;
    } else if (word.startsWith('-')) {
      if (word === '--help') continue;
      const option = command.options.find(({ long, short }) => long === word || short === word);
      if (option === undefined) return `${args}: no option ${word}`;
      if (option.required) i++;
    } else if (++given > command.registeredArguments.length) {
      return `${args}: no place for ${word}`;
    }
  }
  return undefined;
}
