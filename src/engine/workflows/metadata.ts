import * as semver from 'semver';

/** What docker/metadata-action gets from the run. */
export interface MetadataContext {
  /** `refs/heads/main`, `refs/tags/v1.0.0`, `refs/pull/3/merge`. */
  readonly ref: string;
  /** `push`, `schedule`, `pull_request`, `workflow_dispatch`. */
  readonly event: string;
  readonly sha: string;
  readonly defaultBranch: string;
  /** Branch a pull request goes to. */
  readonly baseRef?: string;
  /** Milliseconds since the epoch. */
  readonly now: number;
  readonly committedAt?: number;
  /** `DOCKER_METADATA_SHORT_SHA_LENGTH`; default 7. */
  readonly shortShaLength?: number;
}

export interface MetadataInputs {
  readonly images: string;
  readonly tags: string;
  readonly flavor: string;
}

export interface MetadataTags {
  /** Tags without image names, the one with the highest priority (`version` output) first. */
  readonly tags: readonly string[];
  /** `image:tag` for every image. */
  readonly references: readonly string[];
  /** Lines that gave nothing, and why; and lines that are wrong. */
  readonly notes: readonly string[];
}

export interface TagRule {
  readonly type: 'schedule' | 'semver' | 'pep440' | 'match' | 'edge' | 'ref' | 'raw' | 'sha';
  readonly attributes: Readonly<Record<string, string>>;
  readonly priority: number;
  /** As written. */
  readonly line: string;
}

const PRIORITIES: Readonly<Record<TagRule['type'], number>> = {
  schedule: 1000,
  semver: 900,
  pep440: 900,
  match: 800,
  edge: 700,
  ref: 600,
  raw: 200,
  sha: 100,
};

const DEFAULT_RULES = ['type=schedule', 'type=ref,event=branch', 'type=ref,event=tag', 'type=ref,event=pr'];

/** Lines, or CSV fields with quotes, of a list input. */
function lines(text: string): readonly string[] {
  return text
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
}

/** One CSV line: commas separate, double quotes keep commas. */
function fields(line: string): readonly string[] {
  const found: string[] = [];
  let field = '';
  let isQuoted = false;
  for (let index = 0; index < line.length; index += 1) {
    const char = line[index] ?? '';
    if (isQuoted && char === '"' && line[index + 1] === '"') {
      field += '"';
      index += 1;
    } else if (char === '"') isQuoted = !isQuoted;
    else if (char === ',' && !isQuoted) {
      found.push(field);
      field = '';
    } else field += char;
  }
  return [...found, field];
}

/** The rules of a `tags` input by falling priority, rules of the same priority in their order; mistakes beside them. */
export function readTagRules(text: string): {
  readonly rules: readonly TagRule[];
  readonly mistakes: readonly string[];
} {
  const rules: TagRule[] = [];
  const mistakes: string[] = [];
  const written = lines(text);
  for (const line of written.length === 0 ? DEFAULT_RULES : written) {
    const attributes: Record<string, string> = {};
    let type: string | undefined;
    for (const field of fields(line)) {
      const [key = '', ...rest] = field.split(/(?<=^[^=]+?)=/).map((item) => item.trim());
      if (rest.length === 0) attributes.value = key;
      else if (key.toLowerCase() === 'type') type = rest[0];
      else attributes[key.toLowerCase()] = rest[0] ?? '';
    }
    const kind = (type ?? 'raw') as TagRule['type'];
    const missing = requirement(kind, attributes);
    if (!(kind in PRIORITIES)) mistakes.push(`Unknown tag type "${kind}" in "${line}".`);
    else if (missing !== undefined) mistakes.push(`"${line}" lacks ${missing}.`);
    else {
      if (kind === 'ref' && attributes.event === 'pr') attributes.prefix ??= 'pr-';
      if (kind === 'sha') attributes.prefix ??= 'sha-';
      rules.push({ type: kind, attributes, priority: Number(attributes.priority ?? PRIORITIES[kind]), line });
    }
  }
  return { rules: rules.toSorted((a, b) => b.priority - a.priority), mistakes };
}

