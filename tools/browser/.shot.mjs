// shot.mjs FILE OUT MODE(wide|phone) [HASH] [SELECTOR|full] [scrollY]
import { launch, open } from './chromium.mjs';
const [file, out, mode, hash = '', sel = '', y = '0'] = process.argv.slice(2);
const modes = { wide: { viewport: { width: 1280, height: 1000 }, colorScheme: 'light' }, phone: { viewport: { width: 390, height: 844 }, deviceScaleFactor: 1.5, colorScheme: 'dark', isMobile: true, hasTouch: true }, forced: { viewport: { width: 1280, height: 1000 }, forcedColors: 'active', colorScheme: 'dark'}, nojs: { viewport: { width: 1280, height: 1000 }, javaScriptEnabled: false } };
const b = await launch();
const { page } = await open(b, file, { reducedMotion: 'reduce', ...modes[mode] }, hash);
if (hash.includes('image=')) await page.waitForSelector('#image[data-shown]');
if (mode === 'print') await page.emulateMedia({ media: 'print' });
if (sel === 'full') await page.screenshot({ path: out, fullPage: true });
else { if (sel) await page.locator(sel).first().evaluate((e, y) => { e.scrollIntoView(); scrollBy(0, y); }, +y); await page.screenshot({ path: out }); }
console.log(await page.evaluate(() => document.documentElement.scrollHeight));
await b.close();
