// SPDX-License-Identifier: Apache-2.0

// Looks at the pages in the folder PAGES as readers do (make browser). example.html has a bit of everything, cells-*.html are large;
// difference.html is of `cudabuild diff`.
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, before, describe, test as endless } from 'node:test';
import { ids, launch, open, show } from './chromium.mjs';
import { alike, barriers, light, outside } from './looks.mjs';

const folder = resolve(process.env.PAGES ?? 'out/pages');
const example = join(folder, 'example.html');
const difference = join(folder, 'difference.html');
const pages = readdirSync(folder).filter((name) => /^(example|cells-.*)\.html$/.test(name)).map((name) => join(folder, name));
assert.ok(pages.includes(example) && pages.length > 2, `${folder}: want example.html and large pages`);

const schemes = {
  light: { colorScheme: 'light' },
  dark: { colorScheme: 'dark' },
  'forced colours': { forcedColors: 'active' },
  'forced dark colours': { forcedColors: 'active', colorScheme: 'dark' },
};
const widths = {
  '320 px': { viewport: { width: 320, height: 640 } },
  '1280 px': { viewport: { width: 1280, height: 900 } },
  'zoomed to 200 %': { viewport: { width: 640, height: 450 }, deviceScaleFactor: 2 },
  '3840 px': { viewport: { width: 3840, height: 2160 } },
};

// test is one that fails where something hangs.
const test = (name, does) => endless(name, { timeout: 60_000 }, does);

let browser;
before(async () => { browser = await launch(); });
after(() => browser.close());

// look opens a page, hands it on, and sees to it that it complained about nothing.
async function look(file, options, hash, judge) {
  const opened = await open(browser, file, options, hash);
  try {
    await judge(opened.page, opened);
    assert.deepEqual(opened.complaints, [], 'the page complains');
  } finally {
    await opened.page.context().close();
  }
}

const rows = (page) => page.locator('#grid tbody tr:visible');
const longest = async (page) => (await ids(page)).sort((a, b) => b.length - a.length)[0];

// fewer waits until the grid shows fewer rows than that.
const fewer = (page, n) => page.waitForFunction((n) => [...document.querySelectorAll('#grid tbody tr')].filter((r) => r.checkVisibility()).length < n, n);

// heads are the names of rows as a screen reader has them.
async function heads(page) {
  const { nodes } = await (await page.context().newCDPSession(page)).send('Accessibility.getFullAXTree');
  return nodes.filter((n) => n.role?.value === 'rowheader').map((n) => n.name?.value);
}

describe('every page', () => {
  for (const file of pages) {
    const name = file.slice(folder.length + 1);
    for (const [width, options] of Object.entries(widths)) {
      test(`${name}: nothing reaches outside at ${width}, with an image open too`, () =>
        look(file, options, '', async (page) => {
          assert.deepEqual(await outside(page), []);
          const id = await longest(page);
          await show(page, id);
          assert.deepEqual(await outside(page), [], `with ${id} open`);
        }));
    }
    test(`${name}: filters by name`, () =>
      look(file, {}, '', async (page) => {
        const all = await rows(page).count();
        await page.fill('#filter', 'nbody');
        await fewer(page, all);
        const names = await rows(page).locator('th').allTextContents();
        assert.ok(names.length > 0 && names.every((n) => n.includes('nbody')), `left: ${names.slice(0, 5)}`);
        await page.fill('#filter', '');
        await page.waitForFunction((all) => [...document.querySelectorAll('#grid tbody tr')].filter((r) => r.checkVisibility()).length === all, all);
      }));
    test(`${name}: opens an image by its address`, () =>
      look(file, {}, '', async (page, { address }) => {
        const id = await longest(page);
        await page.goto('about:blank');
        await page.goto(`${address}#image=${encodeURIComponent(id)}`);
        await page.locator('#image').getByText(id).first().waitFor();
      }));
  }
});

describe('no barrier that axe-core knows', () => {
  for (const [scheme, options] of Object.entries(schemes)) {
    for (const [width, size] of Object.entries({ wide: {}, phone: widths['320 px'] })) {
      test(`in ${scheme}, ${width}`, () =>
        look(example, { ...options, ...size }, '', async (page) => {
          assert.deepEqual(await barriers(page), []);
          await show(page, (await ids(page))[0]);
          assert.deepEqual(await barriers(page), [], 'with an image open');
        }));
    }
  }
});

describe('a difference', () => {
  for (const [scheme, options] of Object.entries(schemes)) {
    test(`has no barrier, in ${scheme}, and nothing reaches outside of a phone`, () =>
      look(difference, { ...options, ...widths['320 px'] }, '', async (page) => {
        await page.locator('details').evaluateAll((all) => all.forEach((d) => { d.open = true; }));
        assert.deepEqual(await barriers(page), []);
        assert.deepEqual(await outside(page), []);
      }));
  }
});

