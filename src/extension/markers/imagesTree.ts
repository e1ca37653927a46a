import * as vscode from 'vscode';
import type { ImagePolicyObject, LinkedMarker, UpdaterTarget } from '../../engine/markers/index.ts';
import { Owner } from '../events.ts';
import { toTreeItem } from '../views/treeRow.ts';
import type { Workspace } from '../workspace.ts';
import { imagesContextKey, imagesViewId } from './ids.ts';
import { imageItem, markerItem, policyItem, tagItem, updaterItem } from './imageItems.ts';
import { toRange } from './lenses.ts';
import type { GitOpsModel } from './model.ts';
import type { Repository } from './repository.ts';
import { count } from './words.ts';

type Base = { readonly id: string; readonly repository: Repository };
export type ImageNode =
  | (Base & { readonly kind: 'image'; readonly image: string; readonly target: object })
  | (Base & { readonly kind: 'tags'; readonly image: string })
  | (Base & { readonly kind: 'tag'; readonly image: string; readonly tag: string })
  | (Base & { readonly kind: 'policy'; readonly policy: ImagePolicyObject; readonly target: object })
  | (Base & { readonly kind: 'marker'; readonly linked: LinkedMarker; readonly target: object })
  | (Base & { readonly kind: 'updater'; readonly updater: UpdaterTarget; readonly target: object })
  /** A policy whose image is not known has no image to stand under. */
  | (Base & { readonly kind: 'orphans' });

/** Tags listed under an image, newest first; Why and Pick show all. */
const MOST_TAGS = 50;
/** With more images than these they start folded. */
const MOST_OPEN = 8;
const TICK_MS = 60_000;

/** Image → its policies with their markers, Applications of Image Updater, tags. Renders the model; asks nobody. */
export class ImagesTree extends Owner implements vscode.TreeDataProvider<ImageNode> {
  readonly #model: GitOpsModel;
  readonly #workspace: Workspace;
  readonly #changed = this.own(new vscode.EventEmitter<ImageNode | undefined>());
  readonly onDidChangeTreeData = this.#changed.event;
  readonly #view: vscode.TreeView<ImageNode>;
  readonly #updaters = new Map<Repository, readonly UpdaterTarget[]>();
  #timer: NodeJS.Timeout | undefined;

