// `npm run editor-test [-- SUITE …]`: the extension in a real VS Code. Where `code` of a desktop is named by SLIPWAY_VSCODE,
// the suite inside the extension host runs in that one; everything else is driven in the lab's VS Code server.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import * as esbuild from 'esbuild';
import { buildBundle } from '../bundle.ts';
import { actionsSuite } from './actionsSuite.ts';
import { ciSuite } from './ciSuite.ts';
import { commandTable, writeCommands } from './commandUse.ts';
import { giteaSuite } from './giteaSuite.ts';
import { gitopsSuite } from './gitopsSuite.ts';
import { hostSuite } from './hostSuite.ts';
import { labSuite } from './labSuite.ts';
import { markersSuite } from './markersSuite.ts';
import { pageSuite } from './pageSuite.ts';
import { rolloutSuite } from './rolloutSuite.ts';
import { scaleSuite } from './scaleSuite.ts';
import { Report, type Suite } from './suite.ts';
import { surfacesSuite } from './surfacesSuite.ts';
import { treeSuite } from './treeSuite.ts';
import { trustSuite } from './trustSuite.ts';
import { windowsSuite } from './windowsSuite.ts';

const root = join(import.meta.dirname, '..', '..');
process.chdir(root);

const suites: readonly Suite[] = [
  pageSuite,
  markersSuite,
  gitopsSuite,
  hostSuite,
  treeSuite,
  ciSuite,
  surfacesSuite,
  rolloutSuite,
  trustSuite,
  labSuite,
  giteaSuite,
  scaleSuite,
  actionsSuite,
  windowsSuite,
];

async function build(): Promise<void> {
  buildBundle();
  await esbuild.build({
    entryPoints: ['test/editor/host/index.ts'],
    outfile: 'test-results/editor/host.cjs',
    bundle: true,
    platform: 'node',
    format: 'cjs',
    external: ['vscode'],
    // What suites outside of the extension host import may ask where it lies.
    define: { 'import.meta.dirname': '__dirname' },
    logLevel: 'warning',
  });
}

// Servers and browsers are ended when this process exits; a signal alone would end it without a word.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(130));

// `--commands`: what the suites have started when they ran last, and what none of them did.
if (process.argv.includes('--commands')) {
  for (const { command, suites: by } of commandTable()) console.log(`${command}: ${by.join(', ') || 'NEVER'}`);
  process.exit();
}
const wanted = process.argv.slice(2).filter((word) => word !== '--trial');
const chosen = suites.filter(({ name }) => wanted.length === 0 || wanted.includes(name));
if (chosen.length === 0) {
  console.error(`no such suite; there are ${suites.map(({ name }) => name).join(', ')}`);
  process.exit(2);
}
mkdirSync('test-results/editor', { recursive: true });
await build();
let passed = 0;
let failed = 0;
for (const suite of chosen) {
  const report = new Report(suite.name);
  try {
    await suite.run(report);
  } catch (error) {
    report.add('suite', error instanceof Error ? (error.stack ?? error.message) : String(error), 0);
  }
  writeCommands(suite.name);
  passed += report.passed;
  failed += report.failed;
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