function requirement(type: TagRule['type'], attributes: Readonly<Record<string, string>>): string | undefined {
  if (['semver', 'pep440', 'match'].includes(type) && attributes.pattern === undefined) return '"pattern="';
  if (type === 'ref' && !['branch', 'tag', 'pr'].includes(attributes.event ?? ''))
    return '"event=branch", "event=tag" or "event=pr"';
  if (type === 'raw' && attributes.value === undefined) return '"value="';
  return undefined;
}

export interface Flavor {
  readonly latest: 'auto' | 'true' | 'false';
  readonly prefix: string;
  readonly suffix: string;
  readonly prefixLatest: boolean;
  readonly suffixLatest: boolean;
}

export function readFlavor(text: string): Flavor {
  let flavor: Flavor = { latest: 'auto', prefix: '', suffix: '', prefixLatest: false, suffixLatest: false };
  for (const line of lines(text)) {
    let last = '';
    for (const field of fields(line)) {
      const [key = '', value = ''] = field.split(/(?<=^[^=]+?)=/).map((item) => item.trim());
      if (key === 'latest' && (value === 'auto' || value === 'true' || value === 'false'))
        flavor = { ...flavor, latest: value };
      else if (key === 'prefix') flavor = { ...flavor, prefix: value };
      else if (key === 'suffix') flavor = { ...flavor, suffix: value };
      else if (key === 'onlatest' && value === 'true')
        flavor = last === 'prefix' ? { ...flavor, prefixLatest: true } : { ...flavor, suffixLatest: true };
      last = key;
    }
  }
  return flavor;
}

/** Image names, lower-cased; those with `enable=false` are left out. */
export function readImages(text: string): readonly string[] {
  return lines(text).flatMap((line) => {
    const parts = fields(line).map((field) => field.split(/(?<=^[^=]+?)=/).map((item) => item.trim()));
    if (parts.some(([key, value]) => key === 'enable' && value === 'false')) return [];
    const named = parts.find(([key, value]) => key === 'name' && value !== undefined)?.[1];
    const name = named ?? (parts[0]?.length === 1 ? parts[0][0] : undefined);
    return name === undefined || name === '' ? [] : [name.toLowerCase()];
  });
}

/**
 * The tags docker/metadata-action (v6) makes for a run. Pure. Date formats are moment's; the common fields are known
 * (YYYY YY MM DD HH hh mm ss X), in UTC.
 */
export function metadataTags(inputs: MetadataInputs, context: MetadataContext): MetadataTags {
  const { rules, mistakes } = readTagRules(inputs.tags);
  const flavor = readFlavor(inputs.flavor);
  const notes = [...mistakes];
  const tags: string[] = [];
  let latest: boolean | undefined;
  for (const rule of rules) {
    const enabled = fill(rule.attributes.enable ?? 'true', context);
    if (enabled !== 'true') continue;
    const made = apply(rule, context);
    if (made === undefined || 'why' in made) {
      if (made !== undefined) notes.push(made.why);
      continue;
    }
    const prefix = rule.attributes.prefix ?? flavor.prefix;
    const suffix = rule.attributes.suffix ?? flavor.suffix;
    const tag = sanitise(`${fill(prefix, context)}${made.value}${fill(suffix, context)}`);
    if (tag === '') continue;
    if (!tags.includes(tag)) tags.push(tag);
    // The first rule that gives a tag decides about latest.
    latest ??= flavor.latest === 'auto' ? made.isLatest : flavor.latest === 'true';
  }
  if (tags.length > 0 && latest === true) {
    const text = sanitise(
      `${flavor.prefixLatest ? flavor.prefix : ''}latest${flavor.suffixLatest ? flavor.suffix : ''}`,
    );
    if (!tags.includes(text)) tags.push(text);
  }
  return {
    tags,
    references: readImages(inputs.images).flatMap((image) => tags.map((tag) => `${image}:${tag}`)),
    notes,
  };
}

const sanitise = (tag: string): string => tag.replace(/[^a-zA-Z0-9._-]+/g, '-');