  constructor(model: GitOpsModel, workspace: Workspace) {
    super();
    this.#model = model;
    this.#workspace = workspace;
    void vscode.commands.executeCommand('setContext', imagesContextKey, 'loading');
    this.#view = this.own(
      vscode.window.createTreeView<ImageNode>(imagesViewId, { treeDataProvider: this, showCollapseAll: true }),
    );
    this.own(this.#view.onDidChangeVisibility(() => this.#onVisibility()));
    this.own(model.onDidChange(() => void this.#refresh()));
    this.own(
      workspace.onDidChange(({ kind }) => {
        if (kind === 'project' && model.repositories.length > 0) void this.#refresh();
      }),
    );
    this.own({ dispose: () => clearTimeout(this.#timer) });
    this.#onVisibility();
  }

  async getChildren(node?: ImageNode): Promise<ImageNode[]> {
    if (node === undefined)
      return this.#model.repositories.filter(({ isReady }) => isReady).flatMap((one) => this.#images(one));
    const { repository } = node;
    switch (node.kind) {
      case 'image': {
        const policies = repository.index
          .objectsOf('ImagePolicy')
          .filter((policy) => repository.index.repositoryOf(policy)?.image === node.image)
          .map((policy) => this.#policy(repository, policy));
        const updaters = this.#updatersOf(node).map((updater): ImageNode => updaterNode(repository, updater));
        const hasTags = repository.tags.of(node.image) !== undefined;
        const tags: ImageNode[] = hasTags
          ? [{ kind: 'tags', id: `${node.id}/tags`, repository, image: node.image }]
          : [];
        return [...policies, ...updaters, ...tags];
      }
      case 'tags': {
        const list = repository.tags.of(node.image);
        const { newestByName, isHelperTag } = repository.markers;
        return newestByName((list?.tags ?? []).filter((tag) => !isHelperTag(tag)))
          .slice(0, MOST_TAGS)
          .map((tag) => ({ kind: 'tag', id: `${node.id}/${tag}`, repository, image: node.image, tag }));
      }
      case 'policy':
        return repository.linkedOf(node.policy).map((linked) => markerNode(repository, linked));
      case 'orphans':
        return orphans(repository).map((policy) => this.#policy(repository, policy));
      default:
        return [];
    }
  }

  getTreeItem(node: ImageNode): vscode.TreeItem {
    const now = Date.now();
    const { repository } = node;
    const { markers, tags, index } = repository;
    const { Collapsed, None, Expanded } = vscode.TreeItemCollapsibleState;
    switch (node.kind) {
      case 'image': {
        const linked = repository.linkedTo(node.image);
        const behind = linked.filter((one) => repository.stateOf(one).kind === 'behind').length;
        const item = imageItem(node.image, { list: tags.of(node.image), behind, from: this.#sources(node) }, now);
        const hasPolicies = index.objectsOf('ImagePolicy').some((one) => index.repositoryOf(one)?.image === node.image);
        const hasMore = tags.of(node.image) !== undefined || this.#updatersOf(node).length > 0;
        if (!hasPolicies && !hasMore) return toTreeItem(item, node.id, None);
        const isFew = index.objectsOf('ImageRepository').length <= MOST_OPEN;
        return toTreeItem(item, node.id, hasPolicies && isFew ? Expanded : Collapsed);
      }
      case 'tags': {
        const list = tags.of(node.image);
        const shown = Math.min(MOST_TAGS, list?.tags.length ?? 0);
        const row = new vscode.TreeItem(vscode.l10n.t('Tags'), Collapsed);
        row.id = node.id;
        row.iconPath = new vscode.ThemeIcon('list-flat');
        row.description =
          shown < (list?.tags.length ?? 0)
            ? vscode.l10n.t('the newest {0} of {1}', shown, list?.tags.length ?? 0)
            : String(shown);
        row.contextValue = 'tags';
        return row;
      }
      case 'tag': {
        const list = tags.of(node.image);
        if (list === undefined) return new vscode.TreeItem(node.tag, None);
        const policies = index.objectsOf('ImagePolicy').filter((policy) => {
          if (index.repositoryOf(policy)?.image !== node.image) return false;
          const state = markers.policyState(index, policy, (image) => tags.of(image));
          return state.kind === 'selected' && state.tag === node.tag;
        });
        const usedBy = repository.linkedTo(node.image).filter((one) => markers.tagOf(one.marker) === node.tag).length;
        const selectedBy = policies.map((policy) => markers.policyName(policy));
        return toTreeItem(tagItem(markers, node.tag, list, { selectedBy, usedBy }, now), node.id, None);
      }
      case 'policy': {
        const state = markers.policyState(index, node.policy, (image) => tags.of(image));
        const linked = repository.linkedOf(node.policy).length;
        const behind = repository.behind(node.policy).length;
        const item = policyItem(markers, node.policy, state, { markers: linked, behind }, now);
        const row = toTreeItem(
          item,
          node.id,
          linked === 0 ? None : behind > 0 && linked <= MOST_OPEN ? Expanded : Collapsed,
        );
        row.command = openCommand(node.policy.place);
        return row;
      }
      case 'marker': {
        const row = toTreeItem(markerItem(markers, node.linked, repository.stateOf(node.linked)), node.id, None);
        row.command = openCommand(node.linked.place);
        return row;
      }
      case 'updater': {
        const { updater } = node;
        const row = toTreeItem(updaterItem(markers, updater, tags.of(updater.image.image), now), node.id, None);
        row.command = openCommand({ file: repository.uriOf(updater.file).fsPath, range: updater.range });
        return row;
      }
      case 'orphans': {
        const row = new vscode.TreeItem(vscode.l10n.t('Policies without a known image'), Collapsed);
        row.id = node.id;
        row.iconPath = new vscode.ThemeIcon('question');
        row.description = String(orphans(repository).length);
        return row;
      }
    }
  }

  #images(repository: Repository): ImageNode[] {
    const { top, index } = repository;
    const ours = this.#workspace.roots
      .filter(({ folder }) => repository.folders.some((one) => one.uri.toString() === folder.uri.toString()))
      .flatMap(({ project }) => project?.images.map((image) => image.repository) ?? []);
    const images = [
      ...new Set([
        ...ours,
        ...index.objectsOf('ImageRepository').flatMap(({ image }) => image ?? []),
        ...(this.#updaters.get(repository) ?? []).map(({ image }) => image.image),
      ]),
    ].toSorted();
    const rows = images.map(
      (image): ImageNode => ({
        kind: 'image',
        id: `${top}#${image}`,
        repository,
        image,
        target: { repository: top, image },
      }),
    );
    return orphans(repository).length === 0 ? rows : [...rows, { kind: 'orphans', id: `${top}#orphans`, repository }];
  }

  #updatersOf({ repository, image }: Extract<ImageNode, { kind: 'image' }>): readonly UpdaterTarget[] {
    return (this.#updaters.get(repository) ?? []).filter((one) => one.image.image === image);
  }

  #sources({ repository, image }: Extract<ImageNode, { kind: 'image' }>): readonly string[] {
    const objects = repository.index.objectsOf('ImageRepository').filter((one) => one.image === image);
    return objects.map(({ name, namespace, interval }) => {
      const often = interval === undefined ? '' : `, scanned every ${interval}`;
      return `ImageRepository ${namespace === undefined ? name : `${namespace}/${name}`}${often}`;
    });
  }

  #policy(repository: Repository, policy: ImagePolicyObject): ImageNode {
    const { namespace, name } = policy;
    return {
      kind: 'policy',
      id: `${repository.top}#policy/${namespace ?? ''}/${name}/${policy.place.file}`,
      repository,
      policy,
      target: { repository: repository.top, policy: { namespace, name } },
    };
  }

  async #refresh(): Promise<void> {
    for (const repository of this.#updaters.keys()) {
      if (!this.#model.repositories.includes(repository)) this.#updaters.delete(repository);
    }
    for (const repository of this.#model.repositories) {
      if (repository.isReady) this.#updaters.set(repository, await updatersOf(repository));
    }
    if (this.isDisposed) return;
    this.#badge();
    const isReady = this.#model.repositories.every((repository) => repository.isReady);
    const rows = await this.getChildren();
    const state = rows.length > 0 ? 'ready' : isReady ? 'none' : 'loading';
    void vscode.commands.executeCommand('setContext', imagesContextKey, state);
    this.#changed.fire(undefined);
  }

  #badge(): void {
    const behind = this.#model.repositories
      .filter(({ isReady }) => isReady)
      .flatMap((repository) =>
        repository.allLinked().filter((linked) => repository.stateOf(linked).kind === 'behind'),
      ).length;
    this.#view.badge = behind === 0 ? undefined : { value: behind, tooltip: `${count(behind, 'tag')} to bump` };
  }

  #onVisibility(): void {
    clearTimeout(this.#timer);
    if (!this.#view.visible || this.isDisposed) return;
    void this.#model.open().then((repositories) => {
      if (repositories.length === 0) void vscode.commands.executeCommand('setContext', imagesContextKey, 'none');
    });
    void this.#workspace.show();
    // Ages grow only while somebody looks.
    this.#timer = setTimeout(() => {
      this.#changed.fire(undefined);
      this.#onVisibility();
    }, TICK_MS);
    this.#timer.unref();
  }
}

const orphans = ({ index }: Repository): readonly ImagePolicyObject[] =>
  index.objectsOf('ImagePolicy').filter((policy) => index.repositoryOf(policy)?.image === undefined);

async function updatersOf(repository: Repository): Promise<readonly UpdaterTarget[]> {
  const objects = [...repository.index.objectsOf('Application'), ...repository.index.objectsOf('ImageUpdater')];
  const files = new Set(objects.map(({ source }) => repository.fileOfPath(source.file)));
  return (await Promise.all([...files].map((file) => repository.updaterTargets(file)))).flat();
}

function markerNode(repository: Repository, linked: LinkedMarker): ImageNode {
  const address = repository.markers.addressOf(linked.marker);
  return {
    kind: 'marker',
    id: `${repository.top}#marker/${linked.file}/${address.setter}/${JSON.stringify(address.path)}`,
    repository,
    linked,
    target: { uri: repository.uriOf(linked.file).toString(), address },
  };
}

function updaterNode(repository: Repository, updater: UpdaterTarget): ImageNode {
  const { image, app, file } = updater;
  return {
    kind: 'updater',
    id: `${repository.top}#updater/${file}/${app.name}/${image.alias ?? ''}/${image.image}`,
    repository,
    updater,
    target: { repository: repository.top, file, app: app.name, updaterImage: image.image, alias: image.alias },
  };
}

function openCommand(place: LinkedMarker['place']): vscode.Command {
  const selection = toRange(place.range);
  return {
    command: 'vscode.open',
    title: vscode.l10n.t('Open'),
    arguments: [
      vscode.Uri.file(place.file),
      { selection: selection && new vscode.Range(selection.start, selection.start), preview: true },
    ],
  };
}
