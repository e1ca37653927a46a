import * as vscode from 'vscode';
import type { ImagePolicyObject, LinkedMarker, MarkerAddress, UpdaterTarget } from '../../engine/markers/index.ts';
import { CancelledError, SlipwayError } from '../../engine/problems/index.ts';
import type { GitOpsModel } from './model.ts';
import type { Repository } from './repository.ts';

/** One marker, as lenses, rows and keybindings name it. */
export interface MarkerTarget {
  readonly uri: string;
  readonly address: MarkerAddress;
}

export interface PolicyTarget {
  /** Top folder of its repository. */
  readonly repository: string;
  readonly policy: { readonly namespace: string | undefined; readonly name: string };
}

export interface ImageTarget {
  readonly repository: string;
  readonly image: string;
}

/** An image that Argo CD Image Updater looks after. */
export interface UpdaterCommandTarget {
  readonly repository: string;
  readonly file: string;
  readonly app: string;
  readonly updaterImage: string;
  readonly alias: string | undefined;
}

/** What a command of this part is about, found again in the files as they are now. */
export type Found =
  | { readonly kind: 'marker'; readonly repository: Repository; readonly file: string; readonly linked: LinkedMarker }
  | { readonly kind: 'policy'; readonly repository: Repository; readonly policy: ImagePolicyObject }
  | { readonly kind: 'image'; readonly repository: Repository; readonly image: string }
  | { readonly kind: 'updater'; readonly repository: Repository; readonly target: UpdaterTarget };

/** Reads an argument of a lens, a row or a keybinding; undefined when it names nothing of this part. */
export async function find(model: GitOpsModel, argument: unknown): Promise<Found | undefined> {
  if (typeof argument !== 'object' || argument === null) return undefined;
  const given = argument as Partial<MarkerTarget & PolicyTarget & ImageTarget & UpdaterCommandTarget> & {
    readonly target?: unknown;
  };
  // A row of the tree carries its target.
  if (given.target !== undefined) return find(model, given.target);
  if (typeof given.uri === 'string' && given.address !== undefined) {
    const uri = vscode.Uri.parse(given.uri, true);
    const repository = await model.of(uri);
    if (repository === undefined) return undefined;
    await repository.open();
    const file = repository.sync(await vscode.workspace.openTextDocument(uri));
    return file === undefined ? undefined : markerIn(repository, file, given.address);
  }
  const repositories = await model.ready();
  const repository =
    repositories.find(({ top }) => top === given.repository) ??
    (repositories.length === 1 ? repositories[0] : undefined);
  if (repository === undefined) return undefined;
  if (given.updaterImage !== undefined && given.file !== undefined) {
    const targets = await repository.updaterTargets(given.file);
    const target = targets.find(
      ({ app, image }) => app.name === given.app && image.image === given.updaterImage && image.alias === given.alias,
    );
    return target && { kind: 'updater', repository, target };
  }
  if (given.policy !== undefined) {
    const { namespace, name } = given.policy;
    const policy = repository.index
      .objectsOf('ImagePolicy')
      .find((one) => one.name === name && (namespace === undefined || one.namespace === namespace));
    return policy && { kind: 'policy', repository, policy };
  }
  return typeof given.image === 'string' ? { kind: 'image', repository, image: given.image } : undefined;
}

function markerIn(repository: Repository, file: string, address: MarkerAddress): Found {
  const marker = repository.markers.findAddressed(repository.index.markersOf(file), address);
  const linked = repository.index.linked(file).find((one) => one.marker === marker);
  if (linked !== undefined) return { kind: 'marker', repository, file, linked };
  throw new SlipwayError({
    reason: 'usage',
    code: 'gitops.marker-moved',
    message: vscode.l10n.t('{0} has no marker {1} any more.', file, address.setter),
    fix: vscode.l10n.t('Look at the file again.'),
    place: { file: repository.uriOf(file).fsPath },
  });
}

/** The marker at the cursor, else the one picked. Throws SlipwayError when there is none. */
export async function pickMarker(model: GitOpsModel, title: string): Promise<Extract<Found, { kind: 'marker' }>> {
  const editor = vscode.window.activeTextEditor;
  const here = editor === undefined ? undefined : await model.of(editor.document.uri);
  if (editor !== undefined && here !== undefined) {
    await here.open();
    const file = here.sync(editor.document);
    const line = editor.selection.active.line;
    const linked =
      file === undefined
        ? undefined
        : here.index.linked(file).find(({ marker, place }) => {
            const first = editor.document.positionAt(marker.value.start).line;
            return line === first || line === place.range?.start.line;
          });
    if (file !== undefined && linked !== undefined) return { kind: 'marker', repository: here, file, linked };
  }
  const repositories = await model.ready();
  const items = repositories.flatMap((repository) =>
    repository.index.filesWithMarkers.flatMap((file) =>
      repository.index.linked(file).map((linked) => ({
        label: `${linked.marker.setter.namespace}:${linked.marker.setter.policy}`,
        description: repository.markers.shortValue(linked.marker),
        detail: `${file}:${(linked.place.range?.start.line ?? 0) + 1}`,
        found: { kind: 'marker', repository, file, linked } as const,
      })),
    ),
  );
  if (items.length === 0) {
    throw new SlipwayError({
      reason: 'usage',
      code: 'gitops.no-markers',
      message: vscode.l10n.t('There is no $imagepolicy marker in this workspace.'),
      fix: vscode.l10n.t('Put # {"$imagepolicy": "<namespace>:<policy>"} behind an image.'),
    });
  }
  const picked = await vscode.window.showQuickPick(items, { title, matchOnDescription: true, matchOnDetail: true });
  if (picked === undefined) throw new CancelledError();
  return picked.found;
}
