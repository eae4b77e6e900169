/** Whether the subscriber can do its work, for `/readyz`: what its gateways say of themselves and of its apps. */
import type { SubscriberConfig } from './config.js';
import type { GatewayLink } from './outbound/gateway-link.js';

type Listener = Pick<SubscriberConfig['listeners'][number], 'gateway' | 'topic' | 'profile'>;

/**
 * What is wrong, or undefined: a gateway that no statement has come from yet, or that takes no pushes now, or that does
 * not serve an app of ours, or renders its pushes in another profile than its listener makes them in, so that no phone
 * could open them.
 */
export function unreadyGateway(
  links: ReadonlyMap<string, Pick<GatewayLink, 'facts' | 'available'>>,
  listeners: readonly Listener[],
): string | undefined {
  for (const [name, { facts, available }] of links) {
    if (facts === undefined) return `gateway ${name} not reached`;
    if (!available) return `gateway ${name} unavailable`;
    for (const { gateway, topic, profile } of listeners) {
      if (gateway !== name) continue;
      const profiles = facts.profiles.get(topic);
      if (profiles === undefined) return `gateway ${name}: app not served`;
      if (!profiles.includes(profile)) return `gateway ${name}: app in another profile`;
    }
  }
  return undefined;
}
