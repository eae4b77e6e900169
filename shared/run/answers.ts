/** What a person gives to `init`, checked before the first file is written: half a folder would have to be removed again. */
import type { z } from 'zod';
import { UsageError } from './usage-error.js';

/** Throws `UsageError` that names the option and what is expected. What is not given is not checked. */
export function checkAnswer(option: string, field: z.ZodType, given: string | undefined): void {
  if (given === undefined) return;
  const problem = field.safeParse(given).error?.issues[0];
  if (problem !== undefined) throw new UsageError(`${option}: ${problem.message}`);
}
