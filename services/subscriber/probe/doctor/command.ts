/**
 * `doctor` on the control socket: gateways, listeners, and with a server the way of one signal, a line a finding. One
 * at a time, and no longer than about a minute. Neither the server nor the phone that it names reaches the log.
 */
import { fromBase64url } from '../../../../shared/encoding/base64url.js';
import type { ControlCommand } from '../../../../shared/run/control.js';
import type { Finding } from '../../../../shared/run/doctor.js';
import { parseServer, type ServerAddress } from '../../../../shared/smp/address.js';
import { KEY_HASH_SIZE } from '../../../../shared/smp/constants.js';
import type { GatewayLink } from '../../outbound/gateway-link.js';
import type { Device } from '../../registry/device.js';
import { checkGateway, type ServedApp } from './gateway.js';
import { Hops, Stopped } from './hops.js';
import { type JourneyTools, journey } from './journey.js';
import { checkListener, type ListenerToCheck } from './listeners.js';

/** For everything together, and a few seconds to delete the queue. */
const LIMIT_MS = 60_000;

export interface GatewayToCheck {
  readonly name: string;
  readonly link: GatewayLink;
  readonly apps: readonly ServedApp[];
}

export interface DoctorOptions extends JourneyTools {
  readonly gateways: readonly GatewayToCheck[];
  /** Once they listen. */
  readonly listeners: () => readonly ListenerToCheck[];
}

/** `{"do":"doctor","server":"smp://…","device":"base64url"}`, both optional → one `Finding` a line. */
export function doctorCommand(options: DoctorOptions): ControlCommand {
  let isBusy = false;
  return async (request, say, gone) => {
    if (isBusy) {
      say(failed('doctor', 'another one is at work', 'wait a minute and ask again'));
      return;
    }
    isBusy = true;
    try {
      const hops = new Hops({ clock: options.clock, say, gone, limitMs: LIMIT_MS });
      await examine(options, hops, request);
    } catch (error) {
      if (!(error instanceof Stopped)) throw error;
    } finally {
      isBusy = false;
    }
  };
}

async function examine(
  options: DoctorOptions,
  hops: Hops,
  { server, device }: Readonly<Record<string, unknown>>,
): Promise<void> {
  const address = server === undefined ? undefined : addressIn(hops, server);
  const phone = device === undefined ? undefined : phoneIn(hops, options, device);
  if (phone !== undefined && address === undefined) {
    hops.say(
      failed('--device', 'no server is named', 'name one with --server; any that lets people make queues'),
    );
  }
  for (const { name, link, apps } of options.gateways) await checkGateway(hops, name, link, apps);
  for (const listener of options.listeners()) await checkListener(hops, listener);
  if (address !== undefined) await journey(hops, options, address, phone);
}

/** Throws `Stopped` where it is no address. */
function addressIn({ say }: Hops, server: unknown): ServerAddress {
  try {
    const address = parseServer(String(server));
    if (address.keyHash.length === KEY_HASH_SIZE) return address;
  } catch {
    // said below
  }
  say(failed('--server', 'not the address of a server', 'give it as smp://FINGERPRINT@HOST[:PORT]'));
  throw new Stopped();
}

/** Throws `Stopped` where no such phone is registered. */
function phoneIn({ say }: Hops, { registry }: DoctorOptions, device: unknown): Device {
  const id = fromBase64url(String(device));
  const phone = id && registry.deviceById(id);
  if (phone?.status === 'active') return phone;
  if (phone === undefined) {
    const fix = 'give the id of a registration here; after a restart phones register again by themselves';
    say(failed('--device', 'no such phone is registered', fix));
  } else {
    const fix = 'open the app on the phone, and let it finish its registration';
    say(failed('--device', `the phone's registration is ${phone.status}`, fix));
  }
  throw new Stopped();
}

const failed = (name: string, detail: string, fix: string): Finding => ({
  name,
  state: 'failed',
  detail,
  fix,
});
