// SPDX-License-Identifier: Apache-2.0

// Judges of how a page looks.
import { createRequire } from 'node:module';
import { readFile } from 'node:fs/promises';

const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

// barriers returns what axe-core finds, one line each: all of its rules for WCAG 2.2 AA, and its best practices.
export async function barriers(page) {
  await page.evaluate(axe); // as an expression of the debugger, which the page's policy does not bind
  return page.evaluate(async () => {
    const { violations } = await window.axe.run(document, { rules: { 'target-size': { enabled: true } }, resultTypes: ['violations'] });
    return violations.flatMap((v) => v.nodes.slice(0, 3).map((n) => `${v.id} (${v.nodes.length}): ${n.target.join(' ')}: ${n.failureSummary.replace(/\s+/g, ' ')}`));
  });
}

// outside returns what reaches over the right edge of the window, up to five elements; what scrolls by itself may be as
// wide as it likes. A page that can be scrolled sideways is one of them.
export const outside = (page) =>
  page.evaluate(() => {
    const found = [];
    scrollTo(10_000, scrollY);
    if (scrollX > 0) found.push(`page scrolls ${scrollX} px sideways`);
    scrollTo(0, scrollY);
    const edge = document.documentElement.clientWidth + 1;
    const walk = (e) => {
      const style = getComputedStyle(e);
      if (found.length === 5 || style.display === 'none' || style.visibility === 'hidden' || style.clipPath !== 'none') return;
      const box = e.getBoundingClientRect();
      if (box.width > 0 && box.right > edge) {
        found.push(`${e.tagName.toLowerCase()}${e.id && '#' + e.id}.${e.getAttribute('class') ?? ''} ends at ${Math.round(box.right)} px: ${e.textContent.trim().slice(0, 40)}`);
        return;
      }
      if (['auto', 'scroll'].includes(style.overflowX) || e instanceof SVGElement) return;
      for (const child of e.children) walk(child);
    };
    walk(document.body);
    return found;
  });

// light returns how light a picture (PNG) is on average, from 0 to 255.
export async function light(browser, png) {
  const page = await browser.newPage();
  const mean = await page.evaluate(async (data) => {
    const bitmap = await createImageBitmap(await (await fetch(`data:image/png;base64,${data}`)).blob());
    const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext('2d');
    context.drawImage(bitmap, 0, 0);
    const { data: rgba } = context.getImageData(0, 0, bitmap.width, bitmap.height);
    return rgba.reduce((sum, v, i) => sum + (i % 4 === 3 ? 0 : v), 0) / (rgba.length / 4 * 3);
  }, png.toString('base64'));
  await page.close();
  return mean;
}

// alike returns pairs of pictures (PNG) whose ink, whatever its colour, is the same on more than nine of ten pixels that
// either has.
export async function alike(browser, pictures) {
  const page = await browser.newPage();
  const pairs = await page.evaluate(async (images) => {
    const side = 96, inks = [];
    for (const { name, data } of images) {
      const bitmap = await createImageBitmap(await (await fetch(`data:image/png;base64,${data}`)).blob());
      const context = new OffscreenCanvas(side, side).getContext('2d');
      context.drawImage(bitmap, 0, 0, side, side);
      const { data: rgba } = context.getImageData(0, 0, side, side);
      const gray = (i) => 0.2126 * rgba[i] + 0.7152 * rgba[i + 1] + 0.0722 * rgba[i + 2];
      const ink = [];
      for (let i = 0; i < rgba.length; i += 4) ink.push(Math.abs(gray(i) - gray(0)) > 48);
      inks.push({ name, ink });
    }
    const found = [];
    for (const [i, a] of inks.entries()) {
      for (const b of inks.slice(i + 1)) {
        let either = 0, both = 0;
        for (let p = 0; p < side * side; p++) {
          either += a.ink[p] || b.ink[p] ? 1 : 0;
          both += a.ink[p] && b.ink[p] ? 1 : 0;
        }
        if (either === 0 || both / either > 0.9) found.push(`${a.name} and ${b.name}: ${both} of ${either} pixels`);
      }
    }
    return found;
  }, pictures.map(({ name, png }) => ({ name, data: png.toString('base64') })));
  await page.close();
  return pairs;
}
