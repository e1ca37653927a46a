import type { Place } from '../problems/index.ts';
import { readFlavor, readTagRules, type TagRule } from './metadata.ts';
import type { BuildFact, MetadataFact, Workflow } from './model.ts';
import { type Part, splitReference, tagTemplate, textOf, type Value } from './values.ts';

/** An image that a workflow builds, with everything that names it gathered from all of its steps. */
export interface PublishedImage {
  readonly build: BuildFact;
  /** Without doubles, lower case, in the order they are named. */
  readonly repositories: readonly Value[];
  readonly tags: readonly { readonly value: Value; readonly place: Place }[];
  readonly metadata: readonly MetadataFact[];
  readonly isPushed: 'yes' | 'no' | 'unknown';
}

export function publishedImages(workflow: Workflow): readonly PublishedImage[] {
  return workflow.facts.flatMap((fact) => (fact.kind === 'build' ? [publishedImage(fact, workflow)] : []));
}

function publishedImage(build: BuildFact, workflow: Workflow): PublishedImage {
  const references = build.references.map((value) => ({ value, place: build.place }));
  for (const fact of workflow.facts) {
    if (fact.kind === 'alias' && references.some(({ value }) => isSame(value, fact.from)))
      references.push({ value: fact.to, place: fact.place });
  }
  const pushes = workflow.facts.filter((fact) => fact.kind === 'push');
  const pushed = pushes.filter(({ reference }) => references.some(({ value }) => names(reference, value)));
  // An image built under a local name is known by the name it is pushed under.
  const isLocal = (value: Value) => !textOf(splitReference(value).repository).includes('/');
  const named =
    pushed.some(({ reference }) => !isLocal(reference)) && references.every(({ value }) => isLocal(value))
      ? pushed.map(({ reference, place }) => ({ value: reference, place }))
      : references;
  const metadata = build.isByDigest ? joinedMetadata(build, workflow) : build.metadata;
  return {
    build,
    repositories: unique([
      ...metadata.flatMap((fact) => fact.images),
      ...named.map(({ value }) =>
        splitReference(value).repository.map((part) => (typeof part === 'string' ? part.toLowerCase() : part)),
      ),
    ]),
    tags: named.flatMap(({ value, place }) => {
      const { tag } = splitReference(value);
      return tag === undefined ? [] : [{ value: tag, place }];
    }),
    metadata,
    isPushed: build.isPushed === 'no' && pushed.length > 0 ? 'yes' : build.isPushed,
  };
}

/**
 * Platforms pushed by digest get their tags in a job that needs this one; where both have a matrix, in the combination
 * with the same values.
 */
function joinedMetadata(build: BuildFact, workflow: Workflow): readonly MetadataFact[] {
  const later = workflow.jobs.filter((job) => job.needs.includes(build.job)).map((job) => job.id);
  const found = workflow.facts.filter((fact) => fact.kind === 'metadata').filter((fact) => later.includes(fact.job));
  const fits = ({ matrix }: MetadataFact): boolean =>
    [...(matrix ?? [])].every(
      ([key, value]) =>
        build.matrix?.has(key) !== true || JSON.stringify(build.matrix.get(key)) === JSON.stringify(value),
    );
  const fitting = found.filter(fits);
  return fitting.length > 0 ? fitting : found.length > 0 ? found : build.metadata;
}

const isSame = (a: Value, b: Value): boolean => textOf(a) === textOf(b);

/** `docker push repo` and `docker push repo:tag` push what was built as `repo:tag`; registries may come in front. */
function names(pushed: Value, built: Value): boolean {
  const a = textOf(splitReference(pushed).repository);
  const b = textOf(splitReference(built).repository);
  return a === b || (!b.includes('/') && a.endsWith(`/${b}`));
}

function unique(values: readonly Value[]): readonly Value[] {
  return [...new Map(values.map((value) => [textOf(value), value])).values()];
}

/** Stands for what only the run knows, within a line of tags. */
const UNKNOWN = '\u0000';
const asField = (part: Part): string => (typeof part === 'string' ? part : (tagTemplate([part]) ?? UNKNOWN));

export interface TagTemplates {
  readonly templates: readonly { readonly template: string; readonly place: Place }[];
  /** Tags without a counterpart in slipway.yaml, and why. */
  readonly left: readonly { readonly text: string; readonly why: string; readonly place: Place }[];
}

