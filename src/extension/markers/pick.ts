import * as vscode from 'vscode';
import type { TagList, TagReason } from '../../engine/markers/index.ts';
import { CancelledError, toFailure } from '../../engine/problems/index.ts';
import { withSignal } from './fetching.ts';
import type { Repository } from './repository.ts';
import { detailWords, tagsAge } from './words.ts';

interface TagItem extends vscode.QuickPickItem {
  readonly tag?: string;
}

export interface PickRequest {
  readonly repository: Repository;
  readonly image: string;
  readonly title: string;
  readonly current: string | undefined;
  readonly explain: (tags: TagList) => readonly TagReason[];
}

/**
 * Lets the person choose a tag: those the policy allows first, the selected one on top; the others with the reason they are
 * out. Known tags are shown at once; the registry is asked when none are known, or by the button. Throws CancelledError.
 */
export async function pickTag(request: PickRequest): Promise<string> {
  const { repository, image } = request;
  const pick = vscode.window.createQuickPick<TagItem>();
  const source = new vscode.CancellationTokenSource();
  const refresh: vscode.QuickInputButton = {
    iconPath: new vscode.ThemeIcon('refresh'),
    tooltip: vscode.l10n.t('Fetch the tags from the registry now'),
  };
  pick.matchOnDescription = true;
  pick.matchOnDetail = true;
  pick.buttons = [refresh];
  const show = () => {
    const known = repository.tags.of(image);
    pick.title = request.title;
    pick.placeholder =
      known === undefined
        ? vscode.l10n.t('Fetching the tags of {0}…', image)
        : `${image} (${tagsAge(known, Date.now())})`;
    if (known !== undefined) pick.items = itemsOf(request, known);
  };
  const fetch = async () => {
    pick.busy = true;
    try {
      const wanted = request.current === undefined ? [] : [request.current];
      await withSignal(source.token, (signal) => repository.tags.fetch(image, wanted, signal));
      repository.tagsChanged();
      show();
    } catch (error) {
      if (!source.token.isCancellationRequested) pick.placeholder = toFailure(error).message;
    } finally {
      pick.busy = false;
    }
  };
  try {
    return await new Promise<string>((resolve, reject) => {
      pick.onDidAccept(() => {
        const tag = pick.selectedItems[0]?.tag;
        if (tag !== undefined) resolve(tag);
      });
      pick.onDidTriggerButton(() => void fetch());
      pick.onDidHide(() => reject(new CancelledError()));
      show();
      pick.show();
      if (repository.tags.of(image) === undefined) void fetch();
    });
  } finally {
    source.cancel();
    source.dispose();
    pick.dispose();
  }
}

function itemsOf({ repository, current, explain }: PickRequest, list: TagList): readonly TagItem[] {
  const { markers } = repository;
  const now = Date.now();
  const order = new Map(markers.newestByName(list.tags).map((tag, at) => [tag, at]));
  const reasons = explain(list)
    .filter(({ tag }) => !markers.isHelperTag(tag))
    .toSorted((a, b) => rank(a) - rank(b) || (order.get(a.tag) ?? 0) - (order.get(b.tag) ?? 0));
  const item = ({ tag, reason, status }: TagReason): TagItem => ({
    label: `${status === 'selected' ? '$(star-full) ' : ''}${tag}`,
    description: [
      ...(tag === current ? [vscode.l10n.t('in the file now')] : []),
      detailWords(markers, list.details[tag], now),
    ]
      .filter((text) => text !== '')
      .join(' · '),
    ...(status === 'candidate' ? {} : { detail: reason }),
    tag,
  });
  const allowed = reasons.filter((one) => rank(one) < 2);
  const out = reasons.filter((one) => rank(one) === 2);
  const separator = (label: string): TagItem => ({ label, kind: vscode.QuickPickItemKind.Separator });
  return [
    ...(allowed.length === 0 ? [] : [separator(vscode.l10n.t('the policy allows')), ...allowed.map(item)]),
    ...(out.length === 0 ? [] : [separator(vscode.l10n.t('the policy would not choose')), ...out.map(item)]),
  ];
}

const rank = ({ status }: TagReason): number => (status === 'selected' ? 0 : status === 'candidate' ? 1 : 2);
