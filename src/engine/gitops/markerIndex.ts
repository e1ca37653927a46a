/** All markers and objects of a repository, kept up to date file by file, and what is wrong between them. */
import type { Diagnostic, Place } from '../problems/index.ts';
import type { TextEdit } from './edit.ts';
import { isScannedName, PieceCache } from './file.ts';
import { takesApplication } from './imageUpdater.ts';
import { type FileMarkers, findMarkers, type Marker } from './markers.ts';
import {
  type AutomationObject,
  coversFile,
  type GitOpsObject,
  type ImagePolicyObject,
  type ImageRepositoryObject,
  type ImageUpdaterObject,
  mayHoldObjects,
  readObjects,
  selectsLabels,
} from './objects.ts';
import { CompiledPolicy, compilePolicy, defaultExclusionList, type PolicyRules } from './policy.ts';
import { Lines } from './positions.ts';
import { formatReference, whyInvalidReference } from './reference.ts';
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

/** A marker with what it leads to. */
export interface LinkedMarker {
  /** Path of the file as it was given to {@link MarkerIndex.update}. */
  readonly file: string;
  readonly marker: Marker;
  /** Where the comment is. */
  readonly place: Place;
  readonly policy: ImagePolicyObject | undefined;
  readonly repository: ImageRepositoryObject | undefined;
  /** Automations that write this marker. */
  readonly automations: readonly AutomationObject[];
  /** Whether the policy would let the current value's tag through; undefined when there is no tag or no policy. */
  readonly verdict: { readonly isAllowed: boolean; readonly reason: string } | undefined;
}

/**
 * Files are paths relative to the root of the Git repository with `/` between parts; `toAbsolute` turns them into what
 * places carry. Texts are read when somebody asks, and only those that mention a marker or an object.
 */
export class MarkerIndex {
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
        place: this.#place(file, marker.comment.start, marker.comment.end),
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

  #place(file: string, start: number, end: number): Place {
    const range = this.#lines(file)?.rangeAt(start, end);
    return { file: this.#toAbsolute(file), ...(range !== undefined && { range }) };
  }