type Made = { readonly value: string; readonly isLatest: boolean } | { readonly why: string } | undefined;

function apply(rule: TagRule, context: MetadataContext): Made {
  const { attributes } = rule;
  const branch = /^refs\/heads\/(.*)$/s.exec(context.ref)?.[1];
  const gitTag = /^refs\/tags\/(.*)$/s.exec(context.ref)?.[1];
  switch (rule.type) {
    case 'schedule':
      return /schedule/.test(context.event)
        ? { value: fill(attributes.pattern ?? 'nightly', context), isLatest: false }
        : undefined;
    case 'ref': {
      if (attributes.event === 'branch') return branch === undefined ? undefined : { value: branch, isLatest: false };
      if (attributes.event === 'tag') return gitTag === undefined ? undefined : { value: gitTag, isLatest: true };
      const pull = /^refs\/pull\/(.*?)(?:\/merge)?$/s.exec(context.ref)?.[1];
      return pull === undefined ? undefined : { value: pull, isLatest: false };
    }
    case 'edge':
      return branch !== undefined && branch === (attributes.branch || context.defaultBranch)
        ? { value: 'edge', isLatest: false }
        : undefined;
    case 'raw':
      return { value: fill(attributes.value ?? '', context), isLatest: false };
    case 'sha':
      if (context.sha === '') return undefined;
      return { value: attributes.format === 'long' ? context.sha : shortSha(context), isLatest: false };
    default: {
      const written = attributes.value ?? '';
      if (gitTag === undefined && written === '') return undefined;
      const raw = written === '' ? (gitTag ?? '') : fill(written, context);
      return rule.type === 'match' ? matched(rule, raw) : versioned(rule, raw);
    }
  }
}

function matched(rule: TagRule, raw: string): Made {
  const pattern = rule.attributes.pattern ?? '';
  const regex = regexOf(pattern);
  const match = regex === undefined ? null : regex.exec(raw);
  const group = match?.[Number(rule.attributes.group ?? '0')];
  return group === undefined ? { why: `${pattern} does not match ${raw}.` } : { value: group, isLatest: true };
}

/** `/pattern/flags` or a bare pattern; undefined when it is not valid. */
function regexOf(pattern: string): RegExp | undefined {
  const [, source, flags] = /^\/(.+)\/(.*)$/.exec(pattern) ?? [];
  try {
    return new RegExp(source ?? pattern, (flags ?? '').replace('g', ''));
  } catch {
    return undefined;
  }
}

function versioned(rule: TagRule, written: string): Made {
  const match = rule.attributes.match;
  const raw = (
    match === undefined || match === '' ? written : (regexOf(match)?.exec(written)?.[1] ?? written)
  ).replaceAll('/', '-');
  const version = rule.type === 'semver' ? semverOf(raw) : pep440Of(raw);
  const pattern = rule.attributes.pattern ?? '';
  if (version === undefined)
    return { why: `${raw} is not a ${rule.type === 'semver' ? 'semantic version' : 'PEP 440 version'}.` };
  if (version.isFinal) return { value: fillVersion(pattern, version), isLatest: true };
  // A pre-release moves no alias such as 1.2.
  return { value: /^\{\{\s*raw\s*\}\}$/.test(pattern) ? version.raw : version.version, isLatest: false };
}

interface Version {
  readonly raw: string;
  readonly version: string;
  readonly major: string;
  readonly minor: string;
  readonly patch: string;
  readonly isFinal: boolean;
}

function semverOf(raw: string): Version | undefined {
  const parsed = semver.valid(raw) === null ? null : semver.parse(raw, { loose: true });
  if (parsed === null) return undefined;
  const { version, major, minor, patch, prerelease } = parsed;
  return {
    raw,
    version,
    major: String(major),
    minor: String(minor),
    patch: String(patch),
    isFinal: prerelease.length === 0,
  };
}

