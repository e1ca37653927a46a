// `npm run fuzz -- NAME …`: runs test/fuzz/NAME.ts.
import { existsSync } from 'node:fs';
import { join } from 'node:path';

const [name = ''] = process.argv.slice(2);
const file = join(import.meta.dirname, `${name}.ts`);
if (!/^[a-z]+$/.test(name) || name === 'main' || !existsSync(file)) {
  console.error('Say what to fuzz: npm run fuzz -- edits --count 1000000');
  process.exitCode = 2;
} else if (name === 'edits') {
  const { runEdits } = await import('./edits.ts');
  await runEdits(process.argv.slice(3));
}
