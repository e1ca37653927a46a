import { SlipwayError } from '../problems/index.ts';

/** What tag templates can be filled from. */
export interface TagFacts {
  readonly commit?: string;
  readonly branch?: string;
  /** Tags on the commit, newest version first. */
  readonly tags: readonly string[];
  readonly commitCount?: number;
  readonly dirtyHash?: string;
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** Name of the image that the tags are for. */
  readonly image?: string;
}

export interface ExpandedTags {
  /** In the order of the templates, without doubles; the first is the one deployed. */
  readonly tags: readonly string[];
  /** Templates that gave nothing, and why. */
  readonly left: readonly { readonly template: string; readonly why: string }[];
}

/** A full SemVer 2 version with an optional leading `v`. */
const SEMVER = /^v?(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$/;

/**
 * Fills the templates: `{branch}`, `{sha}` (7 characters), `{sha:n}`, `{semver}`, `{major}`, `{minor}` (major.minor),
 * `{tag}`, `{commits}`, `{date}` (YYYYMMDD), `{image}` (its name in slipway.yaml). A template whose value does not exist here (no git tag, no branch) is left
 * out with the reason. A commit with uncommitted changes gets `-dirty-<hash>` behind its sha, so that an immutable tag
 * never names two contents.
 */
export function expandTags(templates: readonly string[], facts: TagFacts): ExpandedTags {
  const tags: string[] = [];
  const left: { readonly template: string; readonly why: string }[] = [];
  for (const template of templates) {
    const missing: string[] = [];
    const text = template.replace(/\{([a-z]+)(?::(\d+))?\}/g, (whole, name: string, size?: string) => {
      const value = fieldValue(name, size === undefined ? undefined : Number(size), facts);
      if (value === undefined) {
        throw new SlipwayError({
          reason: 'config',
          code: 'tags.unknown-field',
          message: `Tag template "${template}" has the unknown field ${whole}.`,
          fix: 'Known: {branch} {sha} {sha:8} {semver} {major} {minor} {tag} {commits} {date} {image}.',
        });
      }
      if (typeof value !== 'string') missing.push(value.missing);
      return typeof value === 'string' ? value : '';
    });
    if (missing.length > 0) left.push({ template, why: [...new Set(missing)].join(', ') });
    else {
      const tag = sanitiseTag(text);
      if (tag === '') left.push({ template, why: 'it gives an empty tag' });
      else if (!tags.includes(tag)) tags.push(tag);
    }
  }
  return { tags, left };
}

function fieldValue(
  name: string,
  size: number | undefined,
  facts: TagFacts,
): string | { readonly missing: string } | undefined {
  const version = semverOf(facts);
  switch (name) {
    case 'branch':
      return facts.branch === undefined ? { missing: 'HEAD is not on a branch' } : sanitiseBranch(facts.branch);
    case 'sha': {
      if (facts.commit === undefined) return { missing: 'there is no commit' };
      const short = facts.commit.slice(0, size ?? 7);
      return facts.dirtyHash === undefined ? short : `${short}-dirty-${facts.dirtyHash}`;
    }
    case 'semver':
      return version?.text ?? { missing: 'neither a git tag on this commit nor the branch name is a version' };
    case 'major':
      return version?.major ?? { missing: 'there is no version' };
    case 'minor':
      return version?.minor ?? { missing: 'there is no version' };
    case 'tag':
      return facts.tags[0] ?? { missing: 'no git tag is on this commit' };
    case 'commits':
      return facts.commitCount === undefined
        ? { missing: 'the commit count is not known (shallow clone or no commit)' }
        : String(facts.commitCount);
    case 'date':
      return new Date(facts.now).toISOString().slice(0, 10).replaceAll('-', '');
    case 'image':
      return facts.image ?? { missing: 'there is no image' };
    default:
      return undefined;
  }
}

/** The version of this commit: a git tag on it (the highest), else the branch name or its last part (`release/1.4.0`). */
function semverOf(
  facts: TagFacts,
): { readonly text: string; readonly major: string; readonly minor: string } | undefined {
  // A version tag names a commit, not the changes on top of it.
  if (facts.dirtyHash !== undefined) return undefined;
  const candidates = [
    ...facts.tags,
    ...(facts.branch === undefined ? [] : [facts.branch, facts.branch.split('/').at(-1) ?? '']),
  ];
  for (const candidate of candidates) {
    const match = SEMVER.exec(candidate);
    if (match === null) continue;
    const [, major = '', minor = '', patch = '', pre = ''] = match;
    return { text: `${major}.${minor}.${patch}${pre}`, major, minor: `${major}.${minor}` };
  }
  return undefined;
}

/** As docker/metadata-action: what is not allowed in a tag becomes `-`, in a branch name `/` as well. */
export function sanitiseBranch(branch: string): string {
  return branch.replace(/^refs\/heads\//, '').replace(/[^A-Za-z0-9._-]+/g, '-');
}

/** A valid tag: at most 128 of `[A-Za-z0-9_.-]`, not beginning with `.` or `-`; `+` (SemVer build) becomes `-`. */
export function sanitiseTag(text: string): string {
  return text
    .replace(/[^A-Za-z0-9_.-]+/g, '-')
    .replace(/^[.-]+/, '')
    .slice(0, 128);
}
