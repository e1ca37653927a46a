// `npm run bench -- NAME …`: runs test/bench/NAME.ts, which prints its figures.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const [name = ''] = process.argv.slice(2);
const file = join(import.meta.dirname, `${name}.ts`);
if (/^[a-z-]+$/i.test(name) && name !== 'main' && existsSync(file)) await import(file);
else {
  const names = readdirSync(import.meta.dirname).flatMap((entry) => /^(.*)\.ts$/.exec(entry)?.[1] ?? []);
  console.error(`Say what to measure: npm run bench -- ${names.filter((one) => one !== 'main').join(' | ')}`);
  process.exitCode = 2;
}
