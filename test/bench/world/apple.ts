/** The lean APNs in a process of its own, with a certificate that everything here trusts. */
import { createServerCertificate, toPem } from '../../../shared/crypto/x509.js';
import { type Child, startParty } from '../children.js';
import type { LeanApns, LeanApnsEvent } from '../parties/lean-apns.js';

export interface Apple {
  readonly process: Child<LeanApns>;
  readonly port: number;
  /** PEM. */
  readonly ca: string;
  /** Called with what it tells while it is watched. */
  listen(listener: (event: LeanApnsEvent) => void): void;
}

export async function startLeanApns({ delayMs }: { delayMs: number }): Promise<Apple> {
  const made = createServerCertificate({ host: 'localhost', now: new Date() });
  const certificate = toPem('CERTIFICATE', made.certificate);
  const privateKey = toPem('PRIVATE KEY', made.privateKey);
  let listener: (event: LeanApnsEvent) => void = () => {};
  const onEvent = (event: unknown): void => listener(event as LeanApnsEvent);
  const process = await startParty<LeanApns>('lean-apns', { onEvent });
  const port = await process.call('start', { certificate, privateKey, delayMs });
  return {
    process,
    port,
    ca: certificate,
    listen(to) {
      listener = to;
    },
  };
}
