// SPDX-License-Identifier: Apache-2.0

// Times the pages that are named: medians of five openings and eleven filters (make bench-report).
import { statSync } from 'node:fs';
import { basename } from 'node:path';
import { ids, launch, open } from './chromium.mjs';

const median = (all) => all.sort((a, b) => a - b)[all.length >> 1];
const ms = (n) => `${Math.round(n)} ms`;
const words = ['nbody', '', 'devel', 'ubuntu22', '', '13.0', 'rocky', '', 'base', 'zzz', ''];

// filter returns how long it takes from the event until the frame that shows its effect has been drawn.
const filter = (page, word) =>
  page.evaluate(async (word) => {
    const input = document.querySelector('#filter');
    const drawn = () => new Promise((done) => requestAnimationFrame(() => {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = done;
      port2.postMessage(0);
    }));
    await drawn();
    const names = [...document.querySelectorAll('#grid tbody tr')];
    const began = performance.now();
    input.value = word;
    input.dispatchEvent(new Event('input', { bubbles: true }));
    do await drawn(); while (names.some((r) => r.checkVisibility() && !r.textContent.includes(word)) && performance.now() - began < 5000);
    return performance.now() - began;
  }, word);

// unpack returns how long it takes from the change of the address until an image is there.
const unpack = (page, id) =>
  page.evaluate(async (id) => {
    const began = performance.now();
    location.hash = `#image=${encodeURIComponent(id)}`;
    const image = document.querySelector('#image');
    while (!image.checkVisibility() || !image.textContent.includes(id)) await new Promise(requestAnimationFrame);
    return performance.now() - began;
  }, id);

const browser = await launch();
console.log('| page | bytes | first paint | ready | filter | open an image |\n| --- | --- | --- | --- | --- | --- |');
for (const file of process.argv.slice(2)) {
  const paints = [], readies = [], filters = [], images = [];
  for (let i = 0; i < 5; i++) {
    const { page } = await open(browser, file);
    const [paint, ready] = await page.evaluate(() => new Promise((done) => {
      const ready = performance.now();
      new PerformanceObserver((list) => done([list.getEntriesByName('first-contentful-paint')[0].startTime, ready])).observe({ type: 'paint', buffered: true });
    }));
    paints.push(paint);
    readies.push(ready);
    const all = await ids(page);
    images.push(await unpack(page, all[Math.floor((all.length - 1) * i / 4)]));
    if (i === 4) {
      await page.evaluate(() => { location.hash = ''; });
      for (const word of words) filters.push(await filter(page, word));
    }
    await page.context().close();
  }
  console.log(`| ${basename(file)} | ${statSync(file).size.toLocaleString('en')} | ${ms(median(paints))} | ${ms(median(readies))} | ${ms(median(filters))}, at most ${ms(Math.max(...filters))} | ${ms(median(images))} |`);
}
await browser.close();
