// SPDX-License-Identifier: Apache-2.0

// Opens pages in Debian's Chromium, as a reader does: from a file, without a network.
import { pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';

export const launch = () =>
  chromium.launch({ executablePath: process.env.CHROMIUM || '/usr/bin/chromium', args: ['--force-color-profile=srgb'] });

// open returns a page whose script has set it up, its address, and complaints: what it logged, and asked for beside itself.
// options are those of a context of playwright, and before, a function that runs in the page before its own script; hash is the
// state in the address.
export async function open(browser, file, { before, ...options } = {}, hash = '') {
  const context = await browser.newContext({ offline: true, viewport: { width: 1280, height: 900 }, ...options });
  context.setDefaultTimeout(20_000);
  const page = await context.newPage();
  if (before) await page.addInitScript(before);
  const address = pathToFileURL(file).href;
  const complaints = [];
  page.on('pageerror', (err) => complaints.push(`throws ${err.message}`));
  page.on('console', (m) => ['error', 'warning'].includes(m.type()) && complaints.push(`logs ${m.text()}`));
  page.on('request', (r) => {
    const url = r.url();
    if (url.split('#')[0] !== address && !url.startsWith('data:')) complaints.push(`asks for ${url}`);
  });
  await page.goto(address + hash);
  if (options.javaScriptEnabled !== false && await page.locator('script').count()) await page.waitForSelector('body[data-ready]', { state: 'attached' });
  return { page, address, complaints };
}

// ids are those of all images of a page, in its order.
export const ids = (page) => page.locator('#grid tbody tr').evaluateAll((rows) => rows.map((r) => r.dataset.id));

// show asks for an image, as a link to it does, and waits until it is there.
export async function show(page, id) {
  await page.evaluate((id) => { location.hash = `#image=${encodeURIComponent(id)}`; }, id);
  await page.locator(`#image[data-shown="${id}"]`).waitFor();
}
