/**
 * Argo CD Image Updater: what it is told by an Application's annotations (0.x) or by ImageUpdater objects (1.x), and which
 * tag it would choose. Source: argocd-image-updater 0.18 and 1.3.
 */
import { type Constraint, parseConstraint, satisfies, whyNot } from './constraint.ts';
import type { Node } from './goyaml/nodes.ts';
import type { ApplicationObject, ImageUpdaterObject } from './objects.ts';
import type { TagReason } from './policy.ts';
import { compilePattern } from './regexp.ts';
import { compareBytes } from './selection.ts';
import { compareVersions, parseLooseVersion, type Version } from './version.ts';
import { isTrueAt, mapAt, nodeAt, textAt, textsAt } from './yaml.ts';

export type UpdateStrategy = 'semver' | 'newest-build' | 'alphabetical' | 'digest';

/** One image that Image Updater looks after, in either generation. */
export interface UpdaterImage {
  readonly generation: '0.x' | '1.x';
  readonly alias: string | undefined;
  /** Without constraint. */
  readonly image: string;
  /** A range for `semver`, the tag to follow for `digest`, without meaning otherwise. */
  readonly constraint: string | undefined;
  readonly strategy: UpdateStrategy;
  /** As written: `regexp:…` or `any`. */
  readonly allowTags: string | undefined;
  readonly ignoreTags: readonly string[];
  readonly forceUpdate: boolean;
  readonly helm: { readonly name?: string; readonly tag?: string; readonly spec?: string };
  readonly kustomizeName: string | undefined;
}

export interface WriteBack {
  readonly method: string;
  /** `kustomization[:dir]`, `helmvalues[:file]` or undefined for `.argocd-source-…`. */
  readonly target: string | undefined;
  /** `base`, `base:write` or `:write`; may be a template. */
  readonly branch: string | undefined;
  readonly repository: string | undefined;
}

export const annotationPrefix = 'argocd-image-updater.argoproj.io/';

/** What the annotations of an Application say. Empty when it has no `image-list`. */
export function imagesOfApplication({ annotations }: Pick<ApplicationObject, 'annotations'>): readonly UpdaterImage[] {
  const value = (key: string): string | undefined => annotations[annotationPrefix + key]?.trim();
  return (value('image-list') ?? '')
    .split(',')
    .map((text) => text.trim())
    .filter((text) => text !== '')
    .map((text) => {
      const { alias, image, constraint } = splitImage(text);
      // In keys a `/` of the alias is written `_`; the key of the image wins over the one for all.
      const own = (key: string): string | undefined =>
        alias === undefined ? undefined : value(`${alias.replaceAll('/', '_')}.${key}`);
      const setting = (key: string, old?: string): string | undefined =>
        own(key) ?? (old === undefined ? undefined : own(old)) ?? value(key);
      return {
        generation: '0.x',
        alias,
        image,
        constraint,
        strategy: strategyOf(setting('update-strategy')),
        allowTags: setting('allow-tags', 'tag-match'),
        ignoreTags: listOf(setting('ignore-tags')),
        forceUpdate: setting('force-update') === 'true',
        helm: {
          ...optional('name', own('helm.image-name')),
          ...optional('tag', own('helm.image-tag')),
          ...optional('spec', own('helm.image-spec')),
        },
        kustomizeName: own('kustomize.image-name'),
      };
    });
}

const optional = <Key extends string>(key: Key, value: string | undefined): { readonly [K in Key]?: string } =>
  (value === undefined ? {} : { [key]: value }) as { readonly [K in Key]?: string };

const listOf = (text: string | undefined): readonly string[] =>
  (text ?? '')
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');

/** `[alias=]image[:constraint]`. The constraint may contain `=`, so only the first one before the image counts. */
export function splitImage(text: string): {
  readonly alias: string | undefined;
  readonly image: string;
  readonly constraint: string | undefined;
} {
  const equals = text.indexOf('=');
  const colon = text.indexOf(':');
  const hasAlias = equals > 0 && (colon === -1 || equals < colon);
  const alias = hasAlias ? text.slice(0, equals).trim() : undefined;
  const rest = hasAlias ? text.slice(equals + 1).trim() : text;
  const slash = rest.indexOf('/');
  // A port belongs to the host: look for the constraint behind the last path part that starts after it.
  const hostEnd = slash !== -1 && /^[^/]*:\d+\//.test(rest) ? slash : 0;
  const split = rest.indexOf(':', hostEnd);
  return split === -1
    ? { alias, image: rest, constraint: undefined }
    : { alias, image: rest.slice(0, split), constraint: rest.slice(split + 1).trim() || undefined };
}

