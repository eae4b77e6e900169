/** The status pages in a real browser: what they show, that they need nothing, and that everybody can read them. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import axe from 'axe-core';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { gatewayStatus } from '../../services/gateway/status.js';
import { subscriberStatus } from '../../services/subscriber/status.js';
import { commandOnPath } from '../support/needs.js';
import { type BusyStatus, startBusyStatus } from '../support/status.js';

const PHONE = { width: 390, height: 844 };
const DESK = { width: 1280, height: 800 };
const STOPS = {
  gateway: ['Messaging servers', 'Subscribers', 'Gateway this service', 'Apple'],
  subscriber: ['Messaging servers', 'Subscriber this service', 'Gateway', 'Apple'],
} as const;

type AxeResults = {
  readonly violations: readonly {
    readonly id: string;
    readonly nodes: readonly { readonly html: string }[];
  }[];
};

let browser: Browser;
const busy = new Map<string, BusyStatus>();

before(async () => {
  const executablePath = commandOnPath('chromium', 'chromium');
  browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
  busy.set('gateway', await startBusyStatus(gatewayStatus, 4));
  busy.set('subscriber', await startBusyStatus(subscriberStatus, 4));
  busy.set('troubled gateway', await startBusyStatus(gatewayStatus, 1, 'apns'));
});
after(async () => {
  await browser?.close();
  for (const status of busy.values()) await status.close();
});

interface Visit {
  readonly page: Page;
  /** Everything that the browser asked for, and everything that it complained about. */
  readonly requests: readonly string[];
  readonly complaints: readonly string[];
}

async function visit(
  service: string,
  path: string,
  options: BrowserContextOptions,
  look: (visit: Visit) => Promise<void>,
) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const [requests, complaints]: [string[], string[]] = [[], []];
  page.on('request', (request) => requests.push(request.url()));
  page.on('console', (message) => complaints.push(message.text()));
  page.on('pageerror', (error) => complaints.push(error.message));
  try {
    await page.goto(`http://127.0.0.1:${busy.get(service)!.port}${path}`);
    await look({ page, requests, complaints });
  } finally {
    await context.close();
  }
}

for (const service of ['gateway', 'subscriber'] as const) {
  describe(`the ${service}'s pages`, () => {
    for (const path of ['/status', '/public']) {
      for (const colorScheme of ['light', 'dark'] as const) {
        for (const viewport of [PHONE, DESK]) {
          it(`${path}, ${colorScheme}, ${viewport.width} wide: fits, fetches nothing, complains about nothing`, () =>
            visit(service, path, { colorScheme, viewport }, async ({ page, requests, complaints }) => {
              assert.equal(await page.evaluate('document.documentElement.scrollWidth'), viewport.width);
              assert.deepEqual(complaints, []);
              assert.deepEqual(
                requests.filter((url) => !url.startsWith('data:')),
                [page.url()],
              );
            }));

          it(`${path}, ${colorScheme}, ${viewport.width} wide: contrast and names are right`, () =>
            visit(service, path, { colorScheme, viewport, bypassCSP: true }, async ({ page }) => {
              await page.evaluate(axe.source);
              const { violations } = await page.evaluate<AxeResults>('axe.run(document)');
              assert.deepEqual(
                violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]),
                [],
              );
            }));
        }
      }
    }

    it('shows the way of a wake-up from left to right, and drawings with words', () =>
      visit(service, '/status', { viewport: DESK }, async ({ page }) => {
        const names = await page.locator('.hops .name').allInnerTexts();
        assert.deepEqual(
          names.map((name) => name.replace(/\s+/g, ' ')),
          STOPS[service],
        );
        const lefts = await page.evaluate<number[]>(
          `[...document.querySelectorAll('.hops li')].map((li) => li.getBoundingClientRect().left)`,
        );
        assert.deepEqual(
          lefts,
          [...lefts].sort((a, b) => a - b),
        );
        assert.equal(new Set(lefts).size, 4);
        const drawings = page.getByRole('img');
        assert.ok((await drawings.count()) > 10);
        assert.match(
          (await drawings.first().getAttribute('aria-label'))!,
          /^Last 30 min by the minute: (from )?(few|\d)/,
        );
      }));

    it('is whole without script', () =>
      visit(service, '/status', { javaScriptEnabled: false }, async ({ page, complaints }) => {
        assert.match(await page.locator('h1').innerText(), new RegExp(service, 'i'));
        assert.equal(await page.locator('.panel').count(), 4);
        assert.deepEqual(complaints, []);
      }));

    it('is dark where the reader wants it dark', async () => {
      const lightness = async (colorScheme: 'light' | 'dark'): Promise<number> => {
        let colour = '';
        await visit(service, '/status', { colorScheme }, async ({ page }) => {
          colour = await page.evaluate<string>('getComputedStyle(document.body).backgroundColor');
        });
        return Number(/\d+/.exec(colour)![0]);
      };
      assert.ok((await lightness('light')) > 200);
      assert.ok((await lightness('dark')) < 60);
    });

    it('links its other forms, and loads itself again only when asked', () =>
      visit(service, '/status', {}, async ({ page }) => {
        assert.equal(await page.locator('meta[http-equiv=refresh]').count(), 0);
        await page.getByRole('link', { name: 'Load again every 30 s' }).click();
        assert.equal(await page.locator('meta[http-equiv=refresh]').count(), 1);
        await page.getByRole('link', { name: 'Stop' }).click();
        assert.equal(await page.locator('meta[http-equiv=refresh]').count(), 0);
        await page.getByRole('link', { name: '/public' }).click();
        assert.equal(new URL(page.url()).pathname, '/public');
      }));
  });
}

describe('a gateway in trouble', () => {
  for (const colorScheme of ['light', 'dark'] as const) {
    it(`says so in words and by shape, ${colorScheme}`, () =>
      visit('troubled gateway', '/status', { colorScheme, bypassCSP: true }, async ({ page }) => {
        assert.equal(await page.locator('.says').innerText(), 'Not ready: apns');
        assert.match(await page.title(), /^Down/);
        assert.equal(await page.locator('.hops .down .sign.down').count(), 2);
        await page.evaluate(axe.source);
        const { violations } = await page.evaluate<AxeResults>('axe.run(document)');
        assert.deepEqual(
          violations.map(({ id }) => id),
          [],
        );
      }));
  }
});