/** The tags of an image in slipway.yaml's words. */
export function tagTemplates(image: Pick<PublishedImage, 'tags' | 'metadata'>): TagTemplates {
  const templates = new Map<string, Place>();
  const left: TagTemplates['left'][number][] = [];
  for (const { value, place } of image.tags) {
    const template = tagTemplate(value);
    if (template === undefined) left.push({ text: textOf(value), why: 'it is made by the run', place });
    else if (!templates.has(template)) templates.set(template, place);
  }
  for (const fact of image.metadata) {
    const text = fact.tags.map(asField).join('');
    // Whether there is a "latest" as well may be known to the run alone; prefixes and suffixes have to be known.
    const flavorText = fact.flavor
      .map(asField)
      .join('')
      .split('\n')
      .filter((line) => !(line.includes(UNKNOWN) && /^\s*latest=/.test(line)))
      .join('\n');
    if (flavorText.includes(UNKNOWN)) {
      left.push({
        text: textOf(fact.tags),
        why: 'prefix or suffix of the tags are made by the run',
        place: fact.tagsPlace,
      });
      continue;
    }
    const flavor = readFlavor(flavorText);
    for (const rule of readTagRules(text).rules) {
      const made = rule.line.includes(UNKNOWN) ? { why: 'it is made by the run' } : templateOf(rule, flavor);
      if ('why' in made) left.push({ text: rule.line.replaceAll(UNKNOWN, '…'), why: made.why, place: fact.tagsPlace });
      else if (!templates.has(made.template)) templates.set(made.template, fact.tagsPlace);
    }
  }
  return { templates: [...templates].map(([template, place]) => ({ template, place })), left };
}

function templateOf(
  rule: TagRule,
  flavor: { readonly prefix: string; readonly suffix: string },
): { readonly template: string } | { readonly why: string } {
  const { attributes } = rule;
  const enable = attributes.enable ?? 'true';
  if (enable === 'false') return { why: 'it is switched off' };
  if (enable !== 'true') return { why: `it is only made when ${enable} holds` };
  const prefix = fill(attributes.prefix ?? flavor.prefix);
  const suffix = fill(attributes.suffix ?? flavor.suffix);
  const middle = middleOf(rule);
  if (typeof middle !== 'string') return middle;
  const template = `${prefix ?? ''}${middle}${suffix ?? ''}`;
  return prefix === undefined || suffix === undefined || /\{\{/.test(template)
    ? { why: 'it has an expression without a counterpart' }
    : { template };
}

function middleOf(rule: TagRule): string | { readonly why: string } {
  const { attributes } = rule;
  switch (rule.type) {
    case 'sha':
      return attributes.format === 'long' ? '{sha:40}' : '{sha}';
    case 'edge':
      return 'edge';
    case 'raw':
      return fill(attributes.value ?? '') ?? { why: 'it has an expression without a counterpart' };
    case 'ref':
      if (attributes.event === 'pr') return { why: 'Slipway makes no tags for pull requests' };
      return attributes.event === 'tag' ? '{tag}' : '{branch}';
    case 'semver':
    case 'pep440': {
      if ((attributes.value ?? '') !== '') return { why: 'the version comes from a value, not from a git tag' };
      const text = (attributes.pattern ?? '')
        .replace(/\{\{\s*major\s*\}\}\.\{\{\s*minor\s*\}\}\.\{\{\s*patch\s*\}\}/g, '{semver}')
        .replace(/\{\{\s*major\s*\}\}\.\{\{\s*minor\s*\}\}/g, '{minor}')
        .replace(/\{\{\s*version\s*\}\}/g, '{semver}')
        .replace(/\{\{\s*major\s*\}\}/g, '{major}')
        .replace(/\{\{\s*raw\s*\}\}/g, '{tag}');
      return text.includes('{{') ? { why: 'its pattern has no counterpart' } : text;
    }
    case 'schedule':
      return { why: 'Slipway has no scheduled runs' };
    case 'match':
      return { why: 'Slipway takes versions from tags only as semantic versions' };
  }
}

/** Global expressions of metadata-action; undefined when one is left. */
function fill(text: string): string | undefined {
  const filled = text
    .replace(/\{\{\s*branch\s*\}\}/g, '{branch}')
    .replace(/\{\{\s*sha\s*\}\}/g, '{sha}')
    .replace(/\{\{\s*tag\s*\}\}/g, '{tag}')
    .replace(/\{\{\s*date\s+'YYYYMMDD'\s*\}\}/g, '{date}');
  return filled.includes('{{') ? undefined : filled;
}
