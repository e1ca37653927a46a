import type { Place } from '../problems/index.ts';
import type { YamlNode } from '../yaml/index.ts';

/** One entry of `rules` of a job or of `workflow`; `only` and `except` are turned into such entries. */
export interface JobRule {
  /** The expression as written. */
  readonly if?: string;
  readonly changes?: readonly string[];
  /** `changes` asks for the difference to this ref instead of that of the push. */
  readonly compareTo?: string;
  /** Globs of which one must match a file of the repository. */
  readonly exists?: readonly string[];
  readonly when?: string;
  /** Set for the pipeline or job when this rule decides. */
  readonly variables?: ReadonlyMap<string, string>;
  /** The rule could not be read: its place in a file that is not here. */
  readonly unread?: string;
  readonly place: Place;
}

export function readRules(rules: YamlNode | undefined): readonly JobRule[] | undefined {
  if (rules === undefined || (rules.kind === 'empty' && rules.tag === undefined)) return undefined;
  return rules.items().flatMap((item) => (item.kind === 'list' ? (readRules(item) ?? []) : [readRule(item)]));
}

function readRule(item: YamlNode): JobRule {
  const { place } = item;
  if (item.kind !== 'map') return { unread: LOST, place };
  const condition = item.string('if');
  const when = item.string('when');
  const [changes, exists] = [item.get('changes'), item.get('exists')];
  const paths = pathsOf(changes);
  const compareTo = changes?.string('compare_to');
  // Files of another project are not here, nor what a reference without an end stands for.
  const isElsewhere = exists?.get('project') !== undefined;
  const lost = [item.get('if'), changes, exists, item.get('when')].some(hasLost);
  const variables = item.get('variables')?.entries() ?? [];
  return {
    ...(condition !== undefined && { if: condition }),
    ...(changes !== undefined && { changes: paths }),
    ...(compareTo !== undefined && { compareTo }),
    ...(exists !== undefined && !isElsewhere && { exists: pathsOf(exists) }),
    ...(isElsewhere && { unread: 'files of another project' }),
    ...(lost && { unread: LOST }),
    ...(when !== undefined && { when }),
    ...(variables.length > 0 && { variables: new Map(variables.map(({ key, value }) => [key, value.text() ?? ''])) }),
    place,
  };
}

const LOST = 'a !reference that leads to nothing';

/** A `!reference` that could not be followed. */
export const isLost = (node: YamlNode | undefined): boolean => node?.tag === '!reference' && node.kind === 'empty';

const hasLost = (node: YamlNode | undefined): boolean =>
  isLost(node) || (node?.items().some(hasLost) ?? false) || (node?.kind === 'map' && hasLost(node.get('paths')));

/** `changes` and `exists`: a list, or a map with `paths`; lists within lists come from anchors and references. */
function pathsOf(node: YamlNode | undefined): readonly string[] {
  if (node === undefined) return [];
  if (node.kind === 'map') return pathsOf(node.get('paths'));
  return node.text() === undefined ? node.items().flatMap(pathsOf) : [node.text() ?? ''];
}

/** `only` and `except` in the words of `rules`: exceptions first, then one rule for what is named. */
export function readLegacyRules(
  only: YamlNode | undefined,
  except: YamlNode | undefined,
): readonly JobRule[] | undefined {
  if (only === undefined && except === undefined) return undefined;
  const list = (node: YamlNode | undefined): readonly string[] =>
    node === undefined
      ? []
      : node.text() === undefined
        ? node.items().flatMap((one) => one.text() ?? [])
        : [node.text() ?? ''];
  const refs = (node: YamlNode): readonly string[] => list(node.kind === 'map' ? node.get('refs') : node);
  const rules: JobRule[] = [];
  // The keys of `except` exclude one by one, those of `only` must hold together; within a key one is enough.
  if (except !== undefined) {
    const { place } = except;
    for (const name of refs(except)) rules.push({ if: refCondition(name), when: 'never', place });
    for (const each of list(except.get('variables'))) rules.push({ if: each, when: 'never', place });
    const changes = list(except.get('changes'));
    if (changes.length > 0) rules.push({ changes, when: 'never', place });
    if (except.get('kubernetes') !== undefined)
      rules.push({ unread: 'whether a cluster is connected', when: 'never', place });
  }
  const place = only?.place ?? except?.place;
  if (place === undefined) return undefined;
  const names = only === undefined ? [] : refs(only);
  const changes = list(only?.get('changes'));
  const variables = list(only?.get('variables'));
  const wanted = (names.length > 0 ? names : ['branches', 'tags']).map(refCondition).join(' || ');
  rules.push({
    if: variables.length === 0 ? wanted : `(${wanted}) && (${variables.map((each) => `(${each})`).join(' || ')})`,
    ...(changes.length > 0 && { changes }),
    ...(only?.get('kubernetes') !== undefined && { unread: 'whether a cluster is connected' }),
    place,
  });
  return rules;
}

