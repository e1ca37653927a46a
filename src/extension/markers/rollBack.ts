import { isAbsolute } from 'node:path';
import * as vscode from 'vscode';
import type { EarlierValue, Recipe, WantedValue } from '../../engine/markers/index.ts';
import { CancelledError, SlipwayError } from '../../engine/problems/index.ts';
import type { EnvironmentConfig } from '../../engine/project/model.ts';
import type { System } from '../../engine/system/index.ts';
import { age } from '../words.ts';
import { addNewText, apply, writeValues } from './edits.ts';
import { fetchTags, withSignal } from './fetching.ts';
import type { Repository } from './repository.ts';
import type { Found } from './targets.ts';

/** A value to go back to, from git or from the cluster. */
type Earlier = Pick<EarlierValue, 'value' | 'parts'>;
type MarkerFound = Extract<Found, { kind: 'marker' }>;

/**
 * Puts an earlier value of the line back, from git's history. When an automation would write the new one again, the person
 * chooses between that and the edits that stay. Throws CancelledError; SlipwayError `usage` when there is no earlier value.
 */
export async function rollBack(
  found: MarkerFound,
  system: System,
  environments: readonly EnvironmentConfig[],
): Promise<void> {
  const { repository, file, linked } = found;
  const { markers } = repository;
  const { marker } = linked;
  const address = markers.addressOf(marker);
  const earlier = await vscode.window.withProgress(
    { location: vscode.ProgressLocation.Window, title: vscode.l10n.t('Reading the history of {0}', file) },
    () => markers.earlierValues(system, repository.uriOf(file).fsPath, address, marker.current),
  );
  const value = await pickEarlier(found, earlier, { system, environments });
  const tag = value.parts.tag;
  if (repository.stateOf(linked).kind === 'not-fetched' && tag !== undefined) await offerFetch(found, tag);
  const state = repository.stateOf(linked);
  const latest = state.kind === 'behind' || state.kind === 'current' ? state.policy.tag : undefined;
  const plain = () =>
    writeValues(repository, [{ file, wanted: [{ address, value: value.value } satisfies WantedValue] }], 'open');
  const { policy, automations } = linked;
  const undoes =
    policy === undefined || tag === undefined ? undefined : markers.whoUndoes({ policy, automations }, tag, latest);
  if (undoes === undefined) return plain();
  const recipe = await pickRecipe(value, undoes, await recipesFor(found, value, latest ?? ''));
  if (recipe === undefined) return plain();
  await applyRecipe(repository, recipe);
}

/** Without the tags nobody can say what an automation would write again: the registry is asked when the person wants it. */
async function offerFetch({ repository, linked }: MarkerFound, tag: string): Promise<void> {
  const image = linked.repository?.image;
  const names = linked.automations.filter(({ suspended }) => !suspended).map(({ name }) => name);
  if (image === undefined || names.length === 0) return;
  const fetch = {
    label: vscode.l10n.t('Fetch the tags first'),
    description: vscode.l10n.t('then choose how the rollback stays'),
  };
  const write = {
    label: vscode.l10n.t('Write {0} only', tag),
    description: vscode.l10n.t('{0} writes again what the policy chooses', names.join(', ')),
  };
  const picked = await vscode.window.showQuickPick([fetch, write], {
    title: vscode.l10n.t('Roll back to {0}', tag),
    placeHolder: vscode.l10n.t('The tags of {0} are not known yet', image),
  });
  if (picked === undefined) throw new CancelledError();
  if (picked === fetch) await fetchTags(repository, image);
}

async function pickEarlier(
  found: MarkerFound,
  earlier: readonly EarlierValue[],
  cluster: { readonly system: System; readonly environments: readonly EnvironmentConfig[] },
): Promise<Earlier> {
  const { repository, linked } = found;
  const { marker, policy } = linked;
  const { environments, system } = cluster;
  if (earlier.length === 0 && (environments.length === 0 || policy === undefined)) {
    throw new SlipwayError({
      reason: 'usage',
      code: 'gitops.no-history',
      message: vscode.l10n.t('Git knows no earlier value of {0}.', marker.setter.name),
      fix: vscode.l10n.t('Choose one with Pick tag…'),
    });
  }
  const now = Date.now();
  const fromGit = earlier.map((value) => ({
    label: repository.markers.shortValue({ ...value, current: value.value, setter: marker.setter }),
    description: vscode.l10n.t('written {0} by {1}', age(value.date, now), value.author),
    detail: `${value.commit.slice(0, 7)} ${value.subject}`,
    read: async (): Promise<Earlier> => value,
  }));
  // The cluster is contacted only when this row is chosen.
  const fromCluster = (policy === undefined ? [] : environments).map((environment) => ({
    label: vscode.l10n.t('$(cloud) Ask {0} what Flux chose before', environment.name),
    description: environment.context ?? '',
    detail: '',
    read: () => askCluster(found, environment, system),
  }));
  const picked = await vscode.window.showQuickPick([...fromGit, ...fromCluster], {
    title: vscode.l10n.t('Roll back {0} from {1}', marker.setter.name, repository.markers.shortValue(marker)),
    placeHolder: vscode.l10n.t('Earlier values of this line'),
    matchOnDetail: true,
  });
  if (picked === undefined) throw new CancelledError();
  return picked.read();
}

