/** Flux and Argo CD objects as they stand in the files of a repository, with the places of what matters. */
import type { Place } from '../problems/index.ts';
import type { Node } from './goyaml/nodes.ts';
import type { FilterTags, PolicyChoice } from './policy.ts';
import {
  isTrueAt,
  mapAt,
  nodeAt,
  type Path,
  placeAt,
  readYamlObjects,
  textAt,
  textsAt,
  type YamlObject,
} from './yaml.ts';

interface Common {
  readonly name: string;
  /** `metadata.namespace`, else the namespace of the kustomization file beside it, else undefined (set by whoever applies it). */
  readonly namespace: string | undefined;
  readonly suspended: boolean;
  /** The name in the file. */
  readonly place: Place;
  readonly source: YamlObject;
}

export interface ImageRepositoryObject extends Common {
  readonly kind: 'ImageRepository';
  readonly image: string | undefined;
  readonly exclusionList: readonly string[] | undefined;
  readonly interval: string | undefined;
}

export interface ImagePolicyObject extends Common {
  readonly kind: 'ImagePolicy';
  readonly repository: { readonly name: string; readonly namespace: string | undefined } | undefined;
  readonly policy: PolicyChoice;
  readonly filterTags: FilterTags | undefined;
  readonly digestReflection: 'Never' | 'IfNotPresent' | 'Always';
  readonly rulesPlace: Place;
}

export interface LabelSelector {
  readonly labels: Readonly<Record<string, string>>;
  readonly expressions: readonly {
    readonly key: string;
    readonly operator: string;
    readonly values: readonly string[];
  }[];
}

/** Kubernetes' label selection; an operator that does not exist selects nothing. */
export function selectsLabels(selector: LabelSelector, labels: Readonly<Record<string, string>>): boolean {
  const isExact = Object.entries(selector.labels).every(([key, value]) => labels[key] === value);
  return (
    isExact &&
    selector.expressions.every(({ key, operator, values }) => {
      const value = labels[key];
      switch (operator) {
        case 'In':
          return value !== undefined && values.includes(value);
        case 'NotIn':
          return value === undefined || !values.includes(value);
        case 'Exists':
          return value !== undefined;
        case 'DoesNotExist':
          return value === undefined;
        default:
          return false;
      }
    })
  );
}

export interface AutomationObject extends Common {
  readonly kind: 'ImageUpdateAutomation';
  readonly source: YamlObject;
  readonly repository: { readonly name: string; readonly namespace: string | undefined } | undefined;
  /** `spec.update.path`, without leading `./` and trailing `/`; empty for the root of the repository. */
  readonly path: string;
  readonly pathPlace: Place;
  readonly policySelector: LabelSelector | undefined;
  readonly checkoutBranch: string | undefined;
  readonly pushBranch: string | undefined;
  readonly pushRefspec: string | undefined;
  readonly pushOptions: Readonly<Record<string, string>>;
  readonly messageTemplate: string | undefined;
  readonly author: string | undefined;
  readonly interval: string | undefined;
}

export interface GitRepositoryObject extends Common {
  readonly kind: 'GitRepository';
  readonly url: string | undefined;
  readonly branch: string | undefined;
}

export interface KustomizationObject extends Common {
  readonly kind: 'Kustomization';
  readonly path: string;
  readonly targetNamespace: string | undefined;
  readonly repository:
    | { readonly kind: string; readonly name: string; readonly namespace: string | undefined }
    | undefined;
  readonly dependsOn: readonly string[];
}

export interface HelmReleaseObject extends Common {
  readonly kind: 'HelmRelease';
  readonly targetNamespace: string | undefined;
}

export interface ApplicationObject extends Common {
  readonly kind: 'Application';
  readonly repoUrl: string | undefined;
  readonly path: string | undefined;
  readonly targetRevision: string | undefined;
  readonly automated: 'on' | 'off';
  readonly annotations: Readonly<Record<string, string>>;
}

export interface ImageUpdaterObject extends Common {
  readonly kind: 'ImageUpdater';
}

