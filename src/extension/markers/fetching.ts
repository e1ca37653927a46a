import * as vscode from 'vscode';
import { isCancelled, toFailure } from '../../engine/problems/index.ts';
import type { Repository } from './repository.ts';

/** Asks the registry for an image's tags, cancellable, in the window's progress. Throws SlipwayError; CancelledError. */
export async function fetchTags(repository: Repository, image: string): Promise<void> {
  await vscode.window.withProgress(
    {
      location: vscode.ProgressLocation.Notification,
      title: vscode.l10n.t('Tags of {0}', image),
      cancellable: true,
    },
    async (_progress, token) => {
      await withSignal(token, (signal) => repository.tags.fetch(image, wantedTags(repository, image), signal));
    },
  );
  repository.tagsChanged();
}

/** Several images; one that fails does not stop the others. Returns what failed, in words. */
export async function fetchAll(repository: Repository, images: readonly string[]): Promise<readonly string[]> {
  const failed: string[] = [];
  await vscode.window.withProgress(
    { location: vscode.ProgressLocation.Notification, title: vscode.l10n.t('Fetching tags'), cancellable: true },
    async (progress, token) => {
      for (const image of images) {
        if (token.isCancellationRequested) return;
        progress.report({ message: image, increment: 100 / images.length });
        try {
          await withSignal(token, (signal) => repository.tags.fetch(image, wantedTags(repository, image), signal));
        } catch (error) {
          if (isCancelled(error)) return;
          failed.push(toFailure(error).message);
        }
        repository.tagsChanged();
      }
    },
  );
  return failed;
}

/** Tags to be looked at closely whatever their age: those in use. What is selected is found among the newest. */
function wantedTags(repository: Repository, image: string): readonly string[] {
  return repository.linkedTo(image).flatMap(({ marker }) => repository.markers.tagOf(marker) ?? []);
}

export async function withSignal<T>(
  token: vscode.CancellationToken,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const stop = new AbortController();
  const subscription = token.onCancellationRequested(() => stop.abort());
  if (token.isCancellationRequested) stop.abort();
  try {
    return await work(stop.signal);
  } finally {
    subscription.dispose();
  }
}
