// A GitOps user's day on real Flux: what Flux chose before, tags while the registry is away, rollbacks that stay by each of
// the ways, feedback loops of three hosts, delivery added to an app. Every change is looked for in git and in the cluster.
import { environment as labEnvironment } from '../lab/lab.ts';
import { initCases } from './gitops/initCases.ts';
import { loopCases } from './gitops/loopCases.ts';
import { offlineCases } from './gitops/offlineCases.ts';
import { rollbackCases } from './gitops/rollbackCases.ts';
import { createFleet } from './samples/fleet.ts';
import { startServer } from './server.ts';
import type { Suite } from './suite.ts';
import { EditorWindow, launchBrowser } from './window.ts';

export const gitopsSuite: Suite = {
  name: 'gitops',
  lab: ['core', 'flux', 'gitea', 'vscode'],
  run: async (report) => {
    const lab = labEnvironment();
    const fleet = await createFleet(lab);
    const server = await startServer({
      settings: {
        'security.workspace.trust.enabled': false,
        'workbench.colorTheme': 'Dark 2026',
        'editor.minimap.enabled': false,
        'files.autoSave': 'off',
      },
      env: { ...lab.env, CI: undefined },
    });
    const browser = await launchBrowser();
    try {
      const window = await EditorWindow.open(browser, server, {
        open: fleet.path,
        size: { width: 1500, height: 950 },
      });
      window.page.setDefaultTimeout(20_000);
      await offlineCases(report, window, fleet);
      await rollbackCases(report, window, fleet);
      await loopCases(report, window, fleet);
      await window.close();
      await initCases(report, { browser, server, env: fleet.env });
    } catch (error) {
      console.log(server.output().slice(-3000));
      throw error;
    } finally {
      await browser.close();
      await server.stop();
      await fleet.remove();
    }
  },
};
