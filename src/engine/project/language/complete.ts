import type { Position, Range } from '../../problems/index.ts';
import type { Candidate, Candidates } from './candidates.ts';
import { type Cursor, cursorAt } from './cursor.ts';
import { type KeyShape, keysOf, kindWords, type Path, type Shape, shapesAt, wordsOf } from './shapes.ts';

export interface CompletionItem {
  readonly label: string;
  readonly kind: 'key' | 'word' | 'name' | 'file' | 'template';
  /** TextMate snippet syntax; `$0` is where the cursor stays. */
  readonly snippet: string;
  readonly replace: Range;
  readonly detail?: string;
  readonly documentation?: string;
  /** `schema`: any editor with the JSON schema has it too. `workspace`: only who knows the workspace. */
  readonly from: 'schema' | 'workspace';
  /** More is to be had right behind it. */
  readonly goesOn: boolean;
}

export const PLATFORMS = [
  'linux/amd64',
  'linux/arm64',
  'linux/arm/v7',
  'linux/arm/v6',
  'linux/386',
  'linux/ppc64le',
  'linux/riscv64',
  'linux/s390x',
  'windows/amd64',
];

const TEMPLATES: readonly Candidate[] = [
  { text: '{branch}-{sha}', detail: 'branch and commit, for example main-4f2a9c1' },
  { text: '{semver}', detail: 'version tag on the commit, else of the branch, without its v' },
  { text: '{sha}', detail: 'commit, 7 characters' },
  { text: 'sha-{sha}', detail: 'commit behind a word' },
  { text: '{sha:12}', detail: 'commit, 12 characters' },
  { text: 'v{semver}', detail: 'version with its v' },
  { text: '{major}', detail: 'major part of the version' },
  { text: '{minor}', detail: 'major and minor part of the version, for example 1.4' },
  { text: '{tag}', detail: 'git tag as it is' },
  { text: '1.0.{commits}', detail: 'number of commits' },
  { text: '{date}', detail: 'day, for example 20260131' },
  { text: '{branch}', detail: 'branch; moves' },
  { text: 'latest', detail: 'moves' },
];

const DURATIONS: readonly Candidate[] = ['30s', '1m', '5m', '10m'].map((text) => ({ text, detail: 'duration' }));

/** What may stand at a place of slipway.yaml. Keys that are there already are left out. */
export function complete(text: string, position: Position, candidates: Candidates): readonly CompletionItem[] {
  const cursor = cursorAt(text, position);
  if (cursor === undefined) return [];
  const shapes = shapesAt(cursor.path, cursor.value);
  if (cursor.part === 'value') return values(cursor, cursor.path, shapes, candidates);
  const keys = [...keyItems(cursor, shapes), ...nameItems(cursor, shapes, candidates)];
  // A word alone in its line may turn out to be no key at all.
  if (!cursor.isAlone || keys.length > 0 || cursor.siblings.length > 0) return keys;
  const list = shapes.find(({ type }) => type === 'array');
  if (list === undefined) return values(cursor, cursor.path, shapes, candidates);
  return listItems(cursor, list, candidates);
}

function keyItems(cursor: Cursor, shapes: readonly Shape[]): readonly CompletionItem[] {
  const last = cursor.path.at(-1);
  // Exactly one way to deploy: where one is chosen, a second would be a mistake.
  if (last === 'deploy' && cursor.siblings.length > 0 && cursor.colon === 'missing') return [];
  return keysOf(shapes)
    .filter(({ name }) => !cursor.siblings.includes(name))
    .map((key) => ({
      label: key.name,
      kind: 'key',
      snippet: cursor.colon === 'written' ? key.name : `${key.name}:${behindKey(key, cursor)}`,
      replace: cursor.replace,
      detail: `${kindWords(key.shapes)}${key.isRequired ? ', required' : ''}`,
      ...(key.description !== undefined && { documentation: key.description }),
      from: 'schema',
      goesOn: true,
    }));
}

/** Behind a new key: room for its value, in the style that reads best. */
function behindKey(key: KeyShape, cursor: Cursor): string {
  const [first] = key.shapes;
  const isText = key.shapes.some(({ type }) => !['array', 'record'].includes(type) && first?.entries === undefined);
  if (first === undefined || isText) return ' $0';
  if (first.type === 'array') {
    const isOfMaps = first.item?.entries !== undefined || first.item?.type === 'union';
    return isOfMaps && cursor.style === 'block' ? '\n  - $0' : ' [$0]';
  }
  return cursor.style === 'block' ? '\n  $0' : ' { $0 }';
}

