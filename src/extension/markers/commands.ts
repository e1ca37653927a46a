import * as vscode from 'vscode';
import type { ImagePolicyObject, LinkedMarker, TagList, WantedValue } from '../../engine/markers/index.ts';
import { CancelledError, isCancelled, SlipwayError } from '../../engine/problems/index.ts';
import type { System } from '../../engine/system/index.ts';
import type { CommandSpec } from '../commands/register.ts';
import type { Workspace } from '../workspace.ts';
import { addNewText, apply, type ValuesOfFile, writeValues } from './edits.ts';
import { fetchAll, fetchTags, withSignal } from './fetching.ts';
import type { GitOpsModel } from './model.ts';
import { pickTag } from './pick.ts';
import type { Repository } from './repository.ts';
import { rollBack } from './rollBack.ts';
import { type Found, find, pickMarker } from './targets.ts';
import { openWhy } from './why.ts';
import { count } from './words.ts';

export function markerCommands(model: GitOpsModel, system: System, workspace: Workspace): readonly CommandSpec[] {
  return [
    {
      id: 'slipway.bumpTag',
      needs: 'trusted',
      run: async (argument) => {
        const found = (await find(model, argument)) ?? (await pickMarker(model, vscode.l10n.t('Bump Tag')));
        if (found.kind === 'marker') return bumpMarker(found.repository, found.file, found.linked);
        if (found.kind === 'updater') {
          const list = found.repository.tags.of(found.target.image.image);
          const tag = list && found.repository.markers.updaterChoice(found.target.image, list).tag;
          if (tag !== undefined) await writeUpdater(found, tag);
          return;
        }
        if (found.kind === 'policy') await bumpAll(found.repository, found.repository.behind(found.policy));
      },
    },
    {
      id: 'slipway.bumpAll',
      needs: 'trusted',
      run: async (argument) => {
        const found = await find(model, argument);
        if (found?.kind === 'policy') return bumpAll(found.repository, found.repository.behind(found.policy));
        if (found?.kind === 'image') return bumpAll(found.repository, behindOf(found.repository, found.image));
        await bumpChosen(model);
      },
    },
    {
      id: 'slipway.pickTag',
      needs: 'trusted',
      run: async (argument) => {
        const found = (await find(model, argument)) ?? (await pickMarker(model, vscode.l10n.t('Pick Tag')));
        await pickFor(found);
      },
    },
    {
      id: 'slipway.rollBackTag',
      needs: 'trusted',
      run: async (argument) => {
        const found = (await find(model, argument)) ?? (await pickMarker(model, vscode.l10n.t('Roll Back Tag')));
        if (found.kind !== 'marker') return;
        await workspace.show();
        const root = workspace.rootOf(found.repository.uriOf(found.file));
        const environments = root?.project?.environments ?? [];
        await rollBack(
          found,
          system,
          environments.filter(({ deploy }) => deploy.kind === 'flux'),
        );
      },
    },
    {
      id: 'slipway.explainTag',
      needs: 'nothing',
      run: async (argument) => {
        await openWhy((await find(model, argument)) ?? (await pickMarker(model, vscode.l10n.t('Why This Tag'))));
      },
    },
    {
      id: 'slipway.fetchTags',
      needs: 'trusted',
      run: async (argument) => {
        const found = await find(model, argument);
        const image = found === undefined ? undefined : imageOf(found);
        if (found !== undefined && image !== undefined) return fetchTags(found.repository, image);
        if (found !== undefined) return;
        const failed: string[] = [];
        for (const repository of await model.ready())
          failed.push(...(await fetchAll(repository, imagesOf(repository))));
        if (failed.length > 0) {
          throw new SlipwayError({
            reason: 'registry',
            code: 'tags.some-failed',
            message: vscode.l10n.t(
              'The tags of {0} could not be fetched: {1}',
              count(failed.length, 'image'),
              failed[0] ?? '',
            ),
            evidence: failed,
          });
        }
      },
    },
  ];
}

function imageOf(found: Found): string | undefined {
  if (found.kind === 'image') return found.image;
  if (found.kind === 'updater') return found.target.image.image;
  if (found.kind === 'marker') return found.linked.repository?.image;
  return found.repository.index.repositoryOf(found.policy)?.image;
}

/** The images of all ImageRepositories of the files. */
const imagesOf = ({ index }: Repository): readonly string[] => [
  ...new Set(index.objectsOf('ImageRepository').flatMap(({ image }) => image ?? [])),
];

const behindOf = (repository: Repository, image: string): readonly LinkedMarker[] =>
  repository.linkedTo(image).filter((linked) => repository.stateOf(linked).kind === 'behind');

