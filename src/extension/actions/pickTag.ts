import * as vscode from 'vscode';
import type { TagView } from '../../engine/main.ts';
import { CancelledError, isCancelled, toFailure } from '../../engine/problems/index.ts';
import type { EnvironmentConfig } from '../../engine/project/model.ts';
import { projectOf } from '../commands/target.ts';
import type { EngineLoader } from '../run/engineLoader.ts';
import { age, firstSentence } from '../words.ts';
import type { Root } from '../workspace.ts';

interface TagItem extends vscode.QuickPickItem {
  /** null: that of the present commit; `other`: one that is typed. */
  readonly choice?: { readonly tag: string | null } | 'other';
}

/** Tags that are offered of what runs of this workspace have published, and of the registry. */
const MOST = 20;

/**
 * The version to deploy: null = what is published for the present commit. Offers at once what runs of this workspace have
 * published, and adds what the registry has when it answers. `{ "tag": "v1.4.0" }` of a keybinding is taken as it is.
 */
export async function pickTag(
  loader: EngineLoader,
  root: Root,
  argument: unknown,
  environment: EnvironmentConfig,
): Promise<string | null> {
  const given = (argument as { readonly tag?: unknown } | undefined)?.tag;
  if (typeof given === 'string') return given;
  const own = publishedHere(root, environment.name);
  const first = deployedImage(environment) ?? (await projectOf(root)).images[0]?.name;
  const picked = await choose(environment, own, async (signal) =>
    first === undefined ? [] : (await loader.engine(root.path)).tags(first, MOST, signal),
  );
  return picked === 'other' ? typeTag(environment) : picked.tag;
}

function choose(
  environment: EnvironmentConfig,
  own: readonly TagItem[],
  ask: (signal: AbortSignal) => Promise<readonly TagView[]>,
): Promise<NonNullable<TagItem['choice']>> {
  const pick = vscode.window.createQuickPick<TagItem>();
  const stop = new AbortController();
  const show = (registry: readonly TagItem[]) => {
    const active = pick.activeItems[0]?.label;
    pick.items = [
      {
        label: vscode.l10n.t('This commit'),
        description: vscode.l10n.t('what has been published for it'),
        iconPath: new vscode.ThemeIcon('git-commit'),
        choice: { tag: null },
      },
      ...own,
      ...registry,
      { label: vscode.l10n.t('Another tag…'), iconPath: new vscode.ThemeIcon('edit'), choice: 'other' },
    ];
    // Somebody may be on the way through the list when the registry answers.
    const again = pick.items.find(({ label }) => label === active);
    if (again !== undefined) pick.activeItems = [again];
  };
  pick.title = vscode.l10n.t('Deploy to {0}', environment.name);
  pick.placeholder = vscode.l10n.t('Version');
  pick.ignoreFocusOut = true;
  pick.matchOnDescription = true;
  pick.busy = true;
  show([]);
  const known = new Set(own.map(({ label }) => label));
  ask(stop.signal)
    .then(
      (tags) => show(registryItems(tags.filter(({ tag }) => !known.has(tag)))),
      (error: unknown) => {
        if (!isCancelled(error)) show([separator(firstSentence(toFailure(error).message))]);
      },
    )
    .finally(() => {
      pick.busy = false;
    });
  return new Promise((resolve, reject) => {
    pick.onDidAccept(() => {
      const choice = pick.activeItems[0]?.choice;
      if (choice === undefined) return;
      resolve(choice);
      pick.hide();
    });
    pick.onDidHide(() => {
      stop.abort();
      pick.dispose();
      reject(new CancelledError());
    });
    pick.show();
  });
}

/** The image whose registry is asked: the first that the environment deploys. */
function deployedImage({ deploy }: EnvironmentConfig): string | undefined {
  if (deploy.kind === 'helm') return Object.keys(deploy.images)[0];
  return undefined;
}

function publishedHere(root: Root, environment: string): readonly TagItem[] {
  const seen = new Map<string, string>();
  for (const { view } of root.runs.list()) {
    for (const { tags } of view.published) {
      const tag = tags[0];
      if (tag !== undefined && !seen.has(tag)) seen.set(tag, view.startedAt);
    }
  }
  if (seen.size === 0) return [];
  const live = root.runs.latest(environment)?.view;
  const now = Date.now();
  return [
    separator(vscode.l10n.t('published from this folder')),
    ...[...seen].slice(0, MOST).map(
      ([tag, at]): TagItem => ({
        label: tag,
        description: [
          vscode.l10n.t('published {0}', age(at, now)),
          ...(live?.state === 'succeeded' && live.tag === tag ? [vscode.l10n.t('last verified')] : []),
        ].join(', '),
        iconPath: new vscode.ThemeIcon('tag'),
        choice: { tag },
      }),
    ),
  ];
}

function registryItems(tags: readonly TagView[]): readonly TagItem[] {
  if (tags.length === 0) return [];
  const now = Date.now();
  return [
    separator(vscode.l10n.t('in the registry')),
    ...tags.map(
      ({ tag, created, revision, platforms }): TagItem => ({
        label: tag,
        description: [
          ...(created === undefined ? [] : [vscode.l10n.t('built {0}', age(created, now))]),
          ...(revision === undefined ? [] : [vscode.l10n.t('commit {0}', revision.slice(0, 7))]),
          ...(platforms.length < 2 ? [] : [platforms.join(', ')]),
        ].join(', '),
        iconPath: new vscode.ThemeIcon('tag'),
        choice: { tag },
      }),
    ),
  ];
}

const separator = (label: string): TagItem => ({ label, kind: vscode.QuickPickItemKind.Separator });

async function typeTag(environment: EnvironmentConfig): Promise<string> {
  const typed = await vscode.window.showInputBox({
    title: vscode.l10n.t('Deploy to {0}', environment.name),
    prompt: vscode.l10n.t('A tag that is in the registry'),
    ignoreFocusOut: true,
    validateInput: (text) =>
      /^[\w][\w.-]{0,127}$/.test(text) ? undefined : vscode.l10n.t('Letters, digits, ".", "_" and "-", at most 128.'),
  });
  if (typed === undefined) throw new CancelledError();
  return typed;
}
