import * as vscode from 'vscode';
import type { ImagePolicyObject, TagList, TagReason, UpdaterTarget } from '../../engine/markers/index.ts';
import { Owner } from '../events.ts';
import { age } from '../words.ts';
import type { GitOpsModel } from './model.ts';
import type { Markers, Repository } from './repository.ts';
import { type Found, find } from './targets.ts';
import { count, detailWords, policyWords, tagsAge } from './words.ts';

const scheme = 'slipway-why';

/** Why a policy selects what it selects, as a read-only document: searchable, and read by a screen reader. */
export class WhyDocuments extends Owner implements vscode.TextDocumentContentProvider {
  readonly #model: GitOpsModel;
  readonly #changed = this.own(new vscode.EventEmitter<vscode.Uri>());
  readonly onDidChange = this.#changed.event;

  constructor(model: GitOpsModel) {
    super();
    this.#model = model;
    this.own(vscode.workspace.registerTextDocumentContentProvider(scheme, this));
    this.own(
      model.onDidChange(() => {
        for (const { uri } of vscode.workspace.textDocuments) if (uri.scheme === scheme) this.#changed.fire(uri);
      }),
    );
  }

  async provideTextDocumentContent(uri: vscode.Uri): Promise<string> {
    const found = await find(this.#model, JSON.parse(uri.query));
    if (found?.kind === 'policy') return policyText(found.repository, found.policy, Date.now());
    if (found?.kind === 'updater') return updaterText(found.repository, found.target, Date.now());
    return vscode.l10n.t('This policy is not in the workspace any more.');
  }
}

/** Opens the reasons for what is behind a marker, a policy or an image of Image Updater. */
export async function openWhy(found: Found): Promise<void> {
  const { repository } = found;
  if (found.kind === 'updater') {
    const { app, image, file } = found.target;
    await openDocument(`${app.name} ${image.alias ?? image.image.split('/').at(-1)}`, {
      repository: repository.top,
      file,
      app: app.name,
      updaterImage: image.image,
      alias: image.alias,
    });
    return;
  }
  const policy = found.kind === 'policy' ? found.policy : found.kind === 'marker' ? found.linked.policy : undefined;
  if (policy === undefined) return;
  const { namespace, name } = policy;
  await openDocument(repository.markers.policyName(policy), {
    repository: repository.top,
    policy: { namespace, name },
  });
}

async function openDocument(title: string, query: unknown): Promise<void> {
  const path = `/${vscode.l10n.t('Why')} ${title.replaceAll('/', '-').replaceAll(':', ' ')}`;
  const uri = vscode.Uri.from({ scheme, path, query: JSON.stringify(query) });
  const document = await vscode.workspace.openTextDocument(uri);
  await vscode.window.showTextDocument(document, { preview: true });
}

export function policyText(repository: Repository, policy: ImagePolicyObject, now: number): string {
  const { markers, index, tags } = repository;
  const state = markers.policyState(index, policy, (image) => tags.of(image));
  const image = index.repositoryOf(policy)?.image;
  const automations = index.automationsFor(policy);
  const linked = repository.linkedOf(policy).toSorted((a, b) => a.file.localeCompare(b.file));
  const lines = [
    `ImagePolicy ${markers.policyName(policy)}`,
    '',
    `Rule:     ${markers.ruleWords(policy)}`,
    `Image:    ${image ?? 'not known'}`,
    `Result:   ${policyWords(state, now)}`,
    ...(policy.digestReflection === 'Never' ? [] : [`Digest:   reflected (${policy.digestReflection})`]),
    ...(policy.suspended ? ['Suspended: its last result stays in force and is still written'] : []),
    `Written:  ${automations.length === 0 ? 'by no automation of this repository' : automations.map(({ name, path, suspended }) => `by ${name} below ./${path}${suspended ? ' (suspended)' : ''}`).join(', ')}`,
    `Markers:  ${linked.length === 0 ? 'none' : ''}`,
    ...linked.map((one) => {
      const { file, place, marker } = one;
      const next = repository.stateOf(one);
      const words = next.kind === 'behind' ? ` → ${markers.shortNext(marker, next)}` : '';
      return `  ${file}:${(place.range?.start.line ?? 0) + 1}  ${markers.shortValue(marker)}${words}${one.automations.length === 0 ? '  (no automation writes here)' : ''}`;
    }),
    '',
  ];
  const known = image === undefined ? undefined : tags.of(image);
  const compiled = index.compiledOf(policy);
  if (known === undefined || !(compiled instanceof markers.CompiledPolicy)) return `${lines.join('\n')}\n`;
  return `${[...lines, ...reasonLines(markers, known, compiled.explain(known.tags), now)].join('\n')}\n`;
}

export function updaterText(repository: Repository, target: UpdaterTarget, now: number): string {
  const { markers, tags } = repository;
  const { app, image, current, writeBack } = target;
  const list = tags.of(image.image);
  const place = markers.writeTarget(target);
  const where =
    'file' in place ? place.file : place.kind === 'cluster' ? 'the Application in the cluster, no file' : place.reason;
  const lines = [
    `Argo CD Image Updater ${image.generation}: ${image.image} of the Application ${app.name}`,
    '',
    `Strategy: ${image.strategy}${image.constraint === undefined ? '' : ` ${image.constraint}`}`,
    ...(image.allowTags === undefined ? [] : [`Allowed:  ${image.allowTags}`]),
    ...(image.ignoreTags.length === 0 ? [] : [`Ignored:  ${image.ignoreTags.join(', ')}`]),
    `Now:      ${current === undefined ? 'no tag in Git' : `${current.tag} (${current.file})`}`,
    `Written:  ${writeBack.method}: ${where}`,
  ];
  if (list === undefined) return `${[...lines, 'Result:   tags not fetched yet'].join('\n')}\n`;
  const choice = markers.updaterChoice(image, list);
  const result = [
    choice.tag === undefined ? 'no tag' : `chooses ${choice.tag}`,
    ...(choice.note === undefined ? [] : [choice.note]),
  ];
  lines.push(`Result:   ${result.join('; ')} (${tagsAge(list, now)})`, '');
  return `${[...lines, ...reasonLines(markers, list, choice.reasons, now)].join('\n')}\n`;
}

function reasonLines(markers: Markers, list: TagList, reasons: readonly TagReason[], now: number): readonly string[] {
  const order = new Map(markers.newestByName(list.tags).map((tag, at) => [tag, at]));
  const sorted = reasons.toSorted((a, b) => (order.get(a.tag) ?? 0) - (order.get(b.tag) ?? 0));
  const width = Math.min(48, Math.max(...sorted.map(({ tag }) => tag.length), 3));
  const line = ({ tag, reason, candidate }: TagReason): string => {
    const compared = candidate === undefined ? '' : ` (compared as ${candidate})`;
    const known = detailWords(markers, list.details[tag], now);
    return `  ${tag.padEnd(width)}  ${reason}${compared}${known === '' ? '' : `  [${known}]`}`;
  };
  const part = (title: string, some: readonly TagReason[]): readonly string[] =>
    some.length === 0 ? [] : [`${title} (${some.length})`, ...some.map(line), ''];
  return [
    `${count(list.tags.length, 'tag')}, fetched ${age(list.fetchedAt, now)}`,
    '',
    ...part(
      'Wins',
      sorted.filter(({ status }) => status === 'selected'),
    ),
    ...part(
      'In the running',
      sorted.filter(({ status }) => status === 'candidate'),
    ),
    ...part(
      'Out',
      sorted.filter(({ status }) => status !== 'selected' && status !== 'candidate'),
    ),
  ];
}
