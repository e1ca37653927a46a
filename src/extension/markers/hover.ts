import * as vscode from 'vscode';
import type { ImagePolicyObject, LinkedMarker } from '../../engine/markers/index.ts';
import { Owner } from '../events.ts';
import { toRange, yamlFiles } from './lenses.ts';
import { type GitOpsModel, isOfInterest } from './model.ts';
import type { Repository } from './repository.ts';
import { detailWords, policyWords } from './words.ts';

/** Candidates shown in a hover, at most; the rest is in Why. */
const MOST_TAGS = 8;

/** What stands behind a marker or a policy: rule, image, result, the next candidates with their age. */
export class MarkerHover extends Owner implements vscode.HoverProvider {
  readonly #model: GitOpsModel;

  constructor(model: GitOpsModel) {
    super();
    this.#model = model;
    this.own(vscode.languages.registerHoverProvider(yamlFiles, this));
  }

  async provideHover(document: vscode.TextDocument, position: vscode.Position): Promise<vscode.Hover | undefined> {
    if (!isOfInterest(document.getText())) return undefined;
    const repository = await this.#model.of(document.uri);
    const file = repository?.sync(document);
    if (repository === undefined || file === undefined) return undefined;
    const at = document.offsetAt(position);
    const linked = repository.index
      .linked(file)
      .find(({ marker: { comment, value } }) => isIn(at, comment) || isIn(at, value));
    if (linked !== undefined) {
      const { comment, value } = linked.marker;
      const span = isIn(at, comment) ? comment : value;
      const range = new vscode.Range(document.positionAt(span.start), document.positionAt(span.end));
      return new vscode.Hover(markerText(repository, linked), range);
    }
    const dead = repository.index.markersOf(file).dead.find(({ comment }) => isIn(at, comment));
    // The problem's own hover says why; nothing to add.
    if (dead !== undefined) return undefined;
    for (const object of repository.index.objectsIn(file)) {
      if (object.kind !== 'ImagePolicy') continue;
      const range = [object.place, object.rulesPlace]
        .map((place) => toRange(place.range))
        .find((one) => one?.contains(position) === true || one?.start.line === position.line);
      if (range !== undefined) return new vscode.Hover(withLines(policyLines(repository, object)), range);
    }
    return undefined;
  }
}

const isIn = (at: number, span: { readonly start: number; readonly end: number }): boolean =>
  span.start <= at && at <= span.end;

function markerText(repository: Repository, linked: LinkedMarker): vscode.MarkdownString {
  const { marker, policy, automations, verdict } = linked;
  const { setter } = marker;
  if (policy === undefined) {
    return withLines([`**${plain(`${setter.namespace}:${setter.policy}`)}** is no ImagePolicy of this repository.`]);
  }
  const state = repository.stateOf(linked);
  const next =
    state.kind === 'behind'
      ? [`Flux would write ${code(state.next ?? state.policy.tag)} in the place of ${code(marker.current)}.`]
      : [];
  const judged = verdict?.isAllowed === false ? [`The value now is not allowed: ${plain(verdict.reason)}.`] : [];
  const active = automations.filter(({ suspended }) => !suspended);
  const writers =
    automations.length === 0
      ? 'No automation of this repository writes here.'
      : active.length === 0
        ? `Suspended: ${automations.map(({ name }) => code(name)).join(', ')}.`
        : `Written by ${active.map(({ name, interval }) => `${code(name)}${interval === undefined ? '' : ` every ${plain(interval)}`}`).join(', ')}.`;
  return withLines([...policyLines(repository, policy), ...next, ...judged, writers]);
}

function policyLines(repository: Repository, policy: ImagePolicyObject): readonly string[] {
  const { markers, index, tags } = repository;
  const now = Date.now();
  const state = markers.policyState(index, policy, (image) => tags.of(image));
  const image = index.repositoryOf(policy)?.image;
  const known = image === undefined ? undefined : tags.of(image);
  const compiled = index.compiledOf(policy);
  const lines = [
    `**ImagePolicy ${plain(markers.policyName(policy))}** ${plain(markers.ruleWords(policy))}`,
    `${image === undefined ? 'Image not known' : code(image)}: ${plain(policyWords(state, now))}`,
  ];
  if (known === undefined || !(compiled instanceof markers.CompiledPolicy)) return lines;
  const candidates = markers
    .newestByName(known.tags)
    .filter((tag) => ['candidate', 'selected'].includes(compiled.judge(tag).status));
  const rows = candidates.slice(0, MOST_TAGS).map((tag) => {
    const words = detailWords(markers, known.details[tag], now);
    const isWinner = state.kind === 'selected' && state.tag === tag;
    return `- ${isWinner ? `**${plain(tag)}**` : plain(tag)}${words === '' ? '' : ` ${plain(words)}`}`;
  });
  const more = candidates.length > MOST_TAGS ? [`- and ${candidates.length - MOST_TAGS} more`] : [];
  return rows.length === 0 ? lines : [...lines, [...rows, ...more].join('\n')];
}

const plain = (text: string): string => text.replaceAll(/[\\`*_{}[\]<>()#+!|~-]/g, '\\$&');
const code = (text: string): string => `\`${text.replaceAll('`', '')}\``;

/** No commands and no HTML: the words come from files of the repository. */
const withLines = (lines: readonly string[]): vscode.MarkdownString => new vscode.MarkdownString(lines.join('\n\n'));