const SOURCES: Readonly<Record<string, string>> = {
  merge_requests: 'merge_request_event',
  pushes: 'push',
  schedules: 'schedule',
  web: 'web',
  api: 'api',
  triggers: 'trigger',
  pipelines: 'pipeline',
  external: 'external',
  chat: 'chat',
};

function refCondition(written: string): string {
  // `main@group/project` names a ref of one project, against its forks.
  const [, ref, project] = /^(\/.*\/i?|[^@]*)@(.+)$/.exec(written) ?? [];
  if (ref !== undefined && project !== undefined) return `(${refCondition(ref)}) && $CI_PROJECT_PATH == "${project}"`;
  const name = written;
  if (name === 'branches') return '$CI_COMMIT_BRANCH';
  if (name === 'tags') return '$CI_COMMIT_TAG';
  const source = SOURCES[name];
  if (source !== undefined) return `$CI_PIPELINE_SOURCE == "${source}"`;
  return /^\/.*\/i?$/.test(name) ? `$CI_COMMIT_REF_NAME =~ ${name}` : `$CI_COMMIT_REF_NAME == "${name}"`;
}

export type Truth = 'true' | 'false' | 'unknown';

/** What GitLab's predefined variables are in one pipeline; null = not set. A name that is missing is not known. */
export type RuleVariables = ReadonlyMap<string, string | null>;

const TOKEN =
  /\s*(?:(&&|\|\||==|!=|=~|!~|\(|\))|\$\{?([A-Za-z_]\w*)\}?|"([^"]*)"|'([^']*)'|\/((?:\\.|[^/\\])+)\/(i?)|(null)\b)/y;

interface Operand {
  readonly text: string | null | undefined;
  readonly pattern?: RegExp;
}

/** An expression of `rules:if` (GitLab 16 and newer): three-valued, as variables of the project are not in the file. */
export function judgeRule(expression: string, variables: RuleVariables): Truth {
  const tokens: (string | Operand)[] = [];
  TOKEN.lastIndex = 0;
  const text = expression.trim();
  while (TOKEN.lastIndex < text.length) {
    const match = TOKEN.exec(text);
    if (match === null) return 'unknown';
    const [, sign, name, double, single, pattern, flag] = match;
    if (sign !== undefined) tokens.push(sign);
    else if (name !== undefined) tokens.push({ text: variables.get(name) });
    else if (pattern !== undefined) {
      try {
        tokens.push({ text: undefined, pattern: new RegExp(pattern, flag) });
      } catch {
        return 'unknown';
      }
    } else tokens.push({ text: double ?? single ?? null });
  }
  let at = 0;
  const operand = (): Operand => {
    const token = tokens[at];
    at += 1;
    return typeof token === 'object' ? token : { text: undefined };
  };
  const comparison = (): Truth => {
    if (tokens[at] === '(') {
      at += 1;
      const inside = either();
      if (tokens[at] === ')') at += 1;
      return inside;
    }
    const left = operand();
    const sign = tokens[at];
    if (sign === '==' || sign === '!=' || sign === '=~' || sign === '!~') {
      at += 1;
      return compare(left, sign, operand());
    }
    if (left.text === undefined) return 'unknown';
    return left.text === null || left.text === '' ? 'false' : 'true';
  };
  const both = (): Truth => {
    let result = comparison();
    while (tokens[at] === '&&') {
      at += 1;
      result = and(result, comparison());
    }
    return result;
  };
  const either = (): Truth => {
    let result = both();
    while (tokens[at] === '||') {
      at += 1;
      result = not(and(not(result), not(both())));
    }
    return result;
  };
  const result = either();
  return at === tokens.length ? result : 'unknown';
}

function compare(left: Operand, sign: string, right: Operand): Truth {
  if (left.text === undefined || (right.text === undefined && right.pattern === undefined)) return 'unknown';
  const isNegated = sign.startsWith('!');
  if (sign.endsWith('~')) {
    // A variable that holds a pattern is written `/…/` inside.
    const source = right.pattern ?? /^\/(.*)\/$/.exec(right.text ?? '')?.[1];
    if (source === undefined) return 'unknown';
    // A variable that is not set is matched as an empty text (GitLab's lexeme Matches).
    const isMatch = new RegExp(source).test(left.text ?? '');
    return isMatch === isNegated ? 'false' : 'true';
  }
  return (left.text === right.text) === isNegated ? 'false' : 'true';
}

const not = (value: Truth): Truth => (value === 'unknown' ? value : value === 'true' ? 'false' : 'true');
const and = (a: Truth, b: Truth): Truth =>
  a === 'false' || b === 'false' ? 'false' : a === 'true' && b === 'true' ? 'true' : 'unknown';
