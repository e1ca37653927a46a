/**
 * Rollbacks under Flux that stay: each recipe is an edit of the files that Git holds, together with what the controllers
 * will do after it, found by running the same policy code as Flux on the known tags.
 */
import { SlipwayError } from '../problems/index.ts';
import { parseConstraint } from './constraint.ts';
import { applyEdits, replaceValue, type TextEdit } from './edit.ts';
import type { Marker } from './marker.ts';
import {
  type AutomationObject,
  type GitOpsObject,
  type ImagePolicyObject,
  type ImageRepositoryObject,
  readObjects,
} from './objects.ts';
import { CompiledPolicy, compilePolicy, defaultExclusionList, type PolicyRules, selectTag } from './policy.ts';
import { compilePattern, parseTemplate } from './regexp.ts';
import type { Selection } from './selection.ts';
import { parseVersion } from './version.ts';
import { removeKey, setValue } from './yaml.ts';

export interface FileEdit {
  /** The file as its objects name it. */
  readonly file: string;
  readonly edits: readonly TextEdit[];
  /** The whole new text. */
  readonly text: string;
}

export type RecipeName =
  | 'pin-policy'
  | 'exclude-from-policy'
  | 'exclude-from-repository'
  | 'suspend-automation'
  | 'remove-marker';

/** What one controller does next, in one sentence. */
export interface NextStep {
  readonly controller: 'image-reflector-controller' | 'image-automation-controller' | 'kustomize-controller';
  readonly does: string;
}

export interface Recipe {
  readonly name: RecipeName;
  readonly title: string;
  readonly edits: readonly FileEdit[];
  /** What the policy selects once the edit is applied. */
  readonly selection: Selection;
  readonly next: readonly NextStep[];
  /** `sticks`: the old tag stays until someone edits again. `bounces`: Flux would write the bad tag again. */
  readonly verdict: 'sticks' | 'bounces' | 'differs';
  /** What to know before choosing it. */
  readonly warnings: readonly string[];
}

export interface RollbackRequest {
  readonly policy: ImagePolicyObject;
  readonly repository: ImageRepositoryObject | undefined;
  /** The automations that can write the marker (suspended ones too). */
  readonly automations: readonly AutomationObject[];
  /** The marked values to go back, in their files. */
  readonly markers: readonly { readonly file: string; readonly marker: Marker }[];
  /** All known tags of the image, in any order. */
  readonly tags: readonly string[];
  readonly badTag: string;
  readonly goodTag: string;
  /** The digest of the good tag, when the policy reflects digests. */
  readonly goodDigest?: string;
  /** Current text of a file of an object or marker. */
  readonly textOf: (file: string) => string;
}

/** All recipes that can be carried out, best first. A recipe that cannot work for this policy is left out. */
export function rollbackRecipes(request: RollbackRequest): readonly Recipe[] {
  return [
    pinPolicy(request),
    excludeFromPolicy(request),
    excludeFromRepository(request),
    suspendAutomation(request),
    removeMarker(request),
  ].filter((recipe): recipe is Recipe => recipe !== undefined);
}

function rulesOf({ policy, repository }: RollbackRequest): PolicyRules {
  return {
    policy: policy.policy,
    ...(policy.filterTags !== undefined && { filterTags: policy.filterTags }),
    exclusionList: repository?.exclusionList ?? defaultExclusionList,
  };
}

/** The policy is told to select exactly the good tag; Flux itself then writes it everywhere. */
function pinPolicy(request: RollbackRequest): Recipe | undefined {
  const { policy, goodTag, tags } = request;
  const changes = pinChanges(request);
  if (changes === undefined) return undefined;
  const edit = editObject(
    request,
    policy,
    changes.map(({ path, value }) => (value === undefined ? { remove: path } : { path, text: value })),
  );
  if (edit === undefined) return undefined;
  const selection = selectAfter(request, edit, tags);
  const warnings = [
    'The policy stays on this tag until the pin is taken out again.',
    ...(policy.digestReflection === 'Always'
      ? ['The policy fetches the digest again at every interval: if the tag moves, so does the digest.']
      : []),
    ...tieWarnings(selection),
  ];
  return {
    name: 'pin-policy',
    title: `Pin the policy to ${goodTag}`,
    edits: [edit],
    selection,
    next: [applied(policy.name), ...chosen(selection, policy.name), ...written(request, selection)],
    verdict: verdictOf(request, selection),
    warnings,
  };
}

interface Change {
  readonly path: readonly string[];
  readonly value: string | undefined;
}