/** Names a person chooses, where the workspace suggests some. */
function nameItems(cursor: Cursor, shapes: readonly Shape[], candidates: Candidates): readonly CompletionItem[] {
  if (!shapes.some(({ type }) => type === 'record')) return [];
  const name = (text: string, detail: string, behind: string): CompletionItem => ({
    label: text,
    kind: 'name',
    snippet: cursor.colon === 'written' ? text : `${text}:${behind}`,
    replace: cursor.replace,
    detail,
    from: 'workspace',
    goesOn: true,
  });
  const isFree = (text: string) => !cursor.siblings.includes(text);
  const nested = cursor.style === 'block' ? '\n  $0' : ' { $0 }';
  if (cursor.path.length === 1 && cursor.path[0] === 'environments') {
    return ['dev', 'staging', 'prod'].filter(isFree).map((text) => name(text, 'environment', nested));
  }
  if (cursor.path.length === 1 && cursor.path[0] === 'images') {
    return candidates.dockerfiles
      .map(({ text, detail }) => ({ text: imageName(text), detail: `${text}, ${detail}` }))
      .filter(({ text }) => text !== '' && isFree(text))
      .map(({ text, detail }) => name(text, detail, nested));
  }
  if (cursor.path.at(-1) === 'images' && cursor.path.at(-2) === 'helm') {
    return imageNames(cursor.value)
      .filter(isFree)
      .map((text) => name(text, 'image of this project', ' $0'));
  }
  return [];
}

/** `docker/api.Dockerfile` → `api`, `web/Dockerfile` → `web`. */
function imageName(path: string): string {
  const parts = path.split('/');
  const file = parts.at(-1) ?? '';
  const own = file.replace(/^(Dockerfile|Containerfile)[._-]?|[._-]?(Dockerfile|Containerfile)$/gi, '');
  return (own === '' ? (parts.at(-2) ?? '') : own).toLowerCase().replace(/[^a-z0-9._-]+/g, '-');
}

function listItems(cursor: Cursor, list: Shape, candidates: Candidates): readonly CompletionItem[] {
  const path = [...cursor.path, 0];
  const inner = values({ ...cursor, isAlone: false }, path, shapesAt(path, cursor.value), candidates);
  if (inner.length > 0) return inner.map((item) => ({ ...item, snippet: `- ${item.snippet}` }));
  if (list.item === undefined) return [];
  return keyItems({ ...cursor, path, siblings: [] }, shapesAt(path, cursor.value))
    .filter(({ detail }) => detail?.endsWith('required') === true)
    .map((item) => ({ ...item, label: `- ${item.label}`, snippet: `- ${item.snippet}` }));
}

function values(
  cursor: Cursor,
  path: Path,
  shapes: readonly Shape[],
  candidates: Candidates,
): readonly CompletionItem[] {
  const taken = takenIn(cursor.value, path);
  const item = (found: Candidate, kind: CompletionItem['kind'], from: CompletionItem['from']): CompletionItem => ({
    label: found.text,
    kind,
    snippet: escaped(cursor.quote === 'none' ? quotedWhenNeeded(found.text, shapes) : found.text),
    replace: cursor.replace,
    ...(found.detail !== '' && { detail: found.detail }),
    from,
    goesOn: false,
  });
  const words = wordsOf(shapes).map((text) => item({ text, detail: '' }, 'word', 'schema'));
  const known = knownAt(path, cursor.value, candidates);
  return [...words, ...known.found.map((each) => item(each, known.kind, 'workspace'))].filter(
    ({ label }) => !taken.has(label) || label === cursor.word,
  );
}

/** In a list a value stands once. */
function takenIn(value: unknown, path: Path): ReadonlySet<string> {
  if (typeof path.at(-1) !== 'number') return new Set();
  const list = valueAt(value, path.slice(0, -1));
  return new Set(Array.isArray(list) ? list.map(String) : []);
}

interface Known {
  readonly kind: CompletionItem['kind'];
  readonly found: readonly Candidate[];
}

