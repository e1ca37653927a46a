/**
 * "Will this push start CI": the branch, tag and path filters of GitHub and Gitea workflows and of GitLab jobs, exactly.
 * General glob libraries are wrong here: `?` and `+` repeat the character before them, and dots are ordinary.
 */

export type CiHost = 'github' | 'gitea' | 'gitlab';

/** One filter pattern of a workflow. `!` in front makes it negative. */
export interface FilterPattern {
  readonly source: string;
  readonly isNegative: boolean;
  readonly regexp: RegExp;
}

const quote = (text: string): string => text.replaceAll(/[.+*?()|[\]{}^$\\/]/g, '\\$&');

/** GitHub's and Gitea's filter language (nektos/act `workflowpattern`). The whole path or name must match; case counts. */
export function compileFilter(source: string): FilterPattern | { readonly error: string } {
  const isNegative = source.startsWith('!');
  const text = isNegative ? source.slice(1) : source;
  if (text === '') return { error: 'the pattern is empty' };
  const atoms: string[] = [];
  for (let at = 0; at < text.length; ) {
    const character = text[at] ?? '';
    if (character === '*') {
      if (text.startsWith('**/', at)) {
        atoms.push('(?:.+/)?');
        at += 3;
      } else if (text.startsWith('**', at)) {
        atoms.push('.*');
        at += 2;
      } else {
        atoms.push('[^/]*');
        at += 1;
      }
    } else if ((character === '?' || character === '+') && atoms.length > 0) {
      atoms.push(`(?:${atoms.pop() ?? ''})${character}`);
      at += 1;
    } else if (character === '[') {
      const close = text.indexOf(']', at + 1);
      const inside = close === -1 ? '' : text.slice(at + 1, close);
      if (inside === '' || !/^(?:[0-9A-Za-z]-[0-9A-Za-z]|[^\]\\^!])+$/.test(inside))
        return { error: `"${source}" has a bad [ ] set` };
      atoms.push(`[${inside.replaceAll(/[[\\^]/g, '\\$&')}]`);
      at = close + 1;
    } else if (character === '\\') {
      if (at + 1 >= text.length) return { error: `"${source}" ends with a \\` };
      atoms.push(quote(text[at + 1] ?? ''));
      at += 2;
    } else {
      const point = String.fromCodePoint(text.codePointAt(at) ?? 0);
      atoms.push(quote(point));
      at += point.length;
    }
  }
  try {
    return { source, isNegative, regexp: new RegExp(`^${atoms.join('')}$`, 'su') };
  } catch {
    return { error: `"${source}" is not a valid pattern` };
  }
}

export type Patterns = readonly string[];

function compileAll(patterns: Patterns): readonly FilterPattern[] | { readonly error: string } {
  const compiled: FilterPattern[] = [];
  for (const source of patterns) {
    const pattern = compileFilter(source);
    if ('error' in pattern) return pattern;
    compiled.push(pattern);
  }
  return compiled;
}

/** `branches`, `tags` and `paths`: true when for some text the last pattern that matches it is a positive one. */
export function anyIncluded(patterns: readonly FilterPattern[], texts: readonly string[]): boolean {
  return texts.some((text) => {
    let isIncluded = false;
    for (const { regexp, isNegative } of patterns) if (regexp.test(text)) isIncluded = !isNegative;
    return isIncluded;
  });
}

/** `branches-ignore`, `tags-ignore` and `paths-ignore`: true when every text is ignored. */
export function allIgnored(patterns: readonly FilterPattern[], texts: readonly string[], host: CiHost): boolean {
  // Gitea reads `!p` as "ignore everything that is not p"; GitHub takes it as an exception to what stands before it.
  if (host === 'gitea')
    return texts.every((text) => patterns.some(({ regexp, isNegative }) => regexp.test(text) !== isNegative));
  return texts.every((text) => anyIncluded(patterns, [text]));
}

/** The filters of `on.push` (or `on.pull_request`) of a workflow. Absent lists are undefined. */
export interface PushTrigger {
  readonly branches?: Patterns;
  readonly branchesIgnore?: Patterns;
  readonly tags?: Patterns;
  readonly tagsIgnore?: Patterns;
  readonly paths?: Patterns;
  readonly pathsIgnore?: Patterns;
}

export interface Push {
  readonly ref: { readonly branch: string } | { readonly tag: string };
  /** Changed paths from the repository's root; undefined when they are not known. */
  readonly files: readonly string[] | undefined;
  /** Commits in the push; GitHub does not compute a diff for more than 1,000. */
  readonly commits?: number;
}

