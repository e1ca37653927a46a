// The bundles that ship, for the tests that drive them.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

/** Says to the programs that `npm test` starts that the bundles are there: building them anew would take them from each other. */
export const BUILT = { SLIPWAY_TEST_BUNDLE: 'built' } as const;

/** Builds dist/ unless whoever started this program has done so. Throws when the build fails. */
export function buildBundle(): void {
  if (process.env.SLIPWAY_TEST_BUNDLE === BUILT.SLIPWAY_TEST_BUNDLE) return;
  execFileSync(process.execPath, ['esbuild.mjs'], { cwd: join(import.meta.dirname, '..'), stdio: 'inherit' });
}
