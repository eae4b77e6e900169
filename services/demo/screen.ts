/** What a person sees: colour and a diagram in a terminal, plain lines in a pipe. */
import { styleText } from 'node:util';

type Style = Parameters<typeof styleText>[0];

export interface Screen {
  line(text?: string): void;
  /** The text in a style, where the output can show it. */
  styled(style: Style, text: string): string;
}

/** Writes to `out`; colours only in a terminal that did not ask for none (NO_COLOR). */
export function createScreen(out: NodeJS.WriteStream): Screen {
  const colours = out.isTTY && process.env.NO_COLOR === undefined;
  return {
    line: (text = '') => void out.write(`${text}\n`),
    styled: (style, text) => (colours ? styleText(style, text) : text),
  };
}
