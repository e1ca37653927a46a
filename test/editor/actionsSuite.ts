// Every command and every button of the page, used as a person uses them, in one window on one deployment of the lab; what
// they do is seen in the tree, on the page, and in the registry or the cluster.

import { environment as labEnvironment } from '../lab/lab.ts';
import { buttonCases } from './actions/buttonCases.ts';
import { deliveryCases } from './actions/deliveryCases.ts';
import { resumeCases } from './actions/resumeCases.ts';
import { Stage } from './actions/stage.ts';
import { stageCases } from './actions/stageCases.ts';
import { taskCases } from './actions/taskCases.ts';
import { workloadCases } from './actions/workloadCases.ts';
import { type EditorOptions, trusted, withEditor } from './editor.ts';
import { createDepot } from './samples/depot.ts';
import type { Suite } from './suite.ts';

export const actionsSuite: Suite = {
  name: 'actions',
  lab: ['core', 'flux'],
  run: async (report) => {
    const lab = labEnvironment();
    const depot = createDepot(lab);
    const options: EditorOptions = {
      settings: {
        ...trusted,
        // Only then is a terminal's text in the document.
        'terminal.integrated.gpuAcceleration': 'off',
        // Otherwise the list of tasks has other levels once one of them was used.
        'task.quickOpen.showAll': true,
      },
      keybindings: [
        { key: 'ctrl+alt+b', command: 'slipway.build', args: { images: ['job'] } },
        { key: 'ctrl+alt+d', command: 'slipway.run', args: { environment: 'dev' } },
        {
          key: 'ctrl+alt+u',
          command: 'runCommands',
          args: {
            commands: ['workbench.action.files.saveAll', { command: 'slipway.smoke', args: { environment: 'dev' } }],
          },
        },
      ],
      env: lab.env,
      remove: depot.remove,
    };
    await withEditor(options, async ({ browser, server }) => {
      const stage = await Stage.open(browser, server, depot);
      await stageCases(report, stage);
      await workloadCases(report, stage);
      await buttonCases(report, stage);
      await taskCases(report, stage);
      await deliveryCases(report, stage);
      await resumeCases(report, stage, browser, server);
    });
  },
};