export interface Answer {
  readonly runs: 'yes' | 'no' | 'unknown';
  /** One sentence without a full stop. */
  readonly reason: string;
  /** It is there, but waits for a person to start it. */
  readonly isByHand?: true;
  /** Counted from 0: the rule that decided. */
  readonly rule?: number;
}

const yes = (reason: string): Answer => ({ runs: 'yes', reason });
const no = (reason: string): Answer => ({ runs: 'no', reason });

/** Whether the event filters of a GitHub or Gitea workflow let a push through. */
export function pushStartsWorkflow(trigger: PushTrigger, push: Push, host: 'github' | 'gitea'): Answer {
  const pairs = [
    [trigger.branches, trigger.branchesIgnore, 'branches'],
    [trigger.tags, trigger.tagsIgnore, 'tags'],
    [trigger.paths, trigger.pathsIgnore, 'paths'],
  ] as const;
  for (const [some, ignore, name] of pairs) {
    if (some !== undefined && ignore !== undefined)
      return no(`${name} and ${name}-ignore stand together, which makes the workflow invalid`);
  }
  const byRef = refAnswer(trigger, push.ref, host);
  const hasPaths = trigger.paths !== undefined || trigger.pathsIgnore !== undefined;
  if (byRef.runs !== 'yes' || 'tag' in push.ref || !hasPaths) return byRef;
  return pathAnswer(trigger, push, host);
}

function refAnswer(trigger: PushTrigger, ref: Push['ref'], host: CiHost): Answer {
  const isTag = 'tag' in ref;
  const name = isTag ? ref.tag : ref.branch;
  const [some, ignore] = isTag ? [trigger.tags, trigger.tagsIgnore] : [trigger.branches, trigger.branchesIgnore];
  const hasOther = isTag
    ? trigger.branches !== undefined || trigger.branchesIgnore !== undefined
    : trigger.tags !== undefined || trigger.tagsIgnore !== undefined;
  const what = isTag ? 'tag' : 'branch';
  if (some === undefined && ignore === undefined) {
    return hasOther
      ? no(`only ${isTag ? 'branch' : 'tag'} filters are given, so no ${what} push starts it`)
      : yes(`it starts on every ${what}`);
  }
  const patterns = compileAll(some ?? ignore ?? []);
  if ('error' in patterns) return { runs: 'unknown', reason: patterns.error };
  if (some !== undefined) {
    return anyIncluded(patterns, [name])
      ? yes(`the ${what} ${name} matches`)
      : no(`the ${what} ${name} does not match`);
  }
  return allIgnored(patterns, [name], host)
    ? no(`the ${what} ${name} is ignored`)
    : yes(`the ${what} ${name} is not ignored`);
}

const mostFiles = 300;
const mostCommits = 1000;

function pathAnswer({ paths, pathsIgnore }: PushTrigger, { files, commits }: Push, host: 'github' | 'gitea'): Answer {
  if (host === 'github' && (commits ?? 0) > mostCommits) return yes('GitHub takes no diff of more than 1,000 commits');
  if (files === undefined) return { runs: 'unknown', reason: 'the changed files are not known' };
  if (files.length === 0) return no('no file changed');
  const patterns = compileAll(paths ?? pathsIgnore ?? []);
  if ('error' in patterns) return { runs: 'unknown', reason: patterns.error };
  const seen = host === 'github' ? files.slice(0, mostFiles) : files;
  if (paths !== undefined) {
    return anyIncluded(patterns, seen) ? yes('a changed file matches paths') : no('no changed file matches paths');
  }
  return allIgnored(patterns, seen, host) ? no('every changed file is ignored') : yes('a changed file is not ignored');
}

/** GitLab's `rules:changes` globs: Ruby's `File.fnmatch` with PATHNAME, DOTMATCH and EXTGLOB. No negation. */
export function compileGitLabGlob(glob: string): RegExp | { readonly error: string } {
  try {
    return new RegExp(`^(?:${expandBraces(glob).map(fnmatchSource).join('|')})$`, 'su');
  } catch {
    return { error: `"${glob}" is not a valid pattern` };
  }
}

/** `{a,b}` becomes alternatives, nested ones too; an unclosed brace stays text. */
function expandBraces(glob: string): readonly string[] {
  let depth = 0;
  let open = -1;
  const commas: number[] = [];
  for (let at = 0; at < glob.length; at += 1) {
    const character = glob[at];
    if (character === '\\') at += 1;
    else if (character === '{') {
      if (depth === 0) open = at;
      depth += 1;
    } else if (character === ',' && depth === 1) commas.push(at);
    else if (character === '}' && depth > 0) {
      depth -= 1;
      if (depth > 0) continue;
      const bounds = [open, ...commas, at];
      const [before, after] = [glob.slice(0, open), glob.slice(at + 1)];
      return bounds
        .slice(1)
        .flatMap((end, index) => expandBraces(before + glob.slice((bounds[index] ?? open) + 1, end) + after));
    }
  }
  return [glob];
}

