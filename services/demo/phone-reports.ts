/** What passes between the demo's director and the phone's process. */
import type { Letter } from './end-to-end.js';

/** What the phone tells the director of the demo; nobody else hears it. */
export type PhoneReport =
  | { readonly kind: 'invitation'; readonly invitation: Invitation }
  | { readonly kind: 'pushed'; readonly at: number }
  | { readonly kind: 'opened'; readonly at: number; readonly letter: Letter }
  /** Disconnected from everybody: only a push reaches it now. */
  | { readonly kind: 'asleep' };

/** What a friend needs to write, and the names of things that others must not know. base64url and text. */
export interface Invitation {
  readonly senderId: string;
  readonly letterKey: string;
  readonly deviceToken: string;
  readonly recipientId: string;
  readonly notifierId: string;
}

export interface PhoneSetting {
  readonly topic: string;
  readonly apnsControlPort: number;
  /** `smp://…` */
  readonly messagingServer: string;
  /** What a person would scan: `porchlight://…` */
  readonly pairing: string;
}