export type GitOpsObject =
  | ImageRepositoryObject
  | ImagePolicyObject
  | AutomationObject
  | GitRepositoryObject
  | KustomizationObject
  | HelmReleaseObject
  | ApplicationObject
  | ImageUpdaterObject;

/** True when a text may hold an object of this room; a cheap test before reading it. */
export const mayHoldObjects = (text: string): boolean =>
  text.includes('.toolkit.fluxcd.io/') || text.includes('argoproj.io/');

/** The Flux and Argo CD objects of one file. `defaultNamespace` is used where an object names none. */
export function readObjects(text: string, file: string, defaultNamespace?: string): readonly GitOpsObject[] {
  if (!mayHoldObjects(text)) return [];
  return readYamlObjects(text, file).flatMap((source) => {
    const object = toObject(source, defaultNamespace);
    return object === undefined ? [] : [object];
  });
}

function toObject(source: YamlObject, defaultNamespace: string | undefined): GitOpsObject | undefined {
  const { root } = source;
  const text = (path: Path): string | undefined => textAt(root, path);
  const [group = ''] = (text(['apiVersion']) ?? '').split('/');
  const name = text(['metadata', 'name']);
  if (name === undefined) return undefined;
  const common: Common = {
    name,
    namespace: text(['metadata', 'namespace']) ?? defaultNamespace,
    suspended: isTrueAt(root, ['spec', 'suspend']),
    place: placeAt(source, ['metadata', 'name']),
    source,
  };
  const reference = (path: Path): { name: string; namespace: string | undefined } | undefined => {
    const target = text([...path, 'name']);
    return target === undefined
      ? undefined
      : { name: target, namespace: text([...path, 'namespace']) ?? common.namespace };
  };
  switch (`${group} ${text(['kind']) ?? ''}`) {
    case 'image.toolkit.fluxcd.io ImageRepository':
      return {
        ...common,
        kind: 'ImageRepository',
        image: text(['spec', 'image']),
        exclusionList: textsAt(root, ['spec', 'exclusionList']),
        interval: text(['spec', 'interval']),
      };
    case 'image.toolkit.fluxcd.io ImagePolicy':
      return {
        ...common,
        kind: 'ImagePolicy',
        repository: reference(['spec', 'imageRepositoryRef']),
        policy: policyOf(source),
        filterTags: filterOf(source),
        digestReflection: digestOf(text(['spec', 'digestReflectionPolicy'])),
        rulesPlace: placeAt(source, ['spec', 'policy']),
      };
    case 'image.toolkit.fluxcd.io ImageUpdateAutomation':
      return automation(source, common, reference(['spec', 'sourceRef']));
    case 'source.toolkit.fluxcd.io GitRepository':
      return { ...common, kind: 'GitRepository', url: text(['spec', 'url']), branch: text(['spec', 'ref', 'branch']) };
    case 'kustomize.toolkit.fluxcd.io Kustomization': {
      const repository = reference(['spec', 'sourceRef']);
      const dependencies = nodeAt(root, ['spec', 'dependsOn']);
      return {
        ...common,
        kind: 'Kustomization',
        path: cleanPath(text(['spec', 'path'])),
        targetNamespace: text(['spec', 'targetNamespace']),
        repository: repository && { kind: text(['spec', 'sourceRef', 'kind']) ?? 'GitRepository', ...repository },
        dependsOn:
          dependencies?.kind === 'sequence' ? dependencies.items.flatMap((item) => textAt(item, ['name']) ?? []) : [],
      };
    }
    case 'helm.toolkit.fluxcd.io HelmRelease':
      return { ...common, kind: 'HelmRelease', targetNamespace: text(['spec', 'targetNamespace']) };
    case 'argoproj.io Application': {
      const hasAutomated = nodeAt(root, ['spec', 'syncPolicy', 'automated']) !== undefined;
      return {
        ...common,
        kind: 'Application',
        repoUrl: text(['spec', 'source', 'repoURL']),
        path: text(['spec', 'source', 'path']),
        targetRevision: text(['spec', 'source', 'targetRevision']),
        // `enabled` exists since Argo CD 3.2; the block alone means on.
        automated: hasAutomated && text(['spec', 'syncPolicy', 'automated', 'enabled']) !== 'false' ? 'on' : 'off',
        annotations: mapAt(root, ['metadata', 'annotations']) ?? {},
      };
    }
    case 'argocd-image-updater.argoproj.io ImageUpdater':
      return { ...common, kind: 'ImageUpdater' };
    default:
      return undefined;
  }
}