function pinChanges({ policy, goodTag, tags, repository }: RollbackRequest): readonly Change[] | undefined {
  const rules: PolicyRules = {
    policy: policy.policy,
    exclusionList: repository?.exclusionList ?? defaultExclusionList,
  };
  const works = (candidate: PolicyRules): boolean => {
    const { anyOf } = selectTag(candidate, tags);
    return anyOf.length === 1 && anyOf[0] === goodTag;
  };
  const patternPath = ['spec', 'filterTags', 'pattern'];
  const extractPath = ['spec', 'filterTags', 'extract'];
  if (policy.policy.semver !== undefined) {
    const compiled = compilePolicy({
      ...rules,
      ...(policy.filterTags !== undefined && { filterTags: policy.filterTags }),
    });
    const judged = compiled instanceof CompiledPolicy ? compiled.judge(goodTag) : undefined;
    const candidate = judged?.candidate ?? goodTag;
    if (judged?.status !== 'filtered' && judged?.status !== 'excluded' && parseVersion(candidate) !== undefined) {
      const range = candidate.replace(/^v/, '').replace(/\+.*$/, '');
      const filter = policy.filterTags === undefined ? {} : { filterTags: policy.filterTags };
      if (works({ ...rules, policy: { semver: { range } }, ...filter }))
        return [{ path: ['spec', 'policy', 'semver', 'range'], value: range }];
    }
    // Two tags of one version, or a filter in the way: the filter takes only this tag, and any version is in range.
    const exact = exactPattern(goodTag);
    const extra = policy.filterTags?.extract === undefined ? [] : [{ path: extractPath, value: undefined }];
    const range = parseVersion(goodTag)?.prerelease === '' ? '*' : '*-0';
    if (!works({ ...rules, policy: { semver: { range } }, filterTags: { pattern: exact } })) return undefined;
    return [
      { path: ['spec', 'policy', 'semver', 'range'], value: range },
      { path: patternPath, value: exact },
      ...extra,
    ];
  }
  const kept = keptGroup(policy.filterTags?.pattern ?? '', policy.filterTags?.extract ?? '', goodTag);
  if (
    kept !== undefined &&
    works({ ...rules, filterTags: { pattern: kept, extract: policy.filterTags?.extract ?? '' } })
  ) {
    return [{ path: patternPath, value: kept }];
  }
  const pattern = exactPattern(goodTag);
  const extract = policy.filterTags?.extract === undefined ? [] : [{ path: extractPath, value: undefined }];
  return works({ ...rules, filterTags: { pattern } }) ? [{ path: patternPath, value: pattern }, ...extract] : undefined;
}

const escapePattern = (text: string): string => text.replaceAll(/[.+*?()|[\]{}^$\\]/g, '\\$&');
const exactPattern = (tag: string): string => `^${escapePattern(tag)}$`;

/** `^main-abc-(?P<ts>17)$` for a tag and a template of one group, so that numerical policies still get a number. */
function keptGroup(pattern: string, extract: string, tag: string): string | undefined {
  const compiled = compilePattern(pattern);
  const [part, ...rest] = parseTemplate(extract);
  if ('error' in compiled || part === undefined || typeof part === 'string' || rest.length > 0) return undefined;
  const groups = compiled.groups(tag);
  const index = 'group' in part ? part.group : compiled.names.indexOf(part.name);
  const value = groups?.[index];
  if (value === undefined || value === '' || ('group' in part && part.group !== 1)) return undefined;
  const at = tag.lastIndexOf(value);
  const open = 'name' in part ? `(?P<${part.name}>` : '(';
  return `^${escapePattern(tag.slice(0, at))}${open}${escapePattern(value)})${escapePattern(tag.slice(at + value.length))}$`;
}

/** The bad version is taken out of the range; the next best one is selected. */
function excludeFromPolicy(request: RollbackRequest): Recipe | undefined {
  const { policy, badTag, tags } = request;
  const range = policy.policy.semver?.range;
  if (range === undefined) return undefined;
  const compiled = compilePolicy(rulesOf(request));
  const judged = compiled instanceof CompiledPolicy ? compiled.judge(badTag) : undefined;
  const version = parseVersion(judged?.candidate ?? badTag);
  if (version === undefined || judged?.status === 'excluded' || judged?.status === 'filtered') return undefined;
  const exact = `${version.major}.${version.minor}.${version.patch}${version.prerelease === '' ? '' : `-${version.prerelease}`}`;
  // Every alternative of the range must leave it out; a hyphen range needs the comma form.
  const next = range
    .split('||')
    .map((side) => `${side.trim()}${/\s-\s/.test(side) ? ',' : ''} !=${exact}`)
    .join(' || ');
  if ('error' in parseConstraint(next)) return undefined;
  const edit = editObject(request, policy, [{ path: ['spec', 'policy', 'semver', 'range'], text: next }]);
  if (edit === undefined) return undefined;
  const selection = selectAfter(request, edit, tags);
  return {
    name: 'exclude-from-policy',
    title: `Exclude ${badTag} from the policy's range`,
    edits: [edit],
    selection,
    next: [applied(policy.name), ...chosen(selection, policy.name), ...written(request, selection)],
    verdict: verdictOf(request, selection),
    warnings: tieWarnings(selection),
  };
}