function strategyOf(word: string | undefined): UpdateStrategy {
  switch (word) {
    case 'newest-build':
    case 'latest':
      return 'newest-build';
    case 'alphabetical':
    case 'name':
      return 'alphabetical';
    case 'digest':
      return 'digest';
    default:
      return 'semver';
  }
}

export function writeBackOfApplication({ annotations }: Pick<ApplicationObject, 'annotations'>): WriteBack {
  return {
    method: annotations[`${annotationPrefix}write-back-method`] ?? 'argocd',
    target: annotations[`${annotationPrefix}write-back-target`],
    branch: annotations[`${annotationPrefix}git-branch`],
    repository: annotations[`${annotationPrefix}git-repository`],
  };
}

/** One `applicationRefs` entry of a 1.x ImageUpdater. */
export interface UpdaterReference {
  /** Glob over Application names in the object's own namespace. */
  readonly namePattern: string;
  readonly source: 'annotations' | 'object';
  readonly images: readonly UpdaterImage[];
  readonly writeBack: WriteBack;
}

/** What a 1.x ImageUpdater says; inner settings win over outer ones. */
export function referencesOf({ source: { root } }: ImageUpdaterObject): readonly UpdaterReference[] {
  const references = nodeAt(root, ['spec', 'applicationRefs']);
  if (references?.kind !== 'sequence') return [];
  const outer = nodeAt(root, ['spec']);
  return references.items.map((reference) => {
    const images = nodeAt(reference, ['images']);
    return {
      namePattern: textAt(reference, ['namePattern']) ?? '',
      source: isTrueAt(reference, ['useAnnotations']) ? 'annotations' : 'object',
      images: images?.kind === 'sequence' ? images.items.map((image) => imageOf([image, reference, outer])) : [],
      writeBack: writeBackOf([reference, outer]),
    };
  });
}

function imageOf(levels: readonly (Node | undefined)[]): UpdaterImage {
  const [own] = levels;
  const setting = <Value>(read: (settings: Node | undefined) => Value | undefined): Value | undefined => {
    for (const level of levels) {
      const value = read(nodeAt(level, ['commonUpdateSettings']));
      if (value !== undefined) return value;
    }
    return undefined;
  };
  const { image, constraint } = splitImage(textAt(own, ['imageName']) ?? '');
  const helm = (key: string): string | undefined => textAt(own, ['manifestTargets', 'helm', key]);
  return {
    generation: '1.x',
    alias: textAt(own, ['alias']),
    image,
    constraint,
    strategy: strategyOf(setting((node) => textAt(node, ['updateStrategy']))),
    allowTags: setting((node) => textAt(node, ['allowTags'])),
    ignoreTags: setting((node) => textsAt(node, ['ignoreTags'])) ?? [],
    forceUpdate: setting((node) => textAt(node, ['forceUpdate'])) === 'true',
    helm: { ...optional('name', helm('name')), ...optional('tag', helm('tag')), ...optional('spec', helm('spec')) },
    kustomizeName: textAt(own, ['manifestTargets', 'kustomize', 'name']),
  };
}

function writeBackOf(levels: readonly (Node | undefined)[]): WriteBack {
  const read = (...path: readonly string[]): string | undefined => {
    for (const level of levels) {
      const value = textAt(level, ['writeBackConfig', ...path]);
      if (value !== undefined) return value;
    }
    return undefined;
  };
  return {
    method: read('method') ?? 'argocd',
    target: read('gitConfig', 'writeBackTarget'),
    branch: read('gitConfig', 'branch'),
    repository: read('gitConfig', 'repository'),
  };
}

/** True when an ImageUpdater looks after an Application: same namespace, a matching name pattern and labels. */
export const takesApplication = (updater: ImageUpdaterObject, app: ApplicationObject): boolean =>
  referenceFor(updater, app) !== undefined;

