import type * as vscode from 'vscode';
import { Emitter, Owner } from '../events.ts';
import type { Root, Workspace } from '../workspace.ts';

/** The environment that commands offer first and the status bar shows; remembered per folder. */
export class SelectedEnvironment extends Owner {
  readonly #memento: vscode.Memento;
  readonly #workspace: Workspace;
  readonly #changed = this.own(new Emitter<void>());
  readonly onDidChange = this.#changed.event;

  constructor(memento: vscode.Memento, workspace: Workspace) {
    super();
    this.#memento = memento;
    this.#workspace = workspace;
  }

  /** The chosen one while it exists, else the first that is not protected, else the first. */
  of(root: Root): string | undefined {
    const environments = root.project?.environments ?? [];
    const chosen = this.#memento.get<unknown>(key(root));
    if (typeof chosen === 'string' && environments.some(({ name }) => name === chosen)) return chosen;
    return (environments.find(({ isProtected }) => !isProtected) ?? environments[0])?.name;
  }

  /** Of the folder chosen last, else of the first folder that deploys somewhere. */
  current(): { readonly root: Root; readonly environment: string } | undefined {
    const last = this.#memento.get<unknown>('slipway.folder');
    const roots = this.#workspace.roots.filter((root) => this.of(root) !== undefined);
    const root = roots.find(({ path }) => path === last) ?? roots[0];
    const environment = root === undefined ? undefined : this.of(root);
    return root === undefined || environment === undefined ? undefined : { root, environment };
  }

  async select(root: Root, environment: string): Promise<void> {
    await this.#memento.update(key(root), environment);
    await this.#memento.update('slipway.folder', root.path);
    this.#changed.fire();
  }
}

const key = (root: Root): string => `slipway.environment ${root.path}`;
