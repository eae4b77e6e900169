/** `porchlight demo`. */
import { onShutdown } from '../../../shared/run/shutdown.js';
import { Demo } from '../../demo/demo.js';
import type { FaultName } from '../../demo/narrator.js';
import { createScreen } from '../../demo/screen.js';

export interface DemoCommand {
  readonly messages: number;
  readonly once?: true;
  readonly fault?: FaultName;
  readonly gateways: number;
}

/** Exit status 0 when every message was opened. */
export async function demo({ messages, once, fault, gateways }: DemoCommand): Promise<void> {
  const screen = createScreen(process.stdout);
  const story = new Demo({ messages, once: once === true, fault, gateways, screen });
  onShutdown(() => story.close());
  try {
    process.exitCode = (await story.run()) ? 0 : 1;
  } finally {
    await story.close();
  }
}
