import * as vscode from 'vscode';
import type { LinkedMarker, MarkerState, UpdaterTarget } from '../../engine/markers/index.ts';
import { Owner } from '../events.ts';
import { lensTitle } from '../words.ts';
import { type GitOpsModel, isOfInterest } from './model.ts';
import type { Repository } from './repository.ts';
import type { MarkerTarget, PolicyTarget, UpdaterCommandTarget } from './targets.ts';
import { count, markerTitle, policyWords, tagsAge } from './words.ts';

export const yamlFiles: vscode.DocumentSelector = [
  { language: 'yaml', scheme: 'file' },
  { language: 'helm', scheme: 'file' },
  { pattern: '**/Kustomization', scheme: 'file' },
];

/** Ages in the lenses grow by the minute. */
const TICK_MS = 60_000;

/** One line of lenses on each marker, policy, image repository and image of Image Updater. Renders; asks nobody. */
export class MarkerLenses extends Owner implements vscode.CodeLensProvider {
  readonly #model: GitOpsModel;
  readonly #changed = this.own(new vscode.EventEmitter<void>());
  readonly onDidChangeCodeLenses = this.#changed.event;

  constructor(model: GitOpsModel) {
    super();
    this.#model = model;
    this.own(vscode.languages.registerCodeLensProvider(yamlFiles, this));
    this.own(model.onDidChange(() => this.#changed.fire()));
    this.own(
      vscode.workspace.onDidChangeConfiguration((event) => {
        if (event.affectsConfiguration('slipway.imageLenses')) this.#changed.fire();
      }),
    );
    const timer = setInterval(() => {
      if (vscode.window.visibleTextEditors.some(({ document }) => isShown(document))) this.#changed.fire();
    }, TICK_MS);
    timer.unref();
    this.own({ dispose: () => clearInterval(timer) });
  }

  async provideCodeLenses(document: vscode.TextDocument, token: vscode.CancellationToken): Promise<vscode.CodeLens[]> {
    const isOn = vscode.workspace.getConfiguration('slipway', document).get<boolean>('imageLenses', true);
    if (!isOn || !isShown(document)) return [];
    const repository = await this.#model.of(document.uri);
    if (repository === undefined || token.isCancellationRequested) return [];
    const file = repository.sync(document);
    if (file === undefined) return [];
    const now = Date.now();
    const lenses = [
      ...repository.index.linked(file).flatMap((linked) => markerLenses(repository, document, linked, now)),
      ...objectLenses(repository, file, now),
    ];
    if (!document.getText().includes('argoproj.io/')) return lenses;
    const targets = await repository.updaterTargets(file);
    return [...lenses, ...targets.flatMap((target) => updaterLenses(repository, target, now))];
  }
}

const isShown = (document: vscode.TextDocument): boolean => isOfInterest(document.getText());

function markerLenses(
  repository: Repository,
  document: vscode.TextDocument,
  linked: LinkedMarker,
  now: number,
): vscode.CodeLens[] {
  const { markers, index } = repository;
  const state: MarkerState = markers.markerState(index, linked, (image) => repository.tags.of(image));
  const at = document.positionAt(linked.marker.value.start);
  const range = new vscode.Range(at, document.positionAt(linked.marker.value.end));
  const target: MarkerTarget = { uri: document.uri.toString(), address: markers.addressOf(linked.marker) };
  const lens = (command: string, title: string, tooltip: string): vscode.CodeLens =>
    new vscode.CodeLens(range, { command, title: lensTitle(title), tooltip, arguments: [target] });
  if (!repository.isReady && state.kind === 'no-policy') {
    return [
      new vscode.CodeLens(range, {
        command: '',
        title: lensTitle('$(loading~spin) reading the policies of this repository'),
      }),
    ];
  }
  const title = markerTitle(markers, linked, state, now);
  const why = lens('slipway.explainTag', 'Why?', 'Which tags are out and why, and who wins');
  const first = lens('slipway.explainTag', title, 'Show why');
  const history = lens('slipway.rollBackTag', 'Roll back', 'An earlier value of this line, from git');
  const pick = lens('slipway.pickTag', 'Pick tag…', 'Choose from the known tags');
  switch (state.kind) {
    case 'behind':
      return [
        first,
        lens('slipway.bumpTag', 'Bump', `Write ${state.next ?? state.policy.tag} here, as Flux would`),
        pick,
        history,
        why,
      ];
    case 'current':
    case 'none':
      return [first, pick, history, why];
    case 'not-fetched':
      return [
        first,
        lens('slipway.fetchTags', 'Fetch tags', `Ask the registry for the tags of ${state.image}`),
        history,
      ];
    default:
      return [first, history];
  }
}

function objectLenses(repository: Repository, file: string, now: number): vscode.CodeLens[] {
  const { markers, index, tags } = repository;
  return index.objectsIn(file).flatMap((object): vscode.CodeLens[] => {
    const range = toRange(object.place.range);
    if (range === undefined) return [];
    if (object.kind === 'ImageRepository' && object.image !== undefined) {
      const known = tags.of(object.image);
      const words =
        known === undefined ? 'tags not fetched yet' : `${count(known.tags.length, 'tag')} (${tagsAge(known, now)})`;
      const argument = { repository: repository.top, image: object.image };
      return [
        new vscode.CodeLens(range, {
          command: 'slipway.fetchTags',
          title: lensTitle(`${words} · Fetch tags`),
          tooltip: `Ask the registry for the tags of ${object.image}`,
          arguments: [argument],
        }),
      ];
    }
    if (object.kind !== 'ImagePolicy') return [];
    const state = markers.policyState(index, object, (image) => tags.of(image));
    const target: PolicyTarget = {
      repository: repository.top,
      policy: { namespace: object.namespace, name: object.name },
    };
    const lenses = [
      new vscode.CodeLens(range, {
        command: 'slipway.explainTag',
        title: lensTitle(policyWords(state, now)),
        arguments: [target],
      }),
    ];
    const behind = repository.behind(object).length;
    if (behind > 0) {
      const title = `Bump ${count(behind, 'marker')}`;
      lenses.push(new vscode.CodeLens(range, { command: 'slipway.bumpAll', title, arguments: [target] }));
    }
    if (state.kind === 'not-fetched') {
      lenses.push(
        new vscode.CodeLens(range, { command: 'slipway.fetchTags', title: 'Fetch tags', arguments: [target] }),
      );
    }
    return lenses;
  });
}

function updaterLenses(repository: Repository, target: UpdaterTarget, now: number): vscode.CodeLens[] {
  const { markers, tags } = repository;
  const range = toRange(target.range);
  if (range === undefined) return [];
  const { image, app, current } = target;
  const argument: UpdaterCommandTarget = {
    repository: repository.top,
    file: target.file,
    app: app.name,
    updaterImage: image.image,
    alias: image.alias,
  };
  const lens = (command: string, title: string, tooltip?: string): vscode.CodeLens =>
    new vscode.CodeLens(range, {
      command,
      title: lensTitle(title),
      ...(tooltip !== undefined && { tooltip }),
      arguments: [argument],
    });
  const list = tags.of(image.image);
  const here = current?.tag ?? 'no tag in Git';
  if (list === undefined) {
    return [lens('slipway.fetchTags', `$(circle-outline) ${app.name}: ${here}, tags not fetched yet · Fetch tags`)];
  }
  const choice = markers.updaterChoice(image, list);
  const why = lens('slipway.explainTag', 'Why?', 'Which tags are out and why, and who wins');
  const pick = lens('slipway.pickTag', 'Pick tag…');
  const rule = `${image.strategy}${image.constraint === undefined ? '' : ` ${image.constraint}`}`;
  if (choice.tag === undefined) {
    return [
      lens(
        'slipway.explainTag',
        `$(warning) ${app.name}: ${choice.note ?? 'every tag is out'} (${tagsAge(list, now)})`,
      ),
      pick,
      why,
    ];
  }
  if (choice.tag === current?.tag) {
    return [
      lens('slipway.explainTag', `$(check) ${app.name}: ${here} is the latest by ${rule} (${tagsAge(list, now)})`),
      pick,
      why,
    ];
  }
  const title = `${app.name}: ${here} → ${choice.tag} by ${rule} (${tagsAge(list, now)})`;
  const place = markers.writeTarget(target);
  const bump =
    'file' in place
      ? [lens('slipway.bumpTag', 'Bump', `Write ${choice.tag} to ${place.file}, as Image Updater would commit it`)]
      : [];
  return [lens('slipway.explainTag', title), ...bump, ...('file' in place ? [pick] : []), why];
}

export function toRange(
  range:
    | { readonly start: { line: number; character: number }; readonly end: { line: number; character: number } }
    | undefined,
): vscode.Range | undefined {
  return range && new vscode.Range(range.start.line, range.start.character, range.end.line, range.end.character);
}