describe('the example', () => {
  test('says the verdict, the matrix and the grid without script', () =>
    look(example, { javaScriptEnabled: false }, '', async (page) => {
      for (const part of ['#verdict', '#todo', '#matrix', '#grid']) {
        assert.ok(await page.locator(part).isVisible(), `${part} is not visible`);
      }
      assert.ok((await rows(page).count()) > 0, 'the grid has no rows');
      assert.ok(!await page.locator('#filter').isVisible(), 'there is a filter that does nothing');
      assert.deepEqual(await outside(page), []); // axe-core waits for timers here, which do not come without script
    }));

  test('is a table to a screen reader where each row is drawn as a grid', () =>
    look(example, {}, '', async (page) => {
      const read = await heads(page), names = await rows(page).locator('th').allTextContents();
      assert.ok(names.length > 0);
      assert.deepEqual(names.filter((n) => !read.includes(n)), []);
    }));

  test('is a table to a screen reader where a filter leaves few rows of many', () =>
    look(join(folder, 'cells-600.html'), {}, '', async (page) => {
      await page.fill('#filter', 'deviceQuery');
      await fewer(page, 300);
      const read = await heads(page);
      assert.deepEqual((await rows(page).locator('a').allTextContents()).filter((id) => !read.some((h) => h.includes(id))), []);
    }));

  test('shows on a phone that the grid goes on, and keeps the names of images', () =>
    look(example, { viewport: { width: 390, height: 844 }, reducedMotion: 'reduce' }, '', async (page) => {
      const grid = page.locator('#grid .grid'), name = rows(page).locator('th').first();
      const edge = async () => {
        const box = await grid.boundingBox();
        return light(browser, await page.screenshot({ clip: { x: box.x + box.width - 5, y: box.y + 80, width: 3, height: 200 } }));
      };
      await grid.evaluate((e) => e.scrollIntoView());
      const begun = await edge(), at = (await name.boundingBox()).x;
      await grid.evaluate((e) => { e.scrollLeft = e.scrollWidth; });
      assert.ok(begun < await edge() - 50, `the edge has the light ${begun}, and at the end ${await edge()}`);
      assert.equal((await name.boundingBox()).x, at, 'the names scroll away');
    }));

  test('goes back and forward', () =>
    look(example, {}, '', async (page, { address }) => {
      const [first, second] = await ids(page);
      const image = page.locator('#image');
      await page.locator('#matrix a[href*="#image="]').nth(0).click();
      await image.getByText(first).first().waitFor();
      await show(page, second);
      await page.goBack();
      await image.getByText(first).first().waitFor();
      await page.goBack();
      await image.waitFor({ state: 'hidden' });
      assert.equal(page.url(), address);
      await page.goForward();
      await image.getByText(first).first().waitFor();
    }));

  test('keeps filters in its address', () =>
    look(example, {}, '', async (page, { address }) => {
      await page.fill('#filter', 'nbody');
      await page.selectOption('#state', { index: 1 });
      await page.waitForURL(/state=/);
      const [copied, left] = [page.url(), await rows(page).allTextContents()];
      await page.goto('about:blank');
      await page.goto(copied);
      await page.waitForSelector('body[data-ready]', { state: 'attached' });
      assert.equal(await page.inputValue('#filter'), 'nbody');
      assert.deepEqual(await rows(page).allTextContents(), left);
      assert.notEqual(copied, address);
      await page.locator('nav a').last().click();
      await page.waitForURL(/#[a-z]+$/);
      assert.deepEqual(await rows(page).allTextContents(), left, 'a link to a part of the page undoes what was chosen');
    }));

  for (const select of ['#driver', '#gpu', '#state']) {
    test(`can be asked for each choice of ${select}`, () =>
      look(example, {}, '', async (page) => {
        const values = await page.locator(`${select} option`).evaluateAll((options) => options.map((o) => o.value));
        assert.ok(values.length > 1, `${select} offers ${values}`);
        for (const value of values) {
          await page.selectOption(select, value);
          assert.deepEqual(await outside(page), [], value);
        }
      }));
  }

  test('says why, and shows what was seen, of a driver and a GPU', () =>
    look(example, {}, '#image=12.4-nbody-debian13&driver=580&gpu=sm_90', async (page) => {
      await page.locator('#image .why').getByText('R580').waitFor();
      assert.match(await page.locator('#image .why').innerText(), /Row: .*NVIDIA H200.*fail/);
      assert.equal(await page.locator('#image [aria-current]').count(), 1);
      await page.locator('#image .own a').last().focus();
      await page.keyboard.press('Enter');
      await page.locator('#image .own a[aria-current]:focus').last().waitFor();
      assert.doesNotMatch(await page.locator('#image .why').innerText(), /R580/);
    }));

  test('says that there is no such image', () =>
    look(example, {}, '#image=1.0-none-nowhere', async (page) => {
      await page.getByText('1.0-none-nowhere').first().waitFor();
    }));

  // says holds that neither a choice nor an image looks as if it were shown, where what they need cannot be unpacked.
  const says = (file, options, reason) =>
    look(file, options, '', async (page, { address }) => {
      const [id] = await ids(page), all = await rows(page).allTextContents();
      const branch = await page.locator('#driver option').last().getAttribute('value');
      await page.selectOption('#driver', branch);
      await page.locator('#found').getByText(reason).waitFor();
      assert.equal(await page.inputValue('#driver'), '', 'a driver stands there as chosen');
      assert.equal(page.url(), `${address}#`);
      assert.deepEqual(await rows(page).allTextContents(), all);
      await page.evaluate((id) => { location.hash = `#image=${encodeURIComponent(id)}`; }, id);
      await page.locator('#image-body').getByText(reason).waitFor();
      await page.fill('#filter', 'nbody');
      await fewer(page, all.length);
      await page.selectOption('#state', 'failed'); // needs nothing that is packed
      await page.waitForURL(/state=failed/);
      assert.equal(await page.inputValue('#state'), 'failed');
    });

  test('says that a browser cannot unpack', () =>
    says(example, { before: () => { delete window.DecompressionStream; } }, 'no DecompressionStream'));

  test('says that what is packed is damaged', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'page-'));
    const damaged = join(folder, 'damaged.html');
    try {
      const whole = readFileSync(example, 'utf8');
      writeFileSync(damaged, whole.replace(/(id="data-(?:grids|images-0)">[^<]{100})[^<]*/g, '$1'));
      await says(damaged, {}, 'could not be unpacked');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test('can be used with the keyboard alone', () =>
    look(example, {}, '', async (page) => {
      const focused = (selector) => page.evaluate((s) => document.activeElement?.matches(s) ?? false, selector);
      const tabTo = async (selector) => {
        for (let i = 0; i < 300; i++) {
          await page.keyboard.press('Tab');
          if (await focused(selector)) return;
        }
        assert.fail(`300 times Tab, and never at ${selector}`);
      };
      await tabTo('#filter');
      await page.keyboard.type('nbody');
      await tabTo('#grid a[href*="#image="]');
      const id = await page.evaluate(() => document.activeElement.textContent);
      assert.match(id, /nbody/);
      await page.keyboard.press('Enter');
      await page.locator(`#image[data-shown="${id}"]`).waitFor();
      assert.ok(await page.evaluate(() => document.querySelector('#image').contains(document.activeElement)), 'focus stays outside of the image');
      await page.keyboard.press('Escape');
      await page.locator('#image').waitFor({ state: 'hidden' });
      assert.equal(await page.evaluate(() => document.activeElement.textContent), id, 'focus does not go back to the link');
    }));

  test('shows where the focus is', () =>
    look(example, {}, '', async (page) => {
      for (let i = 0; i < 40; i++) {
        await page.keyboard.press('Tab');
        const hidden = await page.evaluate(() => {
          const e = document.activeElement, style = getComputedStyle(e);
          return style.outlineStyle === 'none' && style.boxShadow === 'none' ? e.outerHTML.slice(0, 80) : '';
        });
        assert.equal(hidden, '');
      }
    }));

  test('holds text of twice the size', () =>
    look(example, widths['1280 px'], '', async (page) => {
      await page.evaluate(() => { document.documentElement.style.fontSize = '200%'; });
      assert.deepEqual(await outside(page), []);
    }));

  test('prints the grid', () =>
    look(example, {}, '', async (page) => {
      await show(page, await longest(page));
      await page.setViewportSize({ width: 720, height: 1000 }); // A4 with margins
      await page.emulateMedia({ media: 'print' });
      assert.deepEqual(await outside(page), []);
      assert.ok((await rows(page).count()) > 0, 'no row of the grid is printed');
      assert.ok((await page.pdf()).length > 20_000, 'the paper is empty');
    }));

  for (const [scheme, options] of Object.entries(schemes)) {
    test(`has symbols that differ without colour, in ${scheme}`, () =>
      look(example, { ...options, deviceScaleFactor: 3 }, '', async (page) => {
        const pictures = [];
        for (const symbol of await page.locator('#grid .legend i:visible').all()) {
          pictures.push({ name: `symbol ${pictures.length + 1} of the legend`, png: await symbol.screenshot() });
        }
        assert.ok(pictures.length >= 7, `the legend has ${pictures.length} symbols`);
        assert.deepEqual(await alike(browser, pictures), []);
      }));
  }
});