/** PEP 440 public versions; the normal form of the separators and of the words for alpha, beta and candidate. */
function pep440Of(raw: string): Version | undefined {
  const match =
    /^\s*v?(?:(\d+)!)?(\d+(?:\.\d+)*)(?:[-_.]?(a|b|c|rc|alpha|beta|pre|preview)[-_.]?(\d*))?(?:-(\d+)|[-_.]?(post|rev|r)[-_.]?(\d*))?(?:[-_.]?(dev)[-_.]?(\d*))?(?:\+([a-z0-9]+(?:[-_.][a-z0-9]+)*))?\s*$/i.exec(
      raw,
    );
  if (match === null) return undefined;
  const [, epoch, release = '', pre, preNumber, implicit, post, postNumber, dev, devNumber, local] = match;
  const number = (text: string | undefined) => String(Number(text || '0'));
  const words: Readonly<Record<string, string>> = { alpha: 'a', beta: 'b', c: 'rc', pre: 'rc', preview: 'rc' };
  const numbers = release.split('.').map((part) => String(Number(part)));
  const isPost = implicit !== undefined || post !== undefined;
  const version = [
    epoch === undefined ? '' : `${number(epoch)}!`,
    numbers.join('.'),
    pre === undefined ? '' : `${words[pre.toLowerCase()] ?? pre.toLowerCase()}${number(preNumber)}`,
    isPost ? `.post${number(implicit ?? postNumber)}` : '',
    dev === undefined ? '' : `.dev${number(devNumber)}`,
    local === undefined ? '' : `+${local.toLowerCase().replace(/[-_]/g, '.')}`,
  ].join('');
  return {
    raw,
    version,
    major: numbers[0] ?? '0',
    minor: numbers[1] ?? '0',
    patch: numbers[2] ?? '0',
    isFinal: pre === undefined && !isPost && dev === undefined,
  };
}

const fillVersion = (pattern: string, version: Version): string =>
  pattern.replace(
    /\{\{\s*(raw|version|major|minor|patch)\s*\}\}/g,
    (_whole, name: 'raw' | 'version' | 'major' | 'minor' | 'patch') => version[name],
  );

const shortSha = (context: MetadataContext): string => context.sha.slice(0, context.shortShaLength ?? 7);

/** The global expressions of the action. */
function fill(text: string, context: MetadataContext): string {
  return text.replace(/\{\{\s*(\w+)([^}]*)\}\}/g, (whole, name: string, rest: string) => {
    const branch = /^refs\/heads\/(.*)$/s.exec(context.ref)?.[1];
    const isDefault = branch === context.defaultBranch || /create|discussion|issues|schedule/.test(context.event);
    const format = /['"]([^'"]*)['"]/.exec(rest)?.[1] ?? 'YYYY-MM-DDTHH:mm:ssZ';
    switch (name) {
      case 'branch':
        return branch ?? '';
      case 'tag':
        return /^refs\/tags\/(.*)$/s.exec(context.ref)?.[1] ?? '';
      case 'sha':
        return shortSha(context);
      case 'base_ref':
        return context.baseRef ?? '';
      case 'is_default_branch':
        return String(isDefault);
      case 'is_not_default_branch':
        return String(!isDefault);
      case 'date':
        return formatDate(context.now, format);
      case 'commit_date':
        return formatDate(context.committedAt ?? context.now, format);
      default:
        return whole;
    }
  });
}

function formatDate(ms: number, format: string): string {
  const [date = '', time = ''] = new Date(ms).toISOString().split('T');
  const [year = '', month = '', day = ''] = date.split('-');
  const [hour = '', minute = '', second = ''] = time.slice(0, 8).split(':');
  const known: Readonly<Record<string, string>> = {
    YYYY: year,
    YY: year.slice(2),
    MM: month,
    DD: day,
    HH: hour,
    hh: String(((Number(hour) + 11) % 12) + 1).padStart(2, '0'),
    mm: minute,
    ss: second,
    X: String(Math.floor(ms / 1000)),
    Z: '+00:00',
  };
  return format.replace(
    /\[([^\]]*)\]|YYYY|YY|MM|DD|HH|hh|mm|ss|X|Z/g,
    (word, quoted?: string) => quoted ?? known[word] ?? word,
  );
}