/** The reference to write. When the policy reflects digests the registry is asked, as Flux would; offline, the known one. */
async function wantedValue(
  repository: Repository,
  linked: LinkedMarker,
  policy: ImagePolicyObject,
  tag: string,
): Promise<WantedValue> {
  const address = repository.markers.addressOf(linked.marker);
  const image = repository.index.repositoryOf(policy)?.image ?? linked.marker.parts.name ?? '';
  const { part } = linked.marker.setter;
  if (policy.digestReflection === 'Never' || part === 'tag' || part === 'name')
    return { address, ref: { name: image, tag } };
  const known = repository.tags.of(image)?.details[tag]?.digest;
  const digest = await vscode.window.withProgress(
    {
      location: vscode.ProgressLocation.Window,
      title: vscode.l10n.t('Digest of {0}:{1}', image, tag),
      cancellable: true,
    },
    (_progress, token) =>
      withSignal(token, (signal) => repository.tags.digestOf(image, tag, signal)).catch((error: unknown) => {
        if (known === undefined || isCancelled(error)) throw error;
        return known;
      }),
  );
  return { address, ref: { name: image, tag, digest } };
}

async function bumpMarker(repository: Repository, file: string, linked: LinkedMarker): Promise<void> {
  const state = repository.stateOf(linked);
  const { policy } = linked;
  if (state.kind === 'behind' && policy !== undefined) {
    const wanted = await wantedValue(repository, linked, policy, state.policy.tag);
    return writeValues(repository, [{ file, wanted: [wanted] }], 'open');
  }
  if (state.kind === 'current') {
    vscode.window.setStatusBarMessage(vscode.l10n.t('{0} is the latest already', state.policy.tag), 5_000);
    return;
  }
  const words: Readonly<Record<Exclude<typeof state.kind, 'behind' | 'current'>, string>> = {
    'not-fetched': vscode.l10n.t('The tags of this image were not fetched yet.'),
    none: vscode.l10n.t('The policy selects no tag.'),
    invalid: vscode.l10n.t('Flux cannot use the policy.'),
    'no-policy': vscode.l10n.t(
      'There is no ImagePolicy {0}:{1} in this repository.',
      linked.marker.setter.namespace,
      linked.marker.setter.policy,
    ),
    'no-repository': vscode.l10n.t('The ImageRepository of the policy is not in this repository.'),
  };
  if (state.kind === 'behind') return;
  throw new SlipwayError({
    reason: 'usage',
    code: 'gitops.nothing-to-bump',
    message: words[state.kind],
    fix: state.kind === 'not-fetched' ? vscode.l10n.t('Use Fetch Tags first.') : vscode.l10n.t('Look at Why.'),
    place: linked.place,
  });
}

/** Many markers at once: the person sees every change, and can leave some out, before any is made. */
async function bumpAll(repository: Repository, behind: readonly LinkedMarker[]): Promise<void> {
  const changes = behind.flatMap((linked): readonly Change[] => {
    const state = repository.stateOf(linked);
    return state.kind === 'behind' ? [{ linked, tag: state.policy.tag }] : [];
  });
  if (changes.length === 0) {
    vscode.window.setStatusBarMessage(vscode.l10n.t('Nothing to bump'), 5_000);
    return;
  }
  await writeChanges(repository, await chooseChanges(repository, changes, vscode.l10n.t('Bump All Tags')));
}

interface Change {
  readonly linked: LinkedMarker;
  readonly tag: string;
}

/** What the marker's part of the reference becomes. */
function newWords({ linked, tag }: Change): string {
  switch (linked.marker.setter.part) {
    case 'name':
      return linked.repository?.image ?? '';
    case 'digest':
      return vscode.l10n.t('digest of {0}', tag);
    default:
      return tag;
  }
}

async function chooseChanges(
  { markers }: Repository,
  changes: readonly Change[],
  title: string,
): Promise<readonly Change[]> {
  const items = changes.map((change) => {
    const { marker, file, place } = change.linked;
    return {
      label: `${markers.shortValue(marker)} → ${newWords(change)}`,
      description: `${file}:${(place.range?.start.line ?? 0) + 1}`,
      detail: marker.setter.name,
      picked: true,
      change,
    };
  });
  const placeHolder = vscode.l10n.t('What is ticked is written and saved');
  const picked = await vscode.window.showQuickPick(items, {
    title,
    placeHolder,
    canPickMany: true,
    matchOnDescription: true,
  });
  if (picked === undefined) throw new CancelledError();
  return picked.map(({ change }) => change);
}

async function writeChanges(repository: Repository, changes: readonly Change[]): Promise<void> {
  const files = new Map<string, WantedValue[]>();
  for (const { linked, tag } of changes) {
    if (linked.policy === undefined) continue;
    const wanted = await wantedValue(repository, linked, linked.policy, tag);
    files.set(linked.file, [...(files.get(linked.file) ?? []), wanted]);
  }
  const list: readonly ValuesOfFile[] = [...files].map(([file, wanted]) => ({ file, wanted }));
  await writeValues(repository, list, 'saved');
}

