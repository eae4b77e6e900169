/** The files that the table `[redis]` names. */
import { readFileSync } from 'node:fs';
import type { ConfigFiles } from '../../../shared/run/config.js';
import { pathOf, readSecretFile, SecretFileError } from '../../../shared/run/files.js';
import type { RedisConfig } from './config.js';

export interface RedisFiles {
  /** As ioredis takes it. */
  readonly password: string | undefined;
  /** PEM text. */
  readonly ca: string | undefined;
}

export function openRedisFiles(files: ConfigFiles, redis: RedisConfig | undefined): RedisFiles {
  const { password_file: passwordFile, ca_file: caFile } = redis ?? {};
  const password = passwordFile && files.use('redis.password_file', () => readPassword(passwordFile));
  const ca = caFile && files.use('redis.ca_file', () => readFileSync(pathOf(caFile), 'utf8'));
  return { password, ca };
}

function readPassword(file: string): string {
  const bytes = readSecretFile(file);
  const password = bytes.toString('utf8').replace(/\r?\n$/, '');
  bytes.fill(0);
  if (password !== '' && !password.includes('\n')) return password;
  throw new SecretFileError(`${file}: expected the password on one line`);
}