  /** What is wrong with the markers of one file and with the policies, repositories and automations in it. */
  diagnostics(file: string): readonly Diagnostic[] {
    const found: Diagnostic[] = [];
    const markers = this.markersOf(file);
    for (const { code, comment, reason, fix } of markers.dead) {
      const place = this.#place(file, comment.start, comment.end);
      found.push({
        severity: 'warning',
        code: `gitops.marker-${code}`,
        message: `Flux ignores this marker: ${reason}.`,
        place,
        fix,
      });
    }
    for (const linked of this.linked(file)) found.push(...this.#markerDiagnostics(linked));
    const [first] = markers.markers;
    if (markers.shape === 'list' && first !== undefined) {
      found.push({
        severity: 'warning',
        code: 'gitops.list',
        message:
          'Flux takes the items of a `kind: List` out: it writes changed ones to new files and leaves this file as it is.',
        place: this.#place(file, first.comment.start, first.comment.end),
        fix: 'Write the objects as documents separated by "---".',
      });
    }
    const absolute = this.#toAbsolute(file);
    for (const object of this.#linkage().byFile.get(absolute) ?? []) {
      if (object.kind === 'ImagePolicy') found.push(...this.#policyDiagnostics(object));
      if (object.kind === 'ImageRepository') found.push(...repositoryDiagnostics(object));
      if (object.kind === 'ImageUpdater') found.push(...this.#updaterDiagnostics(object));
      if (object.kind === 'ImageUpdateAutomation') found.push(...this.#automationDiagnostics(object));
    }
    return found;
  }

  #markerDiagnostics({ file, marker, place, policy, automations, verdict }: LinkedMarker): readonly Diagnostic[] {
    const { setter } = marker;
    const label = `${setter.namespace}:${setter.policy}`;
    if (policy === undefined) {
      const elsewhere = this.objectsOf('ImagePolicy').filter((one) => one.name === setter.policy);
      const [other] = elsewhere;
      if (other?.namespace !== undefined) {
        const { setterSpan } = marker;
        const range = setterSpan && this.#place(file, setterSpan.start, setterSpan.end);
        return [
          {
            severity: 'warning',
            code: 'gitops.wrong-namespace',
            message: `There is no ImagePolicy ${label}; ${other.name} is in the namespace ${other.namespace}.`,
            place: range ?? place,
            fix: `Write "${other.namespace}:${setter.policy}".`,
            ...(range !== undefined &&
              elsewhere.length === 1 && { replacement: setter.name.replace(setter.namespace, other.namespace) }),
          },
        ];
      }
      const fix = 'Correct the name, or add the ImagePolicy; ignore this when the policy lives in another repository.';
      return [
        {
          // A repository without any policy is fed from another one.
          severity: this.objectsOf('ImagePolicy').length === 0 ? 'info' : 'warning',
          code: 'gitops.no-policy',
          message: `There is no ImagePolicy ${label} in this repository.`,
          place,
          fix,
        },
      ];
    }
    const found: Diagnostic[] = [];
    if (verdict?.isAllowed === false) {
      const start = this.#place(file, marker.value.start, marker.value.end);
      found.push({
        severity: 'warning',
        code: 'gitops.value-not-allowed',
        message: `The policy ${label} would never choose "${marker.current}": ${verdict.reason}.`,
        place: start,
        fix: 'Choose a tag that the policy allows, or change the policy; Flux replaces this value at its next run.',
      });
    }
    if (automations.length === 0) {
      const inNamespace = this.automationsFor(policy);
      const paths = inNamespace.map(({ path }) => `./${path}`).join(', ');
      const isOutside = inNamespace.length > 0;
      found.push({
        severity: isOutside || this.objectsOf('ImageUpdateAutomation').length > 0 ? 'warning' : 'info',
        code: isOutside ? 'gitops.outside-path' : 'gitops.no-automation',
        message: isOutside
          ? `No automation writes this file: the update paths for ${label} are ${paths}.`
          : `No ImageUpdateAutomation acts on the policy ${label}; one must be in the same namespace and select it.`,
        place,
        fix: isOutside
          ? 'Move the file below the path, or widen spec.update.path.'
          : `Add an ImageUpdateAutomation in the namespace ${setter.namespace}.`,
      });
    }
    return found;
  }

  #policyDiagnostics(policy: ImagePolicyObject): readonly Diagnostic[] {
    const found: Diagnostic[] = [];
    const repository = this.repositoryOf(policy);
    const compiled = this.compiledOf(policy);
    if (!(compiled instanceof CompiledPolicy)) found.push(invalidPolicy(policy, compiled));
    if (policy.repository === undefined || repository === undefined) {
      const message =
        policy.repository === undefined
          ? 'The policy names no image repository (spec.imageRepositoryRef.name).'
          : `There is no ImageRepository ${policy.repository.name} in this repository.`;
      found.push({
        severity: 'warning',
        code: 'gitops.no-repository',
        message,
        place: policy.place,
        fix: 'Add the ImageRepository, or correct the name.',
      });
    }
    this.#used ??= new Set(
      this.filesWithMarkers.flatMap((file) =>
        this.markersOf(file).markers.map(({ setter }) => `${setter.namespace}:${setter.policy}`),
      ),
    );
    const isUsed =
      policy.namespace === undefined
        ? [...this.#used].some((name) => name.endsWith(`:${policy.name}`))
        : this.#used.has(`${policy.namespace}:${policy.name}`);
    if (!isUsed) {
      found.push({
        severity: 'info',
        code: 'gitops.policy-unused',
        message: `No marker names the policy ${policy.namespace ?? '<namespace>'}:${policy.name}, so Flux writes its tag nowhere in this repository.`,
        place: policy.place,
        fix: `Put # {"$imagepolicy": "${policy.namespace ?? '<namespace>'}:${policy.name}"} behind an image.`,
      });
    }
    return found;
  }

  /** Two ImageUpdaters that take the same Application write against each other. */
  #updaterDiagnostics(updater: ImageUpdaterObject): readonly Diagnostic[] {
    const others = this.objectsOf('ImageUpdater').filter((one) => one !== updater);
    return this.objectsOf('Application').flatMap((app) => {
      const other = takesApplication(updater, app) ? others.find((one) => takesApplication(one, app)) : undefined;
      if (other === undefined) return [];
      return {
        severity: 'warning',
        code: 'gitops.updaters-overlap',
        message: `${updater.name} and ${other.name} both look after the Application ${app.name} and write against each other.`,
        place: updater.place,
        fix: 'Narrow namePattern or labelSelectors of one of them.',
      } satisfies Diagnostic;
    });
  }

  #automationDiagnostics(automation: AutomationObject): readonly Diagnostic[] {
    const repository = this.objectsOf('GitRepository').find(
      ({ name, namespace }) =>
        name === automation.repository?.name &&
        (namespace === undefined || namespace === automation.repository.namespace),
    );
    const hasBranch = (automation.pushBranch ?? automation.checkoutBranch ?? repository?.branch) !== undefined;
    const found: Diagnostic[] = [];
    if (repository !== undefined && !hasBranch && automation.pushRefspec === undefined) {
      found.push({
        severity: 'error',
        code: 'gitops.no-branch',
        message: `The automation ${automation.name} has no branch to push to: neither itself nor ${repository.name} names one.`,
        place: automation.place,
        fix: 'Set spec.git.push.branch, or spec.ref.branch of the GitRepository.',
      });
    }
    if (/\.Updated\b|\.Changed\.ImageResult\b/.test(automation.messageTemplate ?? '')) {
      found.push({
        severity: 'error',
        code: 'gitops.removed-template-field',
        message:
          'The commit message uses .Updated or .Changed.ImageResult, which Flux 2.7 removed; the automation then stalls.',
        place: automation.place,
        fix: 'Use .Changed.Changes or .Changed.Objects.',
      });
    }
    return found;
  }
}

function invalidPolicy(policy: ImagePolicyObject, error: PolicyError): Diagnostic {
  return {
    severity: 'error',
    code: `gitops.${error.code}`,
    message: `Flux cannot use this policy and reports it as stalled: ${error.message}.`,
    place: policy.rulesPlace,
    fix: 'Correct the rule.',
  };
}

function repositoryDiagnostics(repository: ImageRepositoryObject): readonly Diagnostic[] {
  if (repository.image === undefined) return [];
  const problem = whyInvalidReference(formatReference({ name: repository.image, tag: 'x' }));
  if (problem === undefined) return [];
  return [
    {
      severity: 'error',
      code: 'gitops.invalid-image',
      message: `${repository.image} is not an image name: ${problem}. One such policy fails every automation of its namespace.`,
      place: repository.place,
      fix: 'Write the name without scheme and tag, in lower case.',
    },
  ];
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