/** What the workspace has for a value at this path. */
function knownAt(path: Path, value: unknown, candidates: Candidates): Known {
  const keys = path.filter((part) => typeof part === 'string');
  const [top, , ...inside] = keys;
  const key = keys.at(-1);
  const names = (found: readonly Candidate[]): Known => ({ kind: 'name', found });
  const files = (found: readonly Candidate[]): Known => ({ kind: 'file', found });
  const images = imageNames(value).map((text) => ({ text, detail: 'image of this project' }));
  if (key === 'tags' || key === 'moving') return { kind: 'template', found: TEMPLATES };
  if (key === 'timeout' || key === 'stability') return { kind: 'word', found: DURATIONS };
  if (top === 'test' && key === 'container') {
    return names(images.map(({ text, detail }) => ({ text: `image:${text}`, detail })));
  }
  if (top === 'images') return imageValues(path, key, value, candidates);
  if (top !== 'environments') return names([]);
  switch (inside.join('.')) {
    case 'context':
      return names(candidates.contexts);
    case 'namespace':
      return names(candidates.namespaces);
    case 'deploy.helm.chart':
      return files(candidates.charts);
    case 'deploy.helm.values':
      return files(candidates.values);
    case 'deploy.manifests.paths':
      return files(candidates.manifests);
    case 'deploy.kustomize.path':
      return files(candidates.kustomizations);
    case 'deploy.manifests.images':
    case 'deploy.kustomize.images':
      return names(images);
    case 'deploy.flux.policies':
      return names(candidates.policies);
    case 'deploy.flux.automation':
      return names(candidates.automations);
    case 'deploy.argocd.application':
      return names(candidates.applications);
    case 'smoke.get':
    case 'smoke.post':
    case 'smoke.tcp':
      return names(key === 'tcp' ? candidates.targets.map(withoutPath) : candidates.targets);
    default:
      if (!inside.join('.').startsWith('deploy.helm.images.')) return names([]);
      return names(chartKeys(valueAt(value, [...path.slice(0, -2), 'chart']), candidates));
  }
}

const withoutPath = (target: Candidate): Candidate => ({ ...target, text: target.text.replace(/\/$/, '') });

function imageValues(path: Path, key: string | undefined, value: unknown, candidates: Candidates): Known {
  switch (key) {
    case 'platforms':
      return { kind: 'word', found: PLATFORMS.map((text) => ({ text, detail: 'platform' })) };
    case 'dockerfile':
      return { kind: 'file', found: candidates.dockerfiles };
    case 'repository':
      return { kind: 'name', found: candidates.repositories };
    case 'ssh':
      return { kind: 'word', found: [{ text: 'default', detail: 'the running SSH agent' }] };
    case 'target': {
      const image = path.slice(0, -1);
      const file = valueAt(value, [...image, 'dockerfile']) ?? contextFile(valueAt(value, [...image, 'context']));
      const stages = candidates.dockerfiles.find(({ text }) => text === file)?.stages ?? [];
      return { kind: 'name', found: stages.map((text) => ({ text, detail: `stage of ${String(file)}` })) };
    }
    default:
      return { kind: 'name', found: [] };
  }
}

const contextFile = (context: unknown): string =>
  typeof context === 'string' && !/^\.?\/?$/.test(context)
    ? `${context.replace(/^\.\//, '').replace(/\/$/, '')}/Dockerfile`
    : 'Dockerfile';

const chartKeys = (chart: unknown, candidates: Candidates): readonly Candidate[] =>
  candidates.charts.find(({ text }) => text === String(chart).replace(/^\.\//, '').replace(/\/$/, ''))?.keys ?? [];

export function imageNames(value: unknown): readonly string[] {
  const images = valueAt(value, ['images']);
  return typeof images === 'object' && images !== null && !Array.isArray(images) ? Object.keys(images) : [];
}

export function valueAt(value: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (here, part) =>
      typeof here === 'object' && here !== null ? (here as Record<string | number, unknown>)[part] : undefined,
    value,
  );
}

/** Text that plain YAML would read as something else gets double quotes. */
function quotedWhenNeeded(text: string, shapes: readonly Shape[]): string {
  if (!shapes.some(({ type }) => type === 'string')) return text;
  const isPlain = /^[A-Za-z0-9_./][^\s#:,[\]{}"'`]*(?::(?!\s)[^\s#:,[\]{}"'`]*)*$/.test(text) && !/^[\d.]+$/.test(text);
  return isPlain && !/^(true|false|null|yes|no|on|off|~)$/i.test(text) ? text : `"${text}"`;
}

/** Literal text inside of a snippet. */
const escaped = (text: string): string => text.replace(/[\\$}]/g, (sign) => `\\${sign}`);
