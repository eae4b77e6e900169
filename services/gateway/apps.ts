/** The apps this gateway serves, looked up by what stands in tokens and capabilities: tag and environment. */
import type { Crypto } from '../../shared/crypto/crypto.js';
import { type Bytes, latin1 } from '../../shared/encoding/bytes.js';
import { appTag, type Environment } from '../../shared/relay/identity.js';
import type { AppConfig } from './config.js';
import type { Profile } from './render/bodies.js';
import { createPorchlightProfile } from './render/porchlight.js';
import { createSimplexProfile } from './render/simplex.js';

export interface App {
  readonly topic: string;
  readonly environments: readonly Environment[];
  readonly profileName: AppConfig['profile'];
  readonly profile: Profile;
  /** Its phones have one subscriber at a time. */
  readonly hasOneSubscriber: boolean;
}

const PROFILES = {
  simplex: createSimplexProfile,
  porchlight: createPorchlightProfile,
} as const satisfies Record<AppConfig['profile'], (config: AppConfig) => Profile>;

/** The form of an app's pushes. Throws `PayloadTooLarge` where its texts don't fit in one. */
export const profileOf = (config: AppConfig): Profile => PROFILES[config.profile](config);

export class Apps {
  readonly all: readonly App[];
  private readonly byTag = new Map<string, App>();

  /** Throws `PayloadTooLarge` where an app's texts don't fit in a push. */
  constructor(crypto: Crypto, configs: readonly AppConfig[]) {
    this.all = configs.map((config) => ({
      topic: config.topic,
      environments: config.environments,
      profileName: config.profile,
      profile: profileOf(config),
      hasOneSubscriber: config.single_subscriber,
    }));
    for (const app of this.all) this.byTag.set(latin1(appTag(crypto, app.topic)), app);
  }

  /** Undefined where the app is unknown or not served in that environment. */
  find(tag: Bytes, environment: Environment): App | undefined {
    const app = this.byTag.get(latin1(tag));
    return app?.environments.includes(environment) ? app : undefined;
  }
}
