/** All markers and objects of a repository, kept up to date file by file, and what is wrong between them. */
import type { Diagnostic, Place } from '../problems/index.ts';
import type { TextEdit } from './edit.ts';
import { isScannedName, PieceCache } from './file.ts';
import type { Marker } from './marker.ts';
import { diagnosticsOf, type LinkedMarker, type LinkedMarkers } from './markerDiagnostics.ts';
import { type FileMarkers, findMarkers } from './markers.ts';
import {
  type AutomationObject,
  coversFile,
  type GitOpsObject,
  type ImagePolicyObject,
  type ImageRepositoryObject,
  mayHoldObjects,
  readObjects,
  selectsLabels,
} from './objects.ts';
import { CompiledPolicy, compilePolicy, defaultExclusionList, type PolicyRules } from './policy.ts';
import { Lines } from './positions.ts';
import type { PolicyError } from './selection.ts';
import { mapAt, readYamlObjects, textAt } from './yaml.ts';

interface Entry {
  readonly text: string;
  readonly hasMarkers: boolean;
  readonly hasObjects: boolean;
  readonly cache: PieceCache;
  markers?: FileMarkers;
  lines?: Lines;
  linked?: { readonly by: Linkage; readonly markers: readonly LinkedMarker[] };
  objects?: readonly GitOpsObject[];
  objectsNamespace?: string | undefined;
}

interface PolicyFacts {
  readonly repository: ImageRepositoryObject | undefined;
  readonly rules: PolicyRules;
  readonly compiled: CompiledPolicy | PolicyError;
}

interface Linkage {
  readonly objects: readonly GitOpsObject[];
  readonly byKind: ReadonlyMap<string, readonly GitOpsObject[]>;
  readonly byFile: ReadonlyMap<string, readonly GitOpsObject[]>;
  readonly policies: ReadonlyMap<string, readonly ImagePolicyObject[]>;
  readonly compiled: Map<ImagePolicyObject, PolicyFacts>;
}

/**
 * Files are paths relative to the root of the Git repository with `/` between parts; `toAbsolute` turns them into what
 * places carry. Texts are read when somebody asks, and only those that mention a marker or an object.
 */
export class MarkerIndex implements LinkedMarkers {
  readonly #toAbsolute: (file: string) => string;
  readonly #files = new Map<string, Entry>();
  readonly #namespaces = new Map<string, string | undefined>();
  #linked: Linkage | undefined;
  #used: ReadonlySet<string> | undefined;

  constructor(toAbsolute: (file: string) => string = (file) => file) {
    this.#toAbsolute = toAbsolute;
  }

  /** Takes a file's current text. Cheap: the text is searched for two words, not read. */
  update(file: string, text: string): void {
    const isKustomization = /(?:^|\/)(?:kustomization\.ya?ml|Kustomization)$/.test(file);
    const hasMarkers = isScannedName(file) && /\$imagepolicy/i.test(text);
    const hasObjects = mayHoldObjects(text) && /\.ya?ml$/i.test(file);
    const old = this.#files.get(file);
    if (isKustomization) {
      this.#namespaces.set(folderOf(file), namespaceOf(text, file));
      this.#linked = undefined;
    }
    if (hasObjects || old?.hasObjects === true) this.#linked = undefined;
    this.#used = undefined;
    if (hasMarkers || hasObjects)
      this.#files.set(file, { text, hasMarkers, hasObjects, cache: old?.cache ?? new PieceCache() });
    else this.#files.delete(file);
  }