/** The entry of an ImageUpdater that takes the Application: an exact name before more literal characters before labels. */
export function referenceFor(updater: ImageUpdaterObject, app: ApplicationObject): UpdaterReference | undefined {
  if (updater.namespace !== undefined && app.namespace !== undefined && updater.namespace !== app.namespace)
    return undefined;
  const references = nodeAt(updater.source.root, ['spec', 'applicationRefs']);
  if (references?.kind !== 'sequence') return undefined;
  const labels = mapAt(app.source.root, ['metadata', 'labels']) ?? {};
  const all = referencesOf(updater);
  const found = references.items.flatMap((reference, index) => {
    const wanted = mapAt(reference, ['labelSelectors', 'matchLabels']) ?? {};
    const pattern = textAt(reference, ['namePattern']) ?? '';
    const isNamed = globTest(pattern).test(app.name);
    if (!isNamed || !Object.entries(wanted).every(([key, value]) => labels[key] === value)) return [];
    const weight = [pattern === app.name ? 1 : 0, pattern.replaceAll(/[*?]/g, '').length, Object.keys(wanted).length];
    const view = all[index];
    return view === undefined ? [] : [{ view, weight }];
  });
  const compare = (a: readonly number[], b: readonly number[]): number =>
    a.reduce((order, value, index) => order || (b[index] ?? 0) - value, 0);
  return found.sort((a, b) => compare(a.weight, b.weight))[0]?.view;
}

/** What Image Updater of either generation does for an Application; undefined when none looks after it. */
export interface UpdaterOfApplication {
  readonly images: readonly UpdaterImage[];
  readonly writeBack: WriteBack;
  /** The object that says it; absent when annotations of the Application do. */
  readonly updater?: ImageUpdaterObject;
}

export function updaterOf(
  app: ApplicationObject,
  updaters: readonly ImageUpdaterObject[],
): UpdaterOfApplication | undefined {
  for (const updater of updaters) {
    const reference = referenceFor(updater, app);
    if (reference === undefined || reference.source === 'annotations') continue;
    return { images: reference.images, writeBack: reference.writeBack, updater };
  }
  const images = imagesOfApplication(app);
  return images.length === 0 ? undefined : { images, writeBack: writeBackOfApplication(app) };
}

/** A known tag; `created` (milliseconds) is the build date inside the image, needed by `newest-build`. */
export interface DatedTag {
  readonly tag: string;
  readonly created?: number;
}

export interface UpdaterChoice {
  readonly tag?: string;
  /** Why there is no choice, or what is uncertain about it. */
  readonly note?: string;
  /** Every tag with its reason, in the order given. */
  readonly reasons: readonly TagReason[];
}

/** Which tag Image Updater would choose. It never looks at the running tag, except that 0.x semver needs it to be a version. */
export function chooseTag(settings: UpdaterImage, tags: readonly DatedTag[]): UpdaterChoice {
  const filter = tagFilter(settings);
  const range = rangeOf(settings);
  if (range !== undefined && 'error' in range) {
    return { note: `the constraint is invalid: ${range.error}`, reasons: [] };
  }
  const reasons = tags.map(({ tag }): TagReason => filter(tag) ?? strategyReason(settings, range, tag));
  const candidates = tags.filter((_, index) => reasons[index]?.status === 'candidate');
  const winner = pick(settings.strategy, candidates);
  const note = noteFor(settings, tags, candidates, winner);
  return {
    ...(winner !== undefined && { tag: winner }),
    ...(note !== undefined && { note }),
    reasons: reasons.map((reason) =>
      reason.tag === winner ? { ...reason, status: 'selected', reason: `${reason.reason} and wins` } : reason,
    ),
  };
}

function rangeOf({
  strategy,
  constraint,
  generation,
}: UpdaterImage): Constraint | { readonly error: string } | undefined {
  if (strategy !== 'semver') return undefined;
  // 1.x takes `*` where nothing is written, which leaves prereleases out; 0.x then takes every version.
  if (constraint === undefined) return generation === '1.x' ? parseConstraint('*') : undefined;
  return parseConstraint(constraint);
}

function tagFilter({ allowTags, ignoreTags }: UpdaterImage): (tag: string) => TagReason | undefined {
  const source = allowTags?.startsWith('regexp:') === true ? allowTags.slice('regexp:'.length) : undefined;
  const isAny = allowTags === undefined || allowTags === '' || allowTags === 'any';
  const pattern = source === undefined ? undefined : compilePattern(source);
  const globs = ignoreTags.map((glob) => ({ glob, test: globTest(glob) }));
  return (tag) => {
    const ignored = globs.find(({ test }) => test.test(tag));
    if (ignored !== undefined) return { tag, status: 'excluded', reason: `ignore-tags drops it (${ignored.glob})` };
    if (isAny) return undefined;
    if (pattern === undefined || 'error' in pattern)
      return { tag, status: 'filtered', reason: `allow-tags "${allowTags}" is malformed and matches nothing` };
    return pattern.test(tag)
      ? undefined
      : { tag, status: 'filtered', reason: `it does not match allow-tags (${pattern.source})` };
  };
}

