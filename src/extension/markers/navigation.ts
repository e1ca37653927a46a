import * as vscode from 'vscode';
import type { GitOpsObject, ImagePolicyObject, ImageRepositoryObject } from '../../engine/markers/index.ts';
import type { Place } from '../../engine/problems/index.ts';
import { Owner } from '../events.ts';
import { addEdits } from './edits.ts';
import { toRange, yamlFiles } from './lenses.ts';
import { type GitOpsModel, isOfInterest } from './model.ts';
import type { Repository } from './repository.ts';

/** What the cursor stands on: a policy or an image repository, by its own name or by a name that leads to it. */
type Named = { readonly repository: Repository; readonly range: vscode.Range; readonly name: string } & (
  | { readonly kind: 'policy'; readonly policy: ImagePolicyObject }
  | { readonly kind: 'image-repository'; readonly object: ImageRepositoryObject }
);

/** Go to definition, find references and rename between markers, ImagePolicy and ImageRepository. */
export class MarkerNavigation
  extends Owner
  implements vscode.DefinitionProvider, vscode.ReferenceProvider, vscode.RenameProvider
{
  readonly #model: GitOpsModel;

  constructor(model: GitOpsModel) {
    super();
    this.#model = model;
    this.own(vscode.languages.registerDefinitionProvider(yamlFiles, this));
    this.own(vscode.languages.registerReferenceProvider(yamlFiles, this));
    this.own(vscode.languages.registerRenameProvider(yamlFiles, this));
  }

  async provideDefinition(
    document: vscode.TextDocument,
    position: vscode.Position,
  ): Promise<vscode.DefinitionLink[] | undefined> {
    const named = await this.#namedAt(document, position);
    if (named === undefined) return undefined;
    const { place } = named.kind === 'policy' ? named.policy : named.object;
    const targetRange = toRange(place.range);
    if (targetRange === undefined) return undefined;
    return [{ originSelectionRange: named.range, targetUri: vscode.Uri.file(place.file), targetRange }];
  }

  async provideReferences(
    document: vscode.TextDocument,
    position: vscode.Position,
    { includeDeclaration }: vscode.ReferenceContext,
  ): Promise<vscode.Location[] | undefined> {
    const named = await this.#namedAt(document, position);
    if (named === undefined) return undefined;
    const { place } = named.kind === 'policy' ? named.policy : named.object;
    const places = [...(includeDeclaration ? [place] : []), ...usesOf(named)];
    return places.flatMap((one) => {
      const range = toRange(one.range);
      return range === undefined ? [] : [new vscode.Location(vscode.Uri.file(one.file), range)];
    });
  }

  async prepareRename(
    document: vscode.TextDocument,
    position: vscode.Position,
  ): Promise<{ readonly range: vscode.Range; readonly placeholder: string }> {
    const named = await this.#namedAt(document, position);
    // Other extensions rename other things in YAML; VS Code asks the next one when this one refuses.
    if (named === undefined)
      throw new Error(vscode.l10n.t('Only image policies, image repositories and markers can be renamed.'));
    return { range: named.range, placeholder: named.name };
  }

  async provideRenameEdits(
    document: vscode.TextDocument,
    position: vscode.Position,
    next: string,
  ): Promise<vscode.WorkspaceEdit | undefined> {
    const named = await this.#namedAt(document, position);
    if (named === undefined) return undefined;
    if (!/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(next) || next.length > 253) {
      throw new Error(vscode.l10n.t('"{0}" is no name of a Kubernetes object: a-z, 0-9, "-" and "." only.', next));
    }
    const edit = new vscode.WorkspaceEdit();
    const { repository } = named;
    const object = named.kind === 'policy' ? named.policy : named.object;
    await setText(repository, edit, object, ['metadata', 'name'], next);
    if (named.kind === 'policy') {
      const namespaces = new Set(repository.linkedOf(named.policy).map(({ marker }) => marker.setter.namespace));
      for (const namespace of namespaces) {
        const edits = repository.index.renameEdits(namespace, named.policy.name, next);
        for (const [file, list] of edits) {
          addEdits(edit, await vscode.workspace.openTextDocument(repository.uriOf(file)), list);
        }
      }
    } else {
      for (const policy of policiesOf(named.repository, named.object)) {
        await setText(repository, edit, policy, ['spec', 'imageRepositoryRef', 'name'], next);
      }
    }
    return edit;
  }

  async #namedAt(document: vscode.TextDocument, position: vscode.Position): Promise<Named | undefined> {
    if (!isOfInterest(document.getText())) return undefined;
    const repository = await this.#model.of(document.uri);
    if (repository === undefined) return undefined;
    await repository.open();
    const file = repository.sync(document);
    if (file === undefined) return undefined;
    const at = document.offsetAt(position);
    for (const { marker, policy } of repository.index.linked(file)) {
      const { comment, setterSpan, setter } = marker;
      if (policy === undefined || at < comment.start || at > comment.end) continue;
      const start = setterSpan === undefined ? undefined : setterSpan.start + setter.namespace.length + 1;
      const range =
        start === undefined
          ? new vscode.Range(document.positionAt(comment.start), document.positionAt(comment.end))
          : new vscode.Range(document.positionAt(start), document.positionAt(start + setter.policy.length));
      return { kind: 'policy', repository, policy, range, name: policy.name };
    }
    for (const object of repository.index.objectsIn(file)) {
      if (object.kind !== 'ImagePolicy' && object.kind !== 'ImageRepository') continue;
      const own = toRange(object.place.range);
      if (own?.contains(position) === true) {
        return object.kind === 'ImagePolicy'
          ? { kind: 'policy', repository, policy: object, range: own, name: object.name }
          : { kind: 'image-repository', repository, object, range: own, name: object.name };
      }
      if (object.kind !== 'ImagePolicy') continue;
      const reference = toRange(referencePlace(repository, object).range);
      const target = repository.index.repositoryOf(object);
      if (target !== undefined && reference?.contains(position) === true)
        return { kind: 'image-repository', repository, object: target, range: reference, name: target.name };
    }
    return undefined;
  }
}

const referencePlace = ({ markers }: Repository, policy: ImagePolicyObject): Place =>
  markers.placeAt(policy.source, ['spec', 'imageRepositoryRef', 'name']);

const policiesOf = ({ index }: Repository, object: ImageRepositoryObject): readonly ImagePolicyObject[] =>
  index.objectsOf('ImagePolicy').filter((policy) => index.repositoryOf(policy) === object);

function usesOf(named: Named): readonly Place[] {
  const { repository } = named;
  if (named.kind === 'policy') return repository.linkedOf(named.policy).map(({ place }) => place);
  return policiesOf(repository, named.object).map((policy) => referencePlace(repository, policy));
}

/** Sets one text of an object in its document as it is now, keeping its quotes. */
async function setText(
  repository: Repository,
  edit: vscode.WorkspaceEdit,
  object: GitOpsObject,
  path: readonly string[],
  text: string,
): Promise<void> {
  const document = await vscode.workspace.openTextDocument(vscode.Uri.file(object.source.file));
  repository.sync(document);
  const edits = repository.markers.setValue(document.getText(), object.source, path, { text });
  if (edits === undefined) {
    throw new Error(
      vscode.l10n.t('The name in {0} is written so that it cannot be changed on its own.', document.fileName),
    );
  }
  addEdits(edit, document, edits);
}
