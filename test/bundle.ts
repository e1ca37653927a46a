// The bundles that ship, for the tests that drive them: what a bundler breaks is seen, and a command starts in a quarter of the
// time that its sources take.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const stamp = join(root, 'test-results', 'bundle.stamp');

/** Says to the programs that `npm test` starts that the bundles are there: building them anew would take them from each other. */
export const BUILT = { SLIPWAY_TEST_BUNDLE: 'built' } as const;

/** Builds dist/ unless it is as new as its sources. Throws when the build fails. */
export function buildBundle(): void {
  if (process.env.SLIPWAY_TEST_BUNDLE === BUILT.SLIPWAY_TEST_BUNDLE || isFresh()) return;
  const started = new Date();
  execFileSync(process.execPath, ['esbuild.mjs'], { cwd: root, stdio: 'inherit' });
  mkdirSync(join(root, 'test-results'), { recursive: true });
  writeFileSync(stamp, started.toISOString());
}

/** The command line as it ships; built when it has to be. */
export function bundledCli(): string {
  buildBundle();
  return join(root, 'dist', 'cli.mjs');
}

function isFresh(): boolean {
  if (!existsSync(stamp) || !['cli.mjs', 'extension.cjs'].every((file) => existsSync(join(root, 'dist', file)))) {
    return false;
  }
  const built = statSync(stamp).mtimeMs;
  const sources = ['src', 'webview', 'esbuild.mjs', 'package.json', 'package-lock.json'].flatMap((name) => {
    const path = join(root, name);
    if (!statSync(path).isDirectory()) return [path];
    // Folders too: theirs is the time at which a file went.
    return [path, ...readdirSync(path, { recursive: true, encoding: 'utf8' }).map((file) => join(path, file))];
  });
  return sources.every((path) => statSync(path).mtimeMs < built);
}
