import * as vscode from 'vscode';
import { Owner } from '../events.ts';
import { age, conditionOf, lensTitle } from '../words.ts';
import type { Root, Workspace } from '../workspace.ts';
import { type ConfigDocuments, toRange } from './documents.ts';
import { imageFacts, imageLine } from './runFacts.ts';

/** Changes of running runs come in bursts; lenses are drawn at most this often. */
const QUIET_MS = 1_000;

/** Fires when lenses may say something new; shared by both kinds of files. */
export class LensRefresh extends Owner {
  readonly #changed = this.own(new vscode.EventEmitter<void>());
  readonly onDidChange = this.#changed.event;
  #timer: NodeJS.Timeout | undefined;

  constructor(workspace: Workspace) {
    super();
    this.own(workspace.onDidChange(() => this.#soon()));
    this.own(
      vscode.workspace.onDidChangeConfiguration((change) => {
        if (change.affectsConfiguration('slipway.runLenses')) this.#changed.fire();
      }),
    );
    this.own({ dispose: () => clearTimeout(this.#timer) });
  }

  #soon(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#changed.fire();
    }, QUIET_MS);
  }
}

export const lensesAreOn = (document: vscode.TextDocument): boolean =>
  vscode.workspace.getConfiguration('slipway', document).get<boolean>('runLenses', true);

/** Above each environment and image of slipway.yaml: run it, and what became of it last. */
export class ConfigLenses implements vscode.CodeLensProvider {
  readonly onDidChangeCodeLenses: vscode.Event<void>;
  readonly #documents: ConfigDocuments;
  readonly #workspace: Workspace;

  constructor(documents: ConfigDocuments, workspace: Workspace, refresh: LensRefresh) {
    this.#documents = documents;
    this.#workspace = workspace;
    this.onDidChangeCodeLenses = refresh.onDidChange;
  }

  async provideCodeLenses(document: vscode.TextDocument): Promise<vscode.CodeLens[]> {
    const root = this.#documents.workspaceRoot(document);
    if (root === undefined || document.uri.scheme !== 'file' || !lensesAreOn(document)) return [];
    // The journal is files; it is read when a lens is first to say something of it.
    void this.#workspace.show();
    const language = await this.#documents.language();
    const now = Date.now();
    return language
      .outlineOf(document.getText())
      .flatMap(({ children }) => children)
      .flatMap(({ kind, name, nameRange }) => {
        const range = toRange(nameRange);
        if (kind === 'environment') return environmentLenses(root, name, range, now);
        return kind === 'image' ? imageLenses(root, name, range, now) : [];
      });
  }
}

function environmentLenses(root: Root, environment: string, range: vscode.Range, now: number): vscode.CodeLens[] {
  const folder = root.path;
  const run = lens(
    range,
    vscode.l10n.t('$(play) Run'),
    vscode.l10n.t('Run the pipeline for {0}', environment),
    'slipway.run',
    {
      folder,
      environment,
    },
  );
  const last = root.runs.latest(environment);
  if (last === undefined) return [run];
  const { view } = last;
  const words = [
    conditionOf(view, last.isLive),
    ...(view.tag === undefined ? [] : [view.tag]),
    age(view.finishedAt ?? view.startedAt, now),
  ].join(' · ');
  return [
    run,
    lens(range, words, vscode.l10n.t('Show the last run for {0}', environment), 'slipway.showRollout', {
      folder,
      environment,
      run: view.id,
    }),
  ];
}

/** Build and scan, and size and findings of the last time; the same on slipway.yaml and Dockerfiles. */
export function imageLenses(root: Root, image: string, range: vscode.Range, now: number): vscode.CodeLens[] {
  const folder = root.path;
  const build = lens(
    range,
    vscode.l10n.t('$(package) Build & scan {0}', image),
    vscode.l10n.t('Build the image {0} and scan it; nothing is tagged or deployed', image),
    'slipway.run',
    { folder, environment: null, images: [image], until: 'scan' },
  );
  const facts = imageFacts(
    root.runs.list().map(({ view }) => view),
    image,
  );
  if (facts === undefined) return [build];
  const { run, environment } = facts;
  return [
    build,
    lens(range, imageLine(facts, now), vscode.l10n.t('Show the last run with {0}', image), 'slipway.showRollout', {
      folder,
      environment,
      run,
    }),
  ];
}

const lens = (range: vscode.Range, title: string, tooltip: string, command: string, argument: unknown) =>
  new vscode.CodeLens(range, { title: lensTitle(title), tooltip, command, arguments: [argument] });