async function bumpChosen(model: GitOpsModel): Promise<void> {
  const repositories = await model.ready();
  const all = repositories.flatMap((repository) =>
    repository
      .allLinked()
      .filter((linked) => repository.stateOf(linked).kind === 'behind')
      .map((linked) => ({ repository, linked })),
  );
  const open = vscode.window.activeTextEditor?.document;
  const here = all.filter(({ repository, linked }) => repository.uriOf(linked.file).fsPath === open?.uri.fsPath);
  if (here.length > 0 && here.length < all.length) {
    const picked = await vscode.window.showQuickPick(
      [
        { label: vscode.l10n.t('This file'), description: count(here.length, 'marker'), chosen: here },
        { label: vscode.l10n.t('Workspace'), description: count(all.length, 'marker'), chosen: all },
      ],
      { title: vscode.l10n.t('Bump All Tags') },
    );
    if (picked === undefined) throw new CancelledError();
    all.splice(0, all.length, ...picked.chosen);
  }
  if (all.length === 0)
    vscode.window.setStatusBarMessage(vscode.l10n.t('Nothing to bump, by the tags known now'), 5_000);
  for (const [repository, list] of Map.groupBy(all, (one) => one.repository)) {
    await bumpAll(
      repository,
      list.map(({ linked }) => linked),
    );
  }
}

async function pickFor(found: Found): Promise<void> {
  const { repository } = found;
  const { markers, index } = repository;
  if (found.kind === 'updater') {
    const { image, app, current } = found.target;
    const tag = await pickTag({
      repository,
      image: image.image,
      title: vscode.l10n.t('Tag of {0} in {1}', image.alias ?? image.image, app.name),
      current: current?.tag,
      explain: (list) => markers.updaterChoice(image, list).reasons,
    });
    return writeUpdater(found, tag);
  }
  const policy = found.kind === 'policy' ? found.policy : found.kind === 'marker' ? found.linked.policy : undefined;
  const image = imageOf(found);
  if (policy === undefined || image === undefined || found.kind === 'image') {
    throw new SlipwayError({
      reason: 'usage',
      code: 'gitops.no-policy',
      message: vscode.l10n.t('Without its ImagePolicy and ImageRepository the image of this marker is not known.'),
      fix: vscode.l10n.t('Add them to this repository.'),
    });
  }
  const linked = found.kind === 'marker' ? [found.linked] : repository.linkedOf(policy);
  const compiled = index.compiledOf(policy);
  const explain = (list: TagList) =>
    compiled instanceof markers.CompiledPolicy
      ? compiled.explain(list.tags)
      : list.tags.map((tag) => ({ tag, status: 'candidate' as const, reason: '' }));
  const [first] = linked;
  const tag = await pickTag({
    repository,
    image,
    title: vscode.l10n.t('Tag for {0}', markers.policyName(policy)),
    current: first === undefined ? undefined : markers.tagOf(first.marker),
    explain,
  });
  if (found.kind === 'marker') {
    const wanted = await wantedValue(repository, found.linked, policy, tag);
    await writeValues(repository, [{ file: found.file, wanted: [wanted] }], 'open');
  } else {
    const changes = linked.map((one) => ({ linked: one, tag }));
    await writeChanges(repository, await chooseChanges(repository, changes, vscode.l10n.t('Write {0}', tag)));
  }
  await warnOfUndo(repository, policy, linked, tag);
}

/** Flux writes its own choice again: better said now than found out in half an hour. */
async function warnOfUndo(
  { markers, index, tags }: Repository,
  policy: ImagePolicyObject,
  linked: readonly LinkedMarker[],
  tag: string,
): Promise<void> {
  const state = markers.policyState(index, policy, (image) => tags.of(image));
  if (state.kind !== 'selected') return;
  const automations = [...new Set(linked.flatMap((one) => one.automations))];
  const undoes = markers.whoUndoes({ policy, automations }, tag, state.tag);
  if (undoes === undefined) return;
  const open = vscode.l10n.t('Open Policy');
  const chosen = await vscode.window.showWarningMessage(undoes, open);
  const { range, file } = policy.rulesPlace;
  if (chosen !== open || range === undefined) return;
  const at = new vscode.Position(range.start.line, range.start.character);
  await vscode.window.showTextDocument(vscode.Uri.file(file), { selection: new vscode.Range(at, at) });
}

async function writeUpdater(found: Extract<Found, { kind: 'updater' }>, tag: string): Promise<void> {
  const { repository, target } = found;
  const change = await repository.markers.updaterEdit(target, tag, (file) => repository.textOf(file));
  if ('reason' in change) {
    throw new SlipwayError({
      reason: 'refused',
      code: 'gitops.not-in-git',
      message: vscode.l10n.t('The tag of {0} was not written: {1}.', target.app.name, change.reason),
    });
  }
  const uri = repository.uriOf(change.file);
  const edit = new vscode.WorkspaceEdit();
  if (change.before === undefined) {
    edit.createFile(uri, { ignoreIfExists: true, contents: new TextEncoder().encode(change.after) });
  } else addNewText(edit, await vscode.workspace.openTextDocument(uri), change.after);
  await apply(edit, 'open');
  await vscode.window.showTextDocument(uri, { preview: true });
}
