// SPDX-License-Identifier: Apache-2.0

// Takes the pictures of the documentation: screenshots.mjs PAGE FOLDER (make screenshots).
import { join } from 'node:path';
import { ids, launch, open, show } from './chromium.mjs';

const [file, folder] = process.argv.slice(2);
const shots = {
  'report-wide': { viewport: { width: 1280, height: 1640 }, colorScheme: 'light' },
  'report-phone': { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, colorScheme: 'dark', isMobile: true },
  'report-image': { viewport: { width: 1280, height: 1000 }, colorScheme: 'light' },
};

const browser = await launch();
for (const [name, options] of Object.entries(shots)) {
  const { page } = await open(browser, file, { ...options, reducedMotion: 'reduce' });
  if (name === 'report-image') {
    await show(page, (await ids(page)).at(-1));
    await page.locator('#image').evaluate((e) => e.scrollIntoView());
  }
  await page.screenshot({ path: join(folder, `${name}.png`) });
  await page.context().close();
}
await browser.close();
