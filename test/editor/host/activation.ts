import * as assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import * as vscode from 'vscode';
import { commandIds } from '../../../src/extension/ids.ts';
import type { TestCase } from '../suite.ts';

const id = 'slipway.slipway';

function extension(): vscode.Extension<unknown> {
  const found = vscode.extensions.getExtension(id);
  assert.ok(found, `extension ${id} is installed`);
  return found;
}

/** Processes whose parent is this extension host. */
function children(): readonly string[] {
  if (process.platform !== 'linux') return [];
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
        const parent = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1];
        const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
        return parent === String(process.pid) ? [`${pid} ${command}`] : [];
      } catch {
        return [];
      }
    });
}

export const activationTests: readonly TestCase[] = [
  {
    name: 'activates by the slipway.yaml of the workspace',
    run: async () => {
      const { activationEvents } = extension().packageJSON as { readonly activationEvents: readonly string[] };
      assert.ok(activationEvents.includes('workspaceContains:slipway.yaml'));
      const deadline = Date.now() + 30_000;
      while (!extension().isActive && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 50));
      assert.equal(extension().isActive, true);
    },
  },
  {
    name: 'starts no process when it activates',
    run: async () => {
      await extension().activate();
      // Language servers of the built-in extensions may be there; nothing that we would start is.
      const ours = children().filter((line) => /\b(docker|kubectl|helm|trivy|git|flux|cosign)\b/.test(line));
      assert.deepEqual(ours, []);
    },
  },
  {
    name: 'every command of the manifest is registered, and none besides',
    run: async () => {
      const known = (await vscode.commands.getCommands(true)).filter((command) => command.startsWith('slipway.'));
      // The workbench makes these for each view.
      const views = /^slipway\.\w+\.(focus|open|removeView|resetViewLocation|toggleVisibility)$/;
      assert.deepEqual(known.filter((command) => !views.test(command)).sort(), [...commandIds].sort());
    },
  },
];