/** The repository no longer shows the tag to any policy. */
function excludeFromRepository(request: RollbackRequest): Recipe | undefined {
  const { repository, badTag, tags, policy } = request;
  if (repository === undefined) return undefined;
  const old = repository.exclusionList ?? defaultExclusionList;
  // The CRD allows 25 patterns.
  if (old.length >= 25) return undefined;
  const list = [...old, exactPattern(badTag)];
  const edit = editObject(request, repository, [{ path: ['spec', 'exclusionList'], list }]);
  if (edit === undefined) return undefined;
  const selection = selectTag({ ...rulesOf(request), exclusionList: list }, tags);
  return {
    name: 'exclude-from-repository',
    title: `Exclude ${badTag} in the image repository`,
    edits: [edit],
    selection,
    next: [
      applied(repository.name),
      {
        controller: 'image-reflector-controller',
        does: `scans ${repository.name} at once, because its exclusion list changed`,
      },
      ...chosen(selection, policy.name),
      ...written(request, selection),
    ],
    verdict: verdictOf(request, selection),
    warnings: [`Every policy of the repository ${repository.name} loses the tag ${badTag}.`, ...tieWarnings(selection)],
  };
}

/** The automation stops, and the good tag is written by hand. */
function suspendAutomation(request: RollbackRequest): Recipe | undefined {
  const active = request.automations.filter(({ suspended }) => !suspended);
  if (active.length === 0) return undefined;
  const edits: FileEdit[] = [];
  for (const automation of active) {
    const edit = editObject(request, automation, [{ path: ['spec', 'suspend'], bare: 'true' }]);
    if (edit === undefined) return undefined;
    edits.push(edit);
  }
  const values = writeGoodTag(request);
  const names = active.map(({ name }) => name).join(', ');
  return {
    name: 'suspend-automation',
    title: `Suspend ${names} and write ${request.goodTag}`,
    edits: [...edits, ...values],
    selection: selectTag(rulesOf(request), request.tags),
    next: [
      applied(names),
      {
        controller: 'image-automation-controller',
        does: `writes nothing any more for ${names}; a run that is under way still finishes`,
      },
    ],
    verdict: 'sticks',
    warnings: [
      'No image of this automation is updated until it is resumed; then Flux writes the newest tag again, unless the policy changed.',
      'Commit the suspension first and wait until the automation has no Reconciling condition, then commit the tag.',
    ],
  };
}

/** The markers go, with a note to bring them back, and the good tag is written by hand. */
function removeMarker(request: RollbackRequest): Recipe | undefined {
  if (request.markers.length === 0) return undefined;
  const edits = writeGoodTag(request, (text, { comment }) => {
    const old = text.slice(comment.start, comment.end);
    return { start: comment.start, end: comment.end, text: `# rolled back, restore: ${old.replace(/^#+\s*/, '')}` };
  });
  return {
    name: 'remove-marker',
    title: `Write ${request.goodTag} and take the marker out`,
    edits,
    selection: selectTag(rulesOf(request), request.tags),
    next: [{ controller: 'image-automation-controller', does: 'finds no marker at this value and leaves it alone' }],
    verdict: 'sticks',
    warnings: ['This image is not updated any more until the marker is restored from the note.'],
  };
}

/** Edits of all marked values to the good tag, one file edit per file. `extra` may add one edit per marker. */
function writeGoodTag(
  request: RollbackRequest,
  extra?: (text: string, marker: Marker) => TextEdit,
): readonly FileEdit[] {
  const files = [...new Set(request.markers.map(({ file }) => file))];
  return files.map((file) => {
    const text = request.textOf(file);
    const edits = request.markers
      .filter((one) => one.file === file)
      .flatMap(({ marker }) => [
        ...replaceValue(text, file, marker, goodValue(request, marker)),
        ...(extra === undefined ? [] : [extra(text, marker)]),
      ]);
    return { file, edits, text: applyEdits(text, edits) };
  });
}

function goodValue({ goodTag, goodDigest, repository }: RollbackRequest, { setter, parts, current }: Marker): string {
  switch (setter.part) {
    case 'tag':
      return goodTag;
    case 'digest':
      return goodDigest ?? '';
    case 'name':
      return current;
    case 'reference':
      return `${parts.name ?? repository?.image ?? ''}:${goodTag}${goodDigest === undefined ? '' : `@${goodDigest}`}`;
  }
}

type ObjectChange =
  | { readonly path: readonly string[]; readonly text: string }
  | { readonly path: readonly string[]; readonly bare: string }
  | { readonly path: readonly string[]; readonly list: readonly string[] }
  | { readonly remove: readonly string[] };

