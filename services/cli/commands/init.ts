/** `porchlight init`: makes a service's folder and says what to hand on and what to do next. */
import { join } from 'node:path';
import { renderUnicodeCompact } from 'uqr';
import { GATEWAY_FILE, type GatewayInit, makeGateway } from '../../gateway/init.js';
import { makeSubscriber, SUBSCRIBER_FILE, type SubscriberInit } from '../../subscriber/init.js';

export async function initGateway(options: GatewayInit): Promise<void> {
  const address = await makeGateway(options);
  const file = join(options.dir, GATEWAY_FILE);
  const complete = options.team && options.apnsKey && options.apnsKeyId;
  announce("The gateway's address, for those who run subscribers:", address, [
    ...(complete
      ? []
      : [`put Apple's key into ${join(options.dir, 'apns.p8')} (chmod 600) and its ids into ${file}`]),
    `porchlight gateway --config ${file} --check-config`,
    `porchlight gateway --config ${file}`,
  ]);
}

export function initSubscriber(options: SubscriberInit): void {
  const address = makeSubscriber(options);
  const file = join(options.dir, SUBSCRIBER_FILE);
  announce('The notification server to enter in the app:', address, [
    `porchlight subscriber --config ${file} --check-config`,
    `porchlight subscriber --config ${file}`,
    `keep ${join(options.dir, 'ca.key')} offline: it is needed only to make a new server certificate`,
  ]);
}

/** The address as text and, in a terminal, as QR code; then what to do next. */
function announce(what: string, uri: string, next: readonly string[]): void {
  const say = (text: string) => process.stdout.write(`${text}\n`);
  say(`${what}\n\n  ${uri}\n`);
  if (process.stdout.isTTY) say(`${renderUnicodeCompact(uri)}\n`);
  say('Next:');
  for (const line of next) say(`  ${line}`);
}
