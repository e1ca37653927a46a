// `npm run package`: makes the .vsix and checks what is in it: all that runs, nothing of the sources, sizes in their budget.
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { createVSIX, listFiles } from '@vscode/vsce';

const root = join(import.meta.dirname, '..', '..');
const isTest = process.argv.includes('--test');
const folder = isTest ? mkdtempSync(join(tmpdir(), 'slipway-vsix-')) : root;
const packagePath = join(folder, 'slipway.vsix');
let passed = 0;
let failed = 0;
function check(name: string, problem: string | undefined): void {
  if (problem === undefined) passed += 1;
  else failed += 1;
  console.log(problem === undefined ? `ok   ${name}` : `FAIL ${name}: ${problem}`);
}

await createVSIX({
  cwd: root,
  packagePath,
  dependencies: false,
  allowMissingRepository: true,
  rewriteRelativeLinks: false,
});
const files = (await listFiles({ cwd: root, packageManager: 0 })).map((file) => file.replaceAll('\\', '/'));

const needed = [
  'package.json',
  'README.md',
  'LICENSE',
  'CHANGELOG.md',
  'dist/extension.cjs',
  'dist/engine.mjs',
  'dist/agents.mjs',
  'dist/cli.mjs',
  'dist/webview/rollout.js',
  'media/slipway.svg',
  'media/walkthrough/ship.md',
  'schemas/slipway.schema.json',
];
for (const file of needed) check(`has ${file}`, files.includes(file) ? undefined : 'it is missing');
const allowed =
  /^(package\.json|README\.md|LICENSE|CHANGELOG\.md|dist\/.+\.(cjs|mjs|js|css|ttf)|media\/.+\.(svg|png|md)|schemas\/.+\.json|syntaxes\/.+\.json)$/;
const strange = files.filter((file) => !allowed.test(file));
check('has nothing else', strange.length === 0 ? undefined : strange.join(', '));
const size = (file: string): number => statSync(join(root, file)).size;
const entry = size('dist/extension.cjs');
check(`the entry is small (${Math.round(entry / 1024)} KB of 300)`, entry <= 300 * 1024 ? undefined : `${entry} bytes`);
const heavy = readdirSync(join(root, 'dist/chunks')).length;
check('heavy parts are chunks of their own', heavy > 5 ? undefined : `${heavy} chunks`);
// A CommonJS dependency that cannot live in an ES module fails when its chunk is first loaded, not when it is built.
for (const chunk of readdirSync(join(root, 'dist/chunks')).filter((file) => file.endsWith('.mjs'))) {
  const problem = await import(pathToFileURL(join(root, 'dist/chunks', chunk)).href).then(
    () => undefined,
    (error: unknown) => `${chunk}: ${error instanceof Error ? error.message : String(error)}`,
  );
  if (problem !== undefined) check('every chunk loads', problem);
}
check('the chunks were loaded', undefined);
console.log(`${packagePath}: ${Math.round(statSync(packagePath).size / 1024)} KB, ${files.length} files`);
if (isTest) rmSync(folder, { recursive: true });
console.log(`package: ${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
