import type { Place } from '../problems/index.ts';
import type { YamlNode } from '../yaml/index.ts';

/** One entry of `rules` of a job or of `workflow`; `only` and `except` are turned into such entries. */
export interface JobRule {
  /** The expression as written. */
  readonly if?: string;
  readonly changes?: readonly string[];
  readonly when?: string;
  readonly place: Place;
}

export function readRules(rules: YamlNode | undefined): readonly JobRule[] | undefined {
  if (rules === undefined) return undefined;
  return rules.items().flatMap((item) => (item.kind === 'list' ? (readRules(item) ?? []) : [readRule(item)]));
}

function readRule(item: YamlNode): JobRule {
  const condition = item.string('if');
  const when = item.string('when');
  const changes = item.get('changes');
  const paths =
    changes?.kind === 'map' ? changes.strings('paths') : changes === undefined ? [] : item.strings('changes');
  return {
    ...(condition !== undefined && { if: condition }),
    ...(paths.length > 0 && { changes: paths }),
    ...(when !== undefined && { when }),
    place: item.place,
  };
}

/** `only` and `except` in the words of `rules`: exceptions first, then one rule for what is named. */
export function readLegacyRules(
  only: YamlNode | undefined,
  except: YamlNode | undefined,
): readonly JobRule[] | undefined {
  if (only === undefined && except === undefined) return undefined;
  const refs = (node: YamlNode): readonly string[] =>
    node.kind === 'map'
      ? node.strings('refs')
      : (node.text() === undefined ? node.items() : [node]).flatMap((one) => one.text() ?? []);
  const rules: JobRule[] = [];
  if (except !== undefined) {
    for (const name of refs(except)) rules.push({ if: refCondition(name), when: 'never', place: except.place });
    const changes = except.kind === 'map' ? except.strings('changes') : [];
    if (changes.length > 0) rules.push({ changes, when: 'never', place: except.place });
  }
  const place = only?.place ?? except?.place;
  if (place === undefined) return undefined;
  const names = only === undefined ? [] : refs(only);
  const changes = only?.kind === 'map' ? only.strings('changes') : [];
  const condition = (names.length > 0 ? names : ['branches', 'tags']).map(refCondition).join(' || ');
  rules.push({ if: condition, ...(changes.length > 0 && { changes }), place });
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

function refCondition(name: string): string {
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
    const isMatch = left.text !== null && new RegExp(source).test(left.text);
    return isMatch === isNegated ? 'false' : 'true';
  }
  return (left.text === right.text) === isNegated ? 'false' : 'true';
}

const not = (value: Truth): Truth => (value === 'unknown' ? value : value === 'true' ? 'false' : 'true');
const and = (a: Truth, b: Truth): Truth =>
  a === 'false' || b === 'false' ? 'false' : a === 'true' && b === 'true' ? 'true' : 'unknown';