/** Go's `path.Match` on a tag: `*`, `?`, `[…]` and `\`; a malformed pattern matches nothing. */
function globTest(glob: string): RegExp {
  let source = '';
  for (let at = 0; at < glob.length; at += 1) {
    const character = glob[at] ?? '';
    if (character === '*') source += '[^/]*';
    else if (character === '?') source += '[^/]';
    else if (character === '[') {
      const close = glob.indexOf(']', at + 2);
      if (close === -1) return /(?!)/;
      source += `[${glob.slice(at + 1, close).replaceAll(/[[\\]/g, '\\$&')}]`;
      at = close;
    } else {
      const isEscape = character === '\\';
      if (isEscape) at += 1;
      const literal = isEscape ? (glob[at] ?? '') : character;
      source += literal.replace(/[.+*?()|[\]{}^$\\/]/, '\\$&');
    }
  }
  try {
    return new RegExp(`^${source}$`, 's');
  } catch {
    return /(?!)/;
  }
}

function strategyReason({ strategy, constraint }: UpdaterImage, range: Constraint | undefined, tag: string): TagReason {
  if (strategy === 'digest') {
    return tag === constraint
      ? { tag, status: 'candidate', reason: 'it is the tag to follow' }
      : {
          tag,
          status: 'filtered',
          reason:
            constraint === undefined ? 'the digest strategy names no tag to follow' : `only ${constraint} is followed`,
        };
  }
  if (strategy !== 'semver')
    return {
      tag,
      status: 'candidate',
      reason:
        strategy === 'alphabetical' ? 'it takes part in the alphabetical order' : 'it takes part by its build date',
    };
  const version = parseLooseVersion(tag);
  if (version === undefined) return { tag, status: 'not-a-version', reason: 'it is not a semantic version' };
  if (range !== undefined && !satisfies(range, version))
    return { tag, status: 'out-of-range', reason: whyNot(range, version) ?? 'it is out of range' };
  return {
    tag,
    status: 'candidate',
    reason: range === undefined ? 'it is a version' : `it is in the range ${range.text}`,
  };
}

function pick(strategy: UpdateStrategy, candidates: readonly DatedTag[]): string | undefined {
  const tags = candidates.map(({ tag }) => tag);
  switch (strategy) {
    case 'digest':
      return tags[0];
    case 'alphabetical':
      return tags.reduce<string | undefined>(
        (best, tag) => (best === undefined || compareBytes(tag, best) > 0 ? tag : best),
        undefined,
      );
    case 'newest-build': {
      if (candidates.some(({ created }) => created === undefined)) return undefined;
      // Equal dates: the last in lexical order.
      return [...candidates].sort((a, b) => (a.created ?? 0) - (b.created ?? 0) || compareBytes(a.tag, b.tag)).at(-1)
        ?.tag;
    }
    case 'semver': {
      let best: { readonly tag: string; readonly version: Version } | undefined;
      for (const tag of tags) {
        const version = parseLooseVersion(tag);
        if (version === undefined) continue;
        const order = best === undefined ? 1 : compareVersions(version, best.version);
        if (order > 0 || (order === 0 && best !== undefined && compareBytes(tag, best.tag) > 0))
          best = { tag, version };
      }
      return best?.tag;
    }
  }
}

function noteFor(
  { strategy, constraint }: UpdaterImage,
  tags: readonly DatedTag[],
  candidates: readonly DatedTag[],
  winner: string | undefined,
): string | undefined {
  if (strategy === 'digest' && constraint === undefined)
    return 'the digest strategy needs a tag to follow, as in name:latest';
  if (strategy === 'newest-build' && candidates.some(({ created }) => created === undefined)) {
    return 'the build dates of the images are not known here';
  }
  if (winner === undefined) return tags.length === 0 ? 'no tags are known' : 'every tag is out';
  if (strategy === 'newest-build' && new Set(candidates.map(({ created }) => created)).size < candidates.length) {
    return 'several images carry the same build date (reproducible builds do), so the order of their names decides';
  }
  return undefined;
}
