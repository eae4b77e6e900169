/**
 * `porchlight trace`: follows one queue through a running subscriber. The queue's address comes from standard input,
 * for arguments are shown to everybody on the machine and kept by shells.
 */
import type { Readable } from 'node:stream';
import { toBase64url } from '../../../shared/encoding/base64url.js';
import { DecodeError } from '../../../shared/encoding/reader.js';
import { loadConfig } from '../../../shared/run/config.js';
import { controlPath } from '../../../shared/run/control.js';
import { askControl } from '../../../shared/run/control-client.js';
import { UsageError } from '../../../shared/run/usage-error.js';
import { formatServer, parseQueue, type SmpQueue } from '../../../shared/smp/address.js';
import { subscriberConfigSchema } from '../../subscriber/config.js';

const MAX_LINE = 4_096;
const MS_WIDTH = 7;

/** Prints milestones as they are passed, for five minutes. Rejects with `ConfigError` or `UsageError`. */
export async function trace({ config: file }: { readonly config: string }): Promise<void> {
  const config = loadConfig(subscriberConfigSchema, {
    file,
    env: process.env,
    prefix: 'PORCHLIGHT_SUBSCRIBER_',
  });
  if (process.stdin.isTTY) process.stderr.write('queue (smp://FINGERPRINT@HOST/NOTIFIER-ID): ');
  const { server, notifierId } = queueIn(await firstLine(process.stdin));
  const request = { do: 'trace', server: formatServer(server), notifier: toBase64url(notifierId) };
  for await (const { ms, milestone, reason } of askControl(controlPath(config), request)) {
    if (milestone === undefined) say('following for five minutes');
    else say(`${String(ms).padStart(MS_WIDTH)} ms  ${milestone}${reason === undefined ? '' : `: ${reason}`}`);
  }
}

/** Up to the first line break or the end. */
async function firstLine(input: Readable): Promise<string> {
  let text = '';
  for await (const chunk of input.setEncoding('utf8')) {
    text += chunk;
    if (text.includes('\n') || text.length > MAX_LINE) break;
  }
  return text.split('\n', 1)[0]!.trim();
}

function queueIn(text: string): SmpQueue {
  try {
    return parseQueue(text);
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    throw new UsageError('expected smp://FINGERPRINT@HOST[:PORT]/NOTIFIER-ID on standard input');
  }
}

const say = (line: string): void => void process.stdout.write(`${line}\n`);
