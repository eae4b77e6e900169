/** The table `[redis]`: where several gateways count together. */
import { z } from 'zod';
import { fileField, limitField } from '../../../shared/run/config-fields.js';

const SCHEMES = /^(redis|rediss|unix):$/;

const url = z.string().superRefine((text, context) => {
  const problem = problemOf(text);
  if (problem !== undefined) context.addIssue({ code: 'custom', message: problem });
});

/** What is wrong with a server's URL, without quoting it. */
function problemOf(text: string): string | undefined {
  if (!URL.canParse(text)) return 'expected redis://HOST:PORT, rediss://HOST:PORT (TLS) or unix:/PATH';
  const { protocol, username, password, pathname, search, hash, hostname } = new URL(text);
  if (username !== '' || password !== '') {
    return 'no name or password in a URL: it would be in process lists, logs and this configuration; use the keys username and password_file';
  }
  if (!SCHEMES.test(protocol) || search !== '' || hash !== '') {
    return 'expected redis://HOST:PORT, rediss://HOST:PORT (TLS) or unix:/PATH';
  }
  if (protocol === 'unix:') return pathname.length > 1 ? undefined : 'expected unix:/PATH';
  return hostname === '' || pathname.length > 1 ? 'expected HOST:PORT and nothing behind it' : undefined;
}

export const redisSection = z
  .strictObject({
    /** One server, or some of a cluster's. */
    urls: z.array(url).min(1).max(32),
    /** `cluster` where there are several URLs, unless given. */
    mode: z.enum(['single', 'cluster']).optional(),
    /** Of an ACL; with TLS or on a network that nobody else reads. */
    username: z.string().min(1).max(128).optional(),
    /** File with the password and nothing else, mode 0600. */
    password_file: fileField.optional(),
    /** PEM file of the authority that signed the servers' certificates; the system's authorities without it. */
    ca_file: fileField.optional(),
    /** The name in the servers' certificates, where it is not the URL's host. */
    server_name: z.string().min(1).max(253).optional(),
    /** Start of every key, to share a server with others. */
    prefix: z
      .string()
      .regex(/^[A-Za-z0-9:._-]{0,64}$/, 'expected up to 64 of A-Z, a-z, 0-9, colon, dot, - and _')
      .default('porchlight:'),
    /** Longest time that a push waits for Redis, all in all. */
    timeout_ms: z.int().min(10).max(5_000).default(200),
    /** How many gateways share it; while Redis is away each lets through its part of what a device may get. */
    gateways: limitField(2, 1_000),
  })
  .superRefine((redis, context) => {
    const wrong = (path: string, message: string): void =>
      context.addIssue({ code: 'custom', path: [path], message });
    const schemes = new Set(redis.urls.map((text) => text.slice(0, text.indexOf(':'))));
    if (schemes.size > 1) wrong('urls', 'expected one scheme for all');
    if (redis.mode === 'single' && redis.urls.length > 1) wrong('urls', 'expected one URL in mode single');
    if (isCluster(redis) && schemes.has('unix')) wrong('urls', 'a cluster is not reached by unix:/PATH');
    const isTls = schemes.has('rediss');
    if (!isTls && redis.ca_file !== undefined) wrong('ca_file', 'only of use with rediss://');
    if (!isTls && redis.server_name !== undefined) wrong('server_name', 'only of use with rediss://');
    if (redis.username !== undefined && redis.password_file === undefined) {
      wrong('password_file', 'a user name needs a password');
    }
  });

export type RedisConfig = z.output<typeof redisSection>;

export const isCluster = ({ mode, urls }: Pick<RedisConfig, 'mode' | 'urls'>): boolean =>
  mode === undefined ? urls.length > 1 : mode === 'cluster';