async function askCluster(
  { repository, linked }: MarkerFound,
  { context, kubeconfig, name }: EnvironmentConfig,
  system: System,
): Promise<Earlier> {
  const { markers } = repository;
  const { setter } = linked.marker;
  const previousInCluster = await markers.loadPrevious();
  const target = { ...(context !== undefined && { context }), ...(kubeconfig !== undefined && { kubeconfig }) };
  const policy = { namespace: setter.namespace, name: setter.policy };
  const previous = await vscode.window.withProgress(
    { location: vscode.ProgressLocation.Notification, title: vscode.l10n.t('Asking {0}', name), cancellable: true },
    (_progress, token) => withSignal(token, (signal) => previousInCluster(system, target, policy, signal)),
  );
  if (previous === undefined) {
    throw new SlipwayError({
      reason: 'usage',
      code: 'gitops.no-previous',
      message: vscode.l10n.t('Flux in {0} has chosen nothing else for {1} before.', name, setter.policy),
      fix: vscode.l10n.t('Choose one with Pick tag…'),
    });
  }
  return { value: markers.valueFor(setter, previous), parts: previous };
}

async function recipesFor(
  { repository, linked }: MarkerFound,
  value: Earlier,
  badTag: string,
): Promise<readonly Recipe[]> {
  const { markers, index, tags } = repository;
  const { policy, automations } = linked;
  const goodTag = value.parts.tag;
  if (policy === undefined || goodTag === undefined) return [];
  const image = index.repositoryOf(policy);
  const known = image?.image === undefined ? undefined : tags.of(image.image);
  const all = repository.linkedOf(policy);
  const texts = new Map<string, string>();
  const objects = [policy, ...(image === undefined ? [] : [image]), ...automations].map(({ source }) => source.file);
  for (const path of objects) texts.set(path, (await repository.textOf(repository.fileOfPath(path))) ?? '');
  for (const { file } of all) texts.set(file, (await repository.textOf(file)) ?? '');
  return markers.rollbackRecipes({
    policy,
    repository: image,
    automations,
    markers: all.map(({ file, marker }) => ({ file, marker })),
    tags: known?.tags ?? [],
    badTag,
    goodTag,
    ...(value.parts.digest !== undefined && { goodDigest: value.parts.digest }),
    textOf: (file) => texts.get(file) ?? '',
  });
}

const verdicts: Readonly<Record<Recipe['verdict'], string>> = {
  sticks: 'stays',
  bounces: 'would be undone',
  differs: 'another tag is chosen',
};

/** Undefined: only the value is written. */
async function pickRecipe(value: Earlier, undoes: string, recipes: readonly Recipe[]): Promise<Recipe | undefined> {
  const items = [
    ...recipes
      .filter(({ verdict }) => verdict !== 'bounces')
      .map((recipe) => ({
        label: recipe.title,
        description:
          recipe.verdict === 'differs'
            ? `${verdicts.differs}: ${recipe.selection.anyOf.join(' or ')}`
            : verdicts[recipe.verdict],
        // One line has room for what tells the recipes apart; the files that it changes are shown.
        detail: [
          ...recipe.warnings,
          ...recipe.next.slice(-1).map(({ controller, does }) => `${controller} ${does}.`),
        ].join(' '),
        recipe: recipe as Recipe | undefined,
      })),
    {
      label: vscode.l10n.t('Write {0} only', value.parts.tag ?? value.value),
      description: vscode.l10n.t('would be undone'),
      detail: undoes,
      recipe: undefined,
    },
  ];
  const picked = await vscode.window.showQuickPick(items, {
    title: vscode.l10n.t('How shall the rollback stay?'),
    placeHolder: undoes,
    matchOnDetail: true,
  });
  if (picked === undefined) throw new CancelledError();
  return picked.recipe;
}

/** The changed files stay unsaved, and the first one is shown: what is written there goes to Git by the person. */
async function applyRecipe(repository: Repository, recipe: Recipe): Promise<void> {
  const edit = new vscode.WorkspaceEdit();
  const changed: vscode.TextDocument[] = [];
  for (const { file, text } of recipe.edits) {
    const uri = isAbsolute(file) ? vscode.Uri.file(file) : repository.uriOf(file);
    const document = await vscode.workspace.openTextDocument(uri);
    addNewText(edit, document, text);
    changed.push(document);
  }
  await apply(edit, 'open');
  const [first] = changed;
  const [firstEdit] = recipe.edits[0]?.edits ?? [];
  if (first === undefined || firstEdit === undefined) return;
  const at = first.positionAt(firstEdit.start);
  await vscode.window.showTextDocument(first, { selection: new vscode.Range(at, at) });
}
