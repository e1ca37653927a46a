// Tests inside the extension host, through @vscode/test-electron: the same on a desktop VS Code and on the lab's server.
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { runTests } from '@vscode/test-electron';
import { sampleWorkspace } from './samples/workspace.ts';
import type { Suite } from './suite.ts';

interface Line {
  readonly name: string;
  readonly ms?: number;
  readonly error?: string;
}

const root = join(import.meta.dirname, '..', '..');

export const hostSuite: Suite = {
  name: 'host',
  run: async (report) => {
    const workspace = sampleWorkspace();
    const results = join(root, 'test-results', 'editor', 'host.jsonl');
    rmSync(results, { force: true });
    let ended: unknown;
    try {
      await runTests({
        vscodeExecutablePath: process.env.SLIPWAY_VSCODE ?? join(import.meta.dirname, 'code.ts'),
        extensionDevelopmentPath: root,
        extensionTestsPath: join(root, 'test-results', 'editor', 'host.cjs'),
        launchArgs: [workspace.path],
        extensionTestsEnv: { SLIPWAY_TEST_REPORT: results },
      });
    } catch (error) {
      ended = error;
    } finally {
      workspace.remove();
    }
    const lines: readonly Line[] = existsSync(results)
      ? readFileSync(results, 'utf8')
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line) as Line)
      : [];
    for (const { name, error, ms } of lines) if (name !== 'end') report.add(name, error, ms ?? 0);
    if (lines.at(-1)?.name !== 'end')
      report.add('reaches its end', `the extension host ended early: ${String(ended)}`, 0);
    else if (ended !== undefined && report.failed === 0) report.add('ends well', String(ended), 0);
  },
};