function policyOf({ root }: YamlObject): PolicyChoice {
  const has = (key: string): boolean => {
    const node = nodeAt(root, ['spec', 'policy', key]);
    return node !== undefined && (node.kind !== 'scalar' || node.value !== '');
  };
  const order = (key: string): { readonly order?: string } => {
    const value = textAt(root, ['spec', 'policy', key, 'order']);
    return value === undefined ? {} : { order: value };
  };
  return {
    ...(has('semver') && { semver: { range: textAt(root, ['spec', 'policy', 'semver', 'range']) ?? '' } }),
    ...(has('alphabetical') && { alphabetical: order('alphabetical') }),
    ...(has('numerical') && { numerical: order('numerical') }),
  };
}

function filterOf({ root }: YamlObject): FilterTags | undefined {
  if (nodeAt(root, ['spec', 'filterTags'])?.kind !== 'mapping') return undefined;
  const pattern = textAt(root, ['spec', 'filterTags', 'pattern']);
  const extract = textAt(root, ['spec', 'filterTags', 'extract']);
  return { ...(pattern !== undefined && { pattern }), ...(extract !== undefined && { extract }) };
}

const digestOf = (value: string | undefined): ImagePolicyObject['digestReflection'] =>
  value === 'Always' || value === 'IfNotPresent' ? value : 'Never';

function automation(source: YamlObject, common: Common, repository: AutomationObject['repository']): AutomationObject {
  const { root } = source;
  const text = (...path: Path): string | undefined => textAt(root, ['spec', ...path]);
  const selector = nodeAt(root, ['spec', 'policySelector']);
  return {
    ...common,
    kind: 'ImageUpdateAutomation',
    repository,
    path: cleanPath(text('update', 'path')),
    pathPlace: placeAt(source, ['spec', 'update', 'path']),
    policySelector:
      selector?.kind === 'mapping'
        ? { labels: mapAt(selector, ['matchLabels']) ?? {}, expressions: expressionsOf(selector) }
        : undefined,
    checkoutBranch: text('git', 'checkout', 'ref', 'branch'),
    pushBranch: text('git', 'push', 'branch'),
    pushRefspec: text('git', 'push', 'refspec'),
    pushOptions: mapAt(root, ['spec', 'git', 'push', 'options']) ?? {},
    messageTemplate: text('git', 'commit', 'messageTemplate'),
    author: text('git', 'commit', 'author', 'name'),
    interval: text('interval'),
  };
}

function expressionsOf(selector: Node): LabelSelector['expressions'] {
  const list = nodeAt(selector, ['matchExpressions']);
  if (list?.kind !== 'sequence') return [];
  return list.items.map((item) => ({
    key: textAt(item, ['key']) ?? '',
    operator: textAt(item, ['operator']) ?? '',
    values: textsAt(item, ['values']) ?? [],
  }));
}

/** A path of a Flux object relative to its repository: no leading `./` or `/`, no trailing `/`; the root is empty. */
export function cleanPath(path: string | undefined): string {
  const parts: string[] = [];
  for (const part of (path ?? '').split('/')) {
    if (part === '' || part === '.') continue;
    // Flux joins paths securely: `..` never leaves the repository.
    if (part === '..') parts.pop();
    else parts.push(part);
  }
  return parts.join('/');
}

/** True when the file (relative to the repository's root) lies at or below the path. */
export const coversFile = (path: string, file: string): boolean =>
  path === '' || file === path || file.startsWith(`${path}/`);