function fnmatchSource(glob: string): string {
  let source = '';
  for (let at = 0; at < glob.length; ) {
    const character = glob[at] ?? '';
    const isSegmentStart = at === 0 || glob[at - 1] === '/';
    if (isSegmentStart && glob.startsWith('**/', at)) {
      source += '(?:[^/]+/)*';
      at += 3;
    } else if (character === '*') {
      source += '[^/]*';
      while (glob[at] === '*') at += 1;
    } else if (character === '?') {
      source += '[^/]';
      at += 1;
    } else if (character === '[') {
      const close = glob.indexOf(']', at + 2);
      if (close === -1) return '(?!)';
      const inside = glob.slice(at + 1, close);
      const isNegated = /^[!^]/.test(inside);
      source += `(?!/)[${isNegated ? '^' : ''}${(isNegated ? inside.slice(1) : inside).replaceAll(/[[\]\\^]/g, '\\$&')}]`;
      at = close + 1;
    } else if (character === '\\') {
      source += quote(glob[at + 1] ?? '');
      at += 2;
    } else {
      const point = String.fromCodePoint(glob.codePointAt(at) ?? 0);
      source += quote(point);
      at += point.length;
    }
  }
  return source;
}

/** One entry of a job's `rules`. `condition` is what its `if` is known to be; absent means there is none. */
export interface GitLabRule {
  readonly condition?: 'true' | 'false' | 'unknown';
  /** What an unknown condition depends on, in words. */
  readonly dependsOn?: string;
  readonly changes?: Patterns;
  /** The changes are those to another ref, of which this push is a part. */
  readonly comparesToRef?: true;
  readonly when?: string;
}

export interface GitLabPush {
  readonly files: readonly string[] | undefined;
  /** False for the first push of a branch, for tags, schedules and manual runs: then `changes` is always true. */
  readonly hasDiff: boolean;
}

/** Whether a job is added to the pipeline. No rules mean: on branches and tags. */
export function gitlabJobRuns(rules: readonly GitLabRule[] | undefined, push: GitLabPush): Answer {
  if (rules === undefined) return yes('the job has no rules');
  let uncertain: string | undefined;
  for (const [rule, { condition, dependsOn, changes, comparesToRef, when }] of rules.entries()) {
    const number = rule + 1;
    const parts = [condition ?? 'true', changes === undefined ? 'true' : changesMatch(changes, push, comparesToRef)];
    if (parts.includes('false')) continue;
    if (parts.includes('unknown')) {
      uncertain ??= `rule ${number} depends on ${condition === 'unknown' ? (dependsOn ?? 'what is not known') : 'earlier commits or variables'}`;
      continue;
    }
    if (uncertain !== undefined) break;
    if (when === 'never') return { ...no(`rule ${number} says never`), rule };
    if (when === 'manual') return { ...yes(`rule ${number} adds it, to be started by hand`), isByHand: true, rule };
    return { ...yes(`rule ${number} matches`), rule };
  }
  return uncertain === undefined ? no('no rule matches') : { runs: 'unknown', reason: uncertain };
}

function changesMatch(
  globs: Patterns,
  { files, hasDiff }: GitLabPush,
  comparesToRef: true | undefined,
): 'true' | 'false' | 'unknown' {
  if (!hasDiff && comparesToRef === undefined) return 'true';
  if (files === undefined) return 'unknown';
  const compiled = globs.map(compileGitLabGlob);
  if (compiled.some((one) => !(one instanceof RegExp)) || globs.some((glob) => glob.includes('$'))) return 'unknown';
  // Above this many comparisons GitLab gives up and says yes.
  if (globs.length * files.length > 50_000) return 'true';
  if (compiled.some((one) => one instanceof RegExp && files.some((file) => one.test(file)))) return 'true';
  // Earlier commits that the ref does not have count as well.
  return comparesToRef === undefined ? 'false' : 'unknown';
}

const skipWords = ['[skip ci]', '[ci skip]', '[no ci]', '[skip actions]', '[actions skip]'];

/** Why a commit with this message starts nothing; undefined when it has no skip marker for that host. */
export function skipMarker(message: string, host: CiHost): string | undefined {
  if (host === 'gitlab') return ['[ci skip]', '[skip ci]'].find((word) => message.toLowerCase().includes(word));
  const word = skipWords.find((one) => message.includes(one));
  if (word !== undefined || host === 'gitea') return word;
  return /\n\n\nskip-checks:\s*true\s*$/.test(message) ? 'skip-checks: true' : undefined;
}
