// Runs inside the extension host of a real VS Code. Results go to a file: it is there on the desktop and on the server.
import { appendFileSync } from 'node:fs';
import type { TestCase } from '../suite.ts';
import { activationTests } from './activation.ts';
import { configTests } from './config.ts';

const tests: readonly TestCase[] = [...activationTests, ...configTests];

/** What VS Code calls; a rejection makes the host end with a code other than 0. */
export async function run(): Promise<void> {
  const file = process.env.SLIPWAY_TEST_REPORT;
  if (file === undefined) throw new Error('SLIPWAY_TEST_REPORT is not set');
  let failed = 0;
  for (const test of tests) {
    const started = Date.now();
    let error: string | undefined;
    try {
      await test.run();
    } catch (caught) {
      failed += 1;
      error = caught instanceof Error ? (caught.stack ?? caught.message) : String(caught);
    }
    appendFileSync(
      file,
      `${JSON.stringify({ name: test.name, ms: Date.now() - started, ...(error !== undefined && { error }) })}\n`,
    );
  }
  appendFileSync(file, `${JSON.stringify({ name: 'end' })}\n`);
  if (failed > 0) throw new Error(`${failed} tests failed`);
}
