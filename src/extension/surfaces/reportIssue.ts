import * as vscode from 'vscode';
import type { CommandSpec } from '../commands/register.ts';
import type { Workspace } from '../workspace.ts';
import { issueData } from './issueData.ts';

/** Opens VS Code's issue reporter with what a maintainer asks first. Nothing is sent before the person sends it. */
export function reportIssueCommand(workspace: Workspace, version: string): CommandSpec {
  return {
    id: 'slipway.reportIssue',
    needs: 'nothing',
    run: async () => {
      await workspace.show();
      const data = issueData({
        version,
        editor: `${vscode.env.appName} ${vscode.version}`,
        host: hostWords(vscode.env.remoteName) ?? vscode.env.appHost,
        platform: `${process.platform} ${process.arch}, Node ${process.versions.node}`,
        isTrusted: vscode.workspace.isTrusted,
        roots: workspace.roots.map((root) => ({
          project: root.project,
          newest: root.runs.list()[0]?.view,
        })),
      });
      try {
        await vscode.commands.executeCommand('workbench.action.openIssueReporter', {
          extensionId: 'slipway.slipway',
          data,
        });
      } catch {
        // Not every editor has a reporter; the text is what counts.
        const document = await vscode.workspace.openTextDocument({ language: 'markdown', content: data });
        await vscode.window.showTextDocument(document);
      }
    },
  };
}

/** A plain server has its address for a name, which is nobody's business. */
const hostWords = (remote: string | undefined): string | undefined =>
  remote === undefined || /^[a-z-]+$/.test(remote) ? remote : 'server';
