// Writes the colours that a webview gets in each theme of the real VS Code: `node test/editor/themes/dump.ts` after a change
// of the page's colours or of VS Code. The plain-page tests show the page in exactly these.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { succeededRun, writeRun } from '../samples/runs.ts';
import { sampleWorkspace } from '../samples/workspace.ts';
import { startServer } from '../server.ts';
import { EditorWindow, launchBrowser } from '../window.ts';
import { themes } from './index.ts';

const root = join(import.meta.dirname, '..', '..', '..');
const used = new Set(
  ['dist/webview/rollout.js', 'dist/webview/rollout-page.css']
    .flatMap((file) => readFileSync(join(root, file), 'utf8').match(/--vscode-[A-Za-z0-9-]+/g) ?? [])
    .sort(),
);
const browser = await launchBrowser();
for (const theme of themes) {
  const workspace = sampleWorkspace();
  writeRun(workspace.path, succeededRun());
  const server = await startServer({
    settings: { 'security.workspace.trust.enabled': false, 'workbench.colorTheme': theme.label },
  });
  try {
    const window = await EditorWindow.open(browser, server, { open: workspace.path, extensionDevelopmentPath: root });
    await window.command('Slipway: Show Rollout');
    await window.webview().locator('slipway-rollout').waitFor();
    const style = await window.webview().locator('html').getAttribute('style');
    const kind = await window.webview().locator('body').getAttribute('class');
    const variables = Object.fromEntries(
      (style ?? '')
        .split(';')
        .map((pair) => pair.split(/:(.*)/s, 2).map((part) => part.trim()))
        .filter(([name]) => used.has(name ?? '')),
    );
    writeFileSync(join(import.meta.dirname, `${theme.name}.json`), `${JSON.stringify({ kind, variables }, null, 2)}\n`);
    console.log(theme.name, kind, Object.keys(variables).length);
    await window.close();
  } finally {
    await server.stop();
    workspace.remove();
  }
}
await browser.close();
