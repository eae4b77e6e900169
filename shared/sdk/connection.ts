/** The phone's one connection to its notification server: opened on demand, kept until it breaks (guide I.1). */
import type { NtfResponse } from '../ntf/responses.js';
import { type NtfRequest, NtfSession, type NtfSessionOptions } from './ntf-client.js';
import { type Connect, NtfConnectionError } from './transport.js';

export class Connection {
  private readonly connect: Connect;
  private readonly options: NtfSessionOptions;
  private session: NtfSession | undefined;

  constructor(connect: Connect, options: NtfSessionOptions) {
    this.connect = connect;
    this.options = options;
  }

  /**
   * Answers in the order of the requests. Rejects with `NtfConnectionError`. A connection that broke while it lay
   * idle is made anew once: every command may be repeated.
   */
  async request(requests: readonly NtfRequest[]): Promise<NtfResponse[]> {
    const kept = this.session?.open ? this.session : undefined;
    if (kept) {
      try {
        return await kept.request(requests);
      } catch (error) {
        if (!(error instanceof NtfConnectionError) || error.reason !== 'closed') throw error;
      }
    }
    this.session = await NtfSession.open(await this.connect(), this.options);
    return this.session.request(requests);
  }

  close(): void {
    this.session?.close();
    this.session = undefined;
  }
}
