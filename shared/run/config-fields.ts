/** Pieces that the configurations of several services have in common. */
import { isIP } from 'node:net';
import { z } from 'zod';
import { writtenAs } from './config.js';
import { parseListen } from './listen.js';

/** Text that is read as an object. `parse` gives undefined where it is something else than `expected`. */
export const textField = <T extends object>(parse: (text: string) => T | undefined, expected: string) =>
  z.string().transform((text, context): T => {
    const value = parse(text);
    if (value !== undefined) return writtenAs(value, text);
    context.addIssue({ code: 'custom', message: `expected ${expected}` });
    return z.NEVER;
  });

/** `HOST:PORT` of a listener. */
export const listenField = textField(parseListen, 'HOST:PORT, for example 0.0.0.0:443 or [::]:443');

/** A name or an address under which others reach a machine. */
export const hostField = z
  .string()
  .refine(
    (text) => isIP(text) !== 0 || (text.length <= 253 && HOST_NAME.test(text)),
    'expected a name such as push.example.org, or an address, without a scheme or a port',
  );
const HOST_NAME = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/i;

/** Apple's name of an app, the topic of its pushes. */
export const bundleIdField = z
  .string()
  .regex(/^[A-Za-z0-9.-]{1,155}$/, 'expected a bundle id such as chat.example.app');

/** Apple's ids of a team and of a key. */
export const appleIdField = z.string().regex(/^[A-Z0-9]{10}$/, 'expected 10 of A-Z and 0-9');

/**
 * Path of a file, or `credential:NAME`. Who puts a key itself here, for example into a variable of the environment,
 * is told so without seeing it repeated.
 */
export const fileField = z
  .string()
  .regex(
    /^(?!.*-----BEGIN)\P{Cc}{1,1024}$/u,
    'expected the path of a file, or credential:NAME, never what the file holds',
  );

/** Name of a table, by which other tables refer to it. */
export const nameField = z.string().regex(/^[a-z0-9-]{1,32}$/, 'expected 1 to 32 of a-z, 0-9 and -');

/** A limit: at least 1. */
export const limitField = (fallback: number, max: number) => z.int().min(1).max(max).default(fallback);

export const logSection = z
  .strictObject({
    level: z.enum(['debug', 'info', 'warn', 'error']).default('info'),
    format: z.enum(['json', 'text']).default('text'),
  })
  .prefault({});

/** The second listener: metrics and readiness. */
export const observeSection = (port: number) =>
  z.strictObject({ listen: listenField.prefault(`127.0.0.1:${port}`) }).prefault({});
