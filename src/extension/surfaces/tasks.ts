import * as vscode from 'vscode';
import type { PlanRequest } from '../../engine/main.ts';
import { isCancelled, toFailure } from '../../engine/problems/index.ts';
import type { Stage } from '../../engine/project/model.ts';
import { refuseUntrusted } from '../commands/register.ts';
import { confirmProtected, type RunCommandParts, saveAll } from '../commands/runCommands.ts';
import { Owner } from '../events.ts';
import { failureLines, taskLines } from './taskText.ts';

const taskType = 'slipway';

/** As in tasks.json: `{ "type": "slipway", "environment": "dev", "until": "publish" }`. */
interface Definition extends vscode.TaskDefinition {
  readonly environment?: string;
  readonly until?: string;
}

const stages: readonly Stage[] = ['test', 'build', 'scan', 'publish', 'deploy', 'smoke'];

/** `slipway: run dev` and the like, for the task list, keybindings, `preLaunchTask` and `dependsOn`. */
export class Tasks extends Owner implements vscode.TaskProvider {
  readonly #parts: RunCommandParts;

  constructor(parts: RunCommandParts) {
    super();
    this.#parts = parts;
    this.own(vscode.tasks.registerTaskProvider(taskType, this));
  }

  async provideTasks(): Promise<vscode.Task[]> {
    await this.#parts.workspace.show();
    return this.#parts.workspace.roots.flatMap((root) => {
      if (root.project === undefined) return [];
      const definitions: readonly Definition[] = [
        ...root.project.environments.map(({ name }) => ({ type: taskType, environment: name })),
        ...(root.project.images.length === 0
          ? []
          : [
              { type: taskType, until: 'build' },
              { type: taskType, until: 'publish' },
            ]),
      ];
      return definitions.map((definition) => this.#task(definition, root.folder));
    });
  }

  resolveTask(task: vscode.Task): vscode.Task | undefined {
    const scope = task.scope;
    const folder = typeof scope === 'object' ? scope : this.#parts.workspace.roots[0]?.folder;
    // VS Code wants the very definition back that it found in tasks.json.
    return folder === undefined ? undefined : this.#task(task.definition as Definition, folder, task.definition);
  }

  #task(
    definition: Definition,
    folder: vscode.WorkspaceFolder,
    given: vscode.TaskDefinition = definition,
  ): vscode.Task {
    const task = new vscode.Task(
      given,
      folder,
      nameOf(definition),
      taskType,
      new vscode.CustomExecution(async () => new RunTerminal(this.#parts, folder, definition)),
      '$slipway',
    );
    if (definition.until === 'build') task.group = vscode.TaskGroup.Build;
    task.detail = detailOf(definition);
    // A terminal that VS Code (1.139) uses again for a custom execution shows neither output nor end of the second one.
    task.presentationOptions = { panel: vscode.TaskPanelKind.New };
    return task;
  }
}

const nameOf = ({ environment, until }: Definition): string =>
  [environment === undefined ? undefined : `run ${environment}`, until === undefined ? undefined : until]
    .filter((word) => word !== undefined)
    .join(' until ') || 'run';

const detailOf = ({ environment, until }: Definition): string =>
  environment === undefined
    ? vscode.l10n.t('Tests, builds and scans{0}', until === 'publish' ? vscode.l10n.t(', then publishes') : '')
    : vscode.l10n.t('Takes this commit to a verified rollout on {0}', environment);

/** A run as a task: its lines in a terminal, Ctrl-C cancels, the exit code is that of the CLI. */
class RunTerminal implements vscode.Pseudoterminal {
  readonly #write = new vscode.EventEmitter<string>();
  readonly #close = new vscode.EventEmitter<number>();
  readonly onDidWrite = this.#write.event;
  readonly onDidClose = this.#close.event;
  readonly #parts: RunCommandParts;
  readonly #folder: vscode.WorkspaceFolder;
  readonly #definition: Definition;
  readonly #stop = new AbortController();

  constructor(parts: RunCommandParts, folder: vscode.WorkspaceFolder, definition: Definition) {
    this.#parts = parts;
    this.#folder = folder;
    this.#definition = definition;
  }

  open(): void {
    void this.#run().then((code) => this.#close.fire(code));
  }

  close(): void {
    this.#stop.abort();
  }

  handleInput(data: string): void {
    if (data === '\u0003') this.#stop.abort();
  }

  #line(text: string): void {
    this.#write.fire(`${text.replaceAll('\n', '\r\n')}\r\n`);
  }

  async #run(): Promise<number> {
    const { workspace, runner } = this.#parts;
    try {
      refuseUntrusted();
      await workspace.show();
      const root = workspace.rootOf(this.#folder.uri);
      if (root === undefined) return 2;
      const request = requestOf(this.#definition);
      await confirmProtected(root, request.environment ?? null);
      await saveAll(root);
      const toLines = taskLines(root.path);
      const view = await runner.runQuietly(root, request, this.#stop.signal, (event) => {
        for (const line of toLines(event)) this.#line(line);
      });
      return view.state === 'succeeded' ? 0 : view.state === 'cancelled' ? 130 : 1;
    } catch (error) {
      if (isCancelled(error)) return 130;
      const failure = toFailure(error);
      for (const line of failureLines(failure, this.#folder.uri.fsPath)) this.#line(line);
      return failure.reason === 'usage' || failure.reason === 'config' ? 2 : 3;
    }
  }
}

function requestOf({ environment, until }: Definition): PlanRequest {
  const stage = stages.find((known) => known === until);
  return { ...(environment !== undefined && { environment }), ...(stage !== undefined && { until: stage }) };
}
