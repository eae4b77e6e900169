/** The control port of the APNs simulator, as the demo's phone and director use it. */
export interface PushDelivery {
  readonly seq: number;
  /** Unix milliseconds. */
  readonly at: number;
  /** JSON as Apple got it. */
  readonly payload: string;
  readonly pushType: string;
}

/** How long one question for deliveries may stand. */
const WAIT_MS = 10_000;

export class ApnsControl {
  private readonly base: string;

  constructor(port: number) {
    this.base = `http://127.0.0.1:${port}`;
  }

  /** A new phone with the app: its device token, which only Apple gives out. */
  async registerPhone(topic: string): Promise<string> {
    const { token } = (await this.post('/devices/register', { environment: 'test', topic })) as {
      token: string;
    };
    return token;
  }

  /** Pushes that reached the phone after the one numbered `after`; waits for the next when there is none. */
  async deliveries(token: string, after: number): Promise<readonly PushDelivery[]> {
    const query = { environment: 'test', token, step: 'delivered', after, waitMs: WAIT_MS };
    const { entries } = (await this.post('/deliveries', query)) as { entries: readonly PushDelivery[] };
    return entries;
  }

  /** Every push that Apple accepted for this phone. */
  async accepted(token: string): Promise<readonly PushDelivery[]> {
    const { entries } = (await this.post('/deliveries', { token })) as { entries: readonly PushDelivery[] };
    return entries;
  }

  /** The whole service goes away, or comes back. */
  async set(state: 'down' | 'up'): Promise<void> {
    await this.post(`/${state}`, {});
  }

  private async post(path: string, body: unknown): Promise<unknown> {
    const response = await fetch(this.base + path, { method: 'POST', body: JSON.stringify(body) });
    if (!response.ok) throw new Error(`APNs simulator: ${path} answered ${response.status}`);
    return response.status === 204 ? undefined : response.json();
  }
}