  remove(file: string): void {
    if (this.#files.get(file)?.hasObjects === true) this.#linked = undefined;
    this.#namespaces.delete(folderOf(file));
    this.#used = undefined;
    this.#files.delete(file);
  }

  /** Files that hold a marker or an object: all that {@link diagnostics} can say something about. */
  get files(): readonly string[] {
    return [...this.#files.keys()];
  }

  /** The text as it was given last; undefined for a file without markers and objects. */
  textOf(file: string): string | undefined {
    return this.#files.get(file)?.text;
  }

  /** The objects of one file. */
  objectsIn(file: string): readonly GitOpsObject[] {
    return this.#linkage().byFile.get(this.#toAbsolute(file)) ?? [];
  }

  get filesWithMarkers(): readonly string[] {
    return [...this.#files].filter(([, { hasMarkers }]) => hasMarkers).map(([file]) => file);
  }

  markersOf(file: string): FileMarkers {
    const entry = this.#files.get(file);
    if (entry === undefined || !entry.hasMarkers) return { markers: [], dead: [], shape: 'documents' };
    entry.markers ??= findMarkers(entry.text, file, entry.cache);
    return entry.markers;
  }

  get objects(): readonly GitOpsObject[] {
    return this.#linkage().objects;
  }

  objectsOf<Kind extends GitOpsObject['kind']>(kind: Kind): readonly Extract<GitOpsObject, { kind: Kind }>[] {
    return (this.#linkage().byKind.get(kind) ?? []) as readonly Extract<GitOpsObject, { kind: Kind }>[];
  }

  /** Reads one file ahead of the first question about it, so that a caller can spread the work over time. */
  warm(file: string): void {
    const entry = this.#files.get(file);
    if (entry === undefined) return;
    this.markersOf(file);
    this.#objectsOfEntry(file, entry);
  }

  #objectsOfEntry(file: string, entry: Entry): readonly GitOpsObject[] {
    if (!entry.hasObjects) return [];
    const namespace = this.#namespaces.get(folderOf(file));
    if (entry.objects === undefined || entry.objectsNamespace !== namespace) {
      entry.objects = readObjects(entry.text, this.#toAbsolute(file), namespace);
      entry.objectsNamespace = namespace;
    }
    return entry.objects;
  }

  /** Everything derived from all objects; made once until one of them changes. */
  #linkage(): Linkage {
    if (this.#linked !== undefined) return this.#linked;
    const objects = [...this.#files].flatMap(([file, entry]) => this.#objectsOfEntry(file, entry));
    const policies = objects.filter((object) => object.kind === 'ImagePolicy');
    this.#linked = {
      objects,
      byKind: Map.groupBy(objects, ({ kind }) => kind),
      byFile: Map.groupBy(objects, ({ source }) => source.file),
      policies: Map.groupBy(policies, ({ name }) => name),
      compiled: new Map(),
    };
    return this.#linked;
  }

  policy(namespace: string, name: string): ImagePolicyObject | undefined {
    return this.#linkage()
      .policies.get(name)
      ?.find((one) => (one.namespace ?? namespace) === namespace);
  }

  repositoryOf(policy: ImagePolicyObject): ImageRepositoryObject | undefined {
    return this.#policyFacts(policy).repository;
  }

  #policyFacts(policy: ImagePolicyObject): PolicyFacts {
    const { compiled } = this.#linkage();
    const known = compiled.get(policy);
    if (known !== undefined) return known;
    const { repository: wanted } = policy;
    const repository =
      wanted === undefined
        ? undefined
        : this.objectsOf('ImageRepository').find(
            ({ name, namespace }) =>
              name === wanted.name &&
              (namespace === undefined || wanted.namespace === undefined || namespace === wanted.namespace),
          );
    const rules: PolicyRules = {
      policy: policy.policy,
      ...(policy.filterTags !== undefined && { filterTags: policy.filterTags }),
      exclusionList: repository?.exclusionList ?? defaultExclusionList,
    };
    const facts: PolicyFacts = { repository, rules, compiled: compilePolicy(rules) };
    compiled.set(policy, facts);
    return facts;
  }

  /** What the policy selects by: its own rules and its repository's exclusion list. */
  rulesOf(policy: ImagePolicyObject): PolicyRules {
    return this.#policyFacts(policy).rules;
  }

  /** The rules ready to run, or why Flux cannot use them. */
  compiledOf(policy: ImagePolicyObject): CompiledPolicy | PolicyError {
    return this.#policyFacts(policy).compiled;
  }

  /** The automations that act on a policy and, when a file is given, on that file. Suspended ones are among them. */
  automationsFor(policy: ImagePolicyObject, file?: string): readonly AutomationObject[] {
    return this.objectsOf('ImageUpdateAutomation').filter(
      (one) =>
        (one.namespace === undefined || policy.namespace === undefined || one.namespace === policy.namespace) &&
        selects(one, policy) &&
        (file === undefined || coversFile(one.path, file)),
    );
  }

  /** The markers of a file with what they lead to. The same objects until a file with objects or this file changes. */
  linked(file: string): readonly LinkedMarker[] {
    const entry = this.#files.get(file);
    if (entry === undefined) return [];
    const by = this.#linkage();
    if (entry.linked?.by !== by) entry.linked = { by, markers: this.#link(file) };
    return entry.linked.markers;
  }

  #link(file: string): readonly LinkedMarker[] {
    return this.markersOf(file).markers.map((marker) => {
      const policy = this.policy(marker.setter.namespace, marker.setter.policy);
      return {
        file,
        marker,
        place: this.placeOf(file, marker.comment.start, marker.comment.end),
        policy,
        repository: policy === undefined ? undefined : this.repositoryOf(policy),
        automations: policy === undefined ? [] : this.automationsFor(policy, file),
        verdict: policy === undefined ? undefined : this.#judge(marker, policy),
      };
    });
  }

  /** Every marker that names the policy, for references and rename. */
  markersNaming(namespace: string, policy: string): readonly { readonly file: string; readonly marker: Marker }[] {
    return this.filesWithMarkers.flatMap((file) =>
      this.markersOf(file)
        .markers.filter(({ setter }) => setter.namespace === namespace && setter.policy === policy)
        .map((marker) => ({ file, marker })),
    );
  }

  /** Edits, file by file, that make every marker of a policy name another one: for renaming an ImagePolicy. */
  renameEdits(namespace: string, policy: string, next: string): ReadonlyMap<string, readonly TextEdit[]> {
    const edits = this.markersNaming(namespace, policy).flatMap(({ file, marker: { setter, setterSpan } }) => {
      if (setterSpan === undefined) return [];
      const start = setterSpan.start + setter.namespace.length + 1;
      return [{ file, edit: { start, end: start + policy.length, text: next } }];
    });
    const grouped = Map.groupBy(edits, ({ file }) => file);
    return new Map([...grouped].map(([file, list]) => [file, list.map(({ edit }) => edit)]));
  }

  #judge(marker: Marker, policy: ImagePolicyObject): LinkedMarker['verdict'] {
    const { name, tag } = marker.parts;
    const image = this.repositoryOf(policy)?.image;
    if (name !== undefined && image !== undefined && name !== image) {
      return { isAllowed: false, reason: `the image is ${name}, but the policy's repository is ${image}` };
    }
    if (tag === undefined) return undefined;
    const compiled = this.compiledOf(policy);
    if (!(compiled instanceof CompiledPolicy)) return undefined;
    const { status, reason } = compiled.judge(tag);
    return { isAllowed: status === 'candidate', reason };
  }

  #lines(file: string): Lines | undefined {
    const entry = this.#files.get(file);
    if (entry === undefined) return undefined;
    entry.lines ??= new Lines(entry.text);
    return entry.lines;
  }

  /** The place of a span of a file's text. */
  placeOf(file: string, start: number, end: number): Place {
    const range = this.#lines(file)?.rangeAt(start, end);
    return { file: this.#toAbsolute(file), ...(range !== undefined && { range }) };
  }

  /** What is wrong with the markers of one file and with the policies, repositories and automations in it. */
  diagnostics(file: string): readonly Diagnostic[] {
    return diagnosticsOf(this, file);
  }

  /** Policies that a marker somewhere names, as `namespace:name`. */
  get usedPolicies(): ReadonlySet<string> {
    this.#used ??= new Set(
      this.filesWithMarkers.flatMap((file) =>
        this.markersOf(file).markers.map(({ setter }) => `${setter.namespace}:${setter.policy}`),
      ),
    );
    return this.#used;
  }
}

function selects({ policySelector }: AutomationObject, policy: ImagePolicyObject): boolean {
  if (policySelector === undefined) return true;
  return selectsLabels(policySelector, mapAt(policy.source.root, ['metadata', 'labels']) ?? {});
}

const folderOf = (file: string): string => file.slice(0, Math.max(0, file.lastIndexOf('/')));

function namespaceOf(text: string, file: string): string | undefined {
  if (!text.includes('namespace')) return undefined;
  for (const { root } of readYamlObjects(text, file)) {
    const namespace = textAt(root, ['namespace']);
    if (namespace !== undefined && !(textAt(root, ['apiVersion']) ?? '').includes('toolkit')) return namespace;
  }
  return undefined;
}
