import { RE2JS } from 're2js';
import { SlipwayError } from '../problems/index.ts';
import type { HttpExpectation } from '../project/model.ts';

export interface Answer {
  readonly status: number;
  /** Lower-case names; repeated headers joined by `, `. */
  readonly headers: Readonly<Record<string, string>>;
  /** At most the first {@link BODY_LIMIT} bytes. */
  readonly body: string;
  readonly latencyMs: number;
}

/** Enough for a health page; a smoke check is no download test. */
export const BODY_LIMIT = 1024 * 1024;

/** What an answer lacks, one sentence each; empty = as expected. `isSettled`: trying again will hardly change it. */
export interface Judgement {
  readonly unmet: readonly string[];
  readonly isSettled: boolean;
}

/** Statuses of a server (or a proxy before it) that is starting, busy or moving. */
const passing = new Set([404, 408, 421, 425, 429, 500, 502, 503, 504]);

export function judge(answer: Answer, expect: HttpExpectation): Judgement {
  const unmet: string[] = [];
  const isStatusRight = expect.status.includes(answer.status);
  if (!isStatusRight) unmet.push(`status ${answer.status} instead of ${expect.status.join(' or ')}`);
  if (expect.contains !== undefined && !answer.body.includes(expect.contains)) {
    unmet.push(`the body does not contain ${JSON.stringify(expect.contains)}: ${excerpt(answer.body)}`);
  }
  if (expect.matches !== undefined && !patternOf(expect.matches).matcher(answer.body).find()) {
    unmet.push(`the body does not match /${expect.matches}/: ${excerpt(answer.body)}`);
  }
  unmet.push(...unmetJson(answer.body, expect.json));
  for (const [name, value] of Object.entries(expect.headers)) {
    const found = answer.headers[name.toLowerCase()];
    if (found === undefined) unmet.push(`no header ${name}`);
    else if (found !== value)
      unmet.push(`header ${name} is ${JSON.stringify(found)} instead of ${JSON.stringify(value)}`);
  }
  const isSlow = expect.latencyMs !== undefined && answer.latencyMs > expect.latencyMs;
  const others = unmet.length;
  if (isSlow) unmet.push(`it took ${Math.round(answer.latencyMs)} ms instead of at most ${expect.latencyMs} ms`);
  // A first answer may be slow while caches fill, so slowness alone is looked at again.
  const isSettled = others > 0 && (isStatusRight || !passing.has(answer.status));
  return { unmet, isSettled };
}

/** RE2 syntax, as the rest of the configuration has it. Throws SlipwayError `config`. */
export function patternOf(text: string): ReturnType<typeof RE2JS.compile> {
  try {
    return RE2JS.compile(text, RE2JS.MULTILINE);
  } catch (error) {
    throw new SlipwayError(
      {
        reason: 'config',
        code: 'smoke.pattern',
        message: `/${text}/ is not a regular expression: ${error instanceof Error ? error.message : String(error)}.`,
        fix: 'Write it in RE2 syntax; it has no look-around and no back-references.',
      },
      { cause: error },
    );
  }
}

function unmetJson(body: string, expected: HttpExpectation['json']): readonly string[] {
  const entries = Object.entries(expected);
  if (entries.length === 0) return [];
  let parsed: unknown;
  try {
    parsed = JSON.parse(body);
  } catch {
    return [`the body is no JSON: ${excerpt(body)}`];
  }
  return entries.flatMap(([path, value]) => {
    const found = jsonAt(parsed, path);
    if (found === value) return [];
    return [
      found === undefined
        ? `the JSON has no ${path}`
        : `${path} is ${excerpt(JSON.stringify(found))} instead of ${JSON.stringify(value)}`,
    ];
  });
}

/** The value at a dotted path with `[n]`, with or without a leading `$`; undefined when it is not there. */
export function jsonAt(value: unknown, path: string): unknown {
  let here = value;
  for (const [, key, index] of path.replace(/^\$\.?/, '').matchAll(/([^.[\]]+)|\[(\d+)\]/g)) {
    if (typeof here !== 'object' || here === null) return undefined;
    here = (here as Readonly<Record<string, unknown>>)[key ?? index ?? ''];
  }
  return here;
}

function excerpt(text: string): string {
  const line = text.trim().replace(/\s+/g, ' ');
  return line === '' ? '(empty)' : line.length > 200 ? `${line.slice(0, 200)}…` : line;
}