/** Applies changes to one object one after the other, reading it again in between. */
function editObject(
  { textOf }: RollbackRequest,
  object: GitOpsObject,
  changes: readonly ObjectChange[],
): FileEdit | undefined {
  const { file } = object.source;
  const before = textOf(file);
  let text = before;
  for (const change of changes) {
    const current = readObjects(text, file, object.namespace).find(
      (one) => one.kind === object.kind && one.name === object.name && one.namespace === object.namespace,
    );
    if (current === undefined) {
      throw new SlipwayError({
        reason: 'usage',
        code: 'gitops.object-moved',
        message: `${file} holds no ${object.kind} ${object.name} any more`,
        fix: 'Read the files again.',
        place: object.place,
      });
    }
    const edits =
      'remove' in change
        ? removeKey(text, current.source, change.remove)
        : setValue(text, current.source, change.path, change);
    if (edits === undefined) return undefined;
    text = applyEdits(text, edits);
  }
  return { file, edits: [wholeEdit(before, text)], text };
}

/** The smallest single replacement that turns one text into the other. */
function wholeEdit(before: string, after: string): TextEdit {
  let start = 0;
  while (start < before.length && start < after.length && before[start] === after[start]) start += 1;
  let tail = 0;
  while (tail < before.length - start && tail < after.length - start && before.at(-1 - tail) === after.at(-1 - tail))
    tail += 1;
  return { start, end: before.length - tail, text: after.slice(start, after.length - tail) };
}

/** What the edited policy selects, read back from the edited text. */
function selectAfter(request: RollbackRequest, { file, text }: FileEdit, tags: readonly string[]): Selection {
  const { policy } = request;
  const edited = readObjects(text, file, policy.namespace).find(
    (one) => one.kind === 'ImagePolicy' && one.name === policy.name && one.namespace === policy.namespace,
  );
  if (edited?.kind !== 'ImagePolicy') return { anyOf: [] };
  return selectTag(rulesOf({ ...request, policy: edited }), tags);
}

const applied = (name: string): NextStep => ({
  controller: 'kustomize-controller',
  does: `applies the changed ${name} once the commit is fetched`,
});

function chosen(selection: Selection, name: string): readonly NextStep[] {
  const does =
    selection.error === undefined
      ? `selects ${selection.anyOf.join(' or ')} for ${name}`
      : `reports ${name} as not ready (${selection.error.flux}) and keeps its previous latestRef`;
  return [{ controller: 'image-reflector-controller', does }];
}

function written(request: RollbackRequest, selection: Selection): readonly NextStep[] {
  const active = request.automations.filter(({ suspended }) => !suspended);
  if (active.length === 0)
    return [
      { controller: 'image-automation-controller', does: 'writes nothing: no active automation covers the marker' },
    ];
  return active.map((automation): NextStep => {
    const branch =
      automation.pushBranch !== undefined && automation.pushBranch !== automation.checkoutBranch
        ? ` on the branch ${automation.pushBranch}`
        : '';
    const does =
      selection.error === undefined
        ? `writes ${selection.anyOf.join(' or ')} at every marker of the policy${branch} (${automation.name}), as soon as latestRef changes`
        : `goes on writing the previous latestRef${branch} (${automation.name})`;
    return { controller: 'image-automation-controller', does };
  });
}

function verdictOf({ goodTag, badTag, automations }: RollbackRequest, { anyOf, error }: Selection): Recipe['verdict'] {
  // A policy without a result keeps its latestRef, which is the bad tag.
  if (error !== undefined || anyOf.includes(badTag))
    return automations.some(({ suspended }) => !suspended) ? 'bounces' : 'sticks';
  return anyOf.every((tag) => tag === goodTag) ? 'sticks' : 'differs';
}

const tieWarnings = ({ anyOf }: Selection): readonly string[] =>
  anyOf.length > 1 ? [`Flux may choose any of ${anyOf.join(', ')}, and not always the same.`] : [];

/**
 * Whether a hand edit of a marked value would be undone: Flux writes its own choice again at its next run (a policy that
 * is suspended, not ready or stale still counts). Undefined when nothing would undo it.
 */
export function whoUndoes(
  request: Pick<RollbackRequest, 'automations' | 'policy'>,
  newTag: string,
  latestTag: string | undefined,
): string | undefined {
  if (latestTag === undefined || latestTag === newTag) return undefined;
  const active = request.automations.filter(({ suspended }) => !suspended);
  if (active.length === 0) return undefined;
  const names = active
    .map(({ name, interval }) => `${name}${interval === undefined ? '' : ` (every ${interval})`}`)
    .join(', ');
  return `${names} will write ${latestTag} again, because the policy ${request.policy.name} still selects it.`;
}
