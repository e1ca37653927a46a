import * as v from 'valibot';
import type { Diagnostic } from '../problems/index.ts';
import type { PlacedYaml } from '../yaml/index.ts';
import { keysAt, type Path } from './language/shapes.ts';
import { configSchema, smokeSchemas } from './schema.ts';
import { suggest } from './suggest.ts';

type Issue = v.BaseIssue<unknown>;

/** What is wrong with a configuration, each with its exact place. Empty when it fits the schema. */
export function validateConfig(yaml: PlacedYaml): readonly Diagnostic[] {
  const parsed = v.safeParse(configSchema, yaml.value, { abortPipeEarly: true });
  return (parsed.issues ?? []).flatMap((issue) => explain(issue, [], yaml));
}

function explain(issue: Issue, base: Path, yaml: PlacedYaml): readonly Diagnostic[] {
  const path = [...base, ...(issue.path ?? []).map((item) => item.key as string | number)];
  if (issue.type === 'union') {
    const meant = meantSmoke(issue, path, yaml);
    if (meant !== undefined) return meant;
  }
  const where = path.length === 0 ? 'The file' : label(path);
  if (issue.type === 'strict_object' && issue.expected === 'never') return [unknownKey(path, yaml)];
  if (issue.type === 'strict_object' && issue.received === 'undefined') {
    return [
      {
        severity: 'error',
        code: 'config.missing-key',
        message: `${label(path.slice(0, -1))} needs "${path.at(-1)}".`,
        place: yaml.placeOfKey(path.slice(0, -1)),
        fix: `Add "${path.at(-1)}:".`,
      },
    ];
  }
  const isOwnWords = !/^Invalid /.test(issue.message);
  return [
    {
      severity: 'error',
      code: 'config.value',
      message: isOwnWords
        ? `${where} ${issue.message}.`
        : `${where} must be ${words(issue.expected)}, not ${words(issue.received)}.`,
      place: yaml.placeOf(path),
      ...nearValue(issue),
    },
  ];
}

function unknownKey(path: Path, yaml: PlacedYaml): Diagnostic {
  const key = String(path.at(-1));
  const parent = path.slice(0, -1);
  const near = suggest(key, keysAt(parent));
  return {
    severity: 'error',
    code: 'config.unknown-key',
    message: `${label(parent)} has no "${key}"${near === undefined ? '' : `; did you mean "${near}"`}${near === undefined ? '.' : '?'}`,
    place: yaml.placeOfKey(path),
    ...(near === undefined
      ? { fix: `Remove it. Known here: ${keysAt(parent).join(', ')}.` }
      : { fix: `Write "${near}".`, replacement: near }),
  };
}

/** A smoke check that fits none of the shapes is explained for the one whose key it has. */
function meantSmoke(issue: Issue, path: Path, yaml: PlacedYaml): readonly Diagnostic[] | undefined {
  if (path.at(-2) !== 'smoke' || typeof issue.input !== 'object' || issue.input === null) return undefined;
  const keys = Object.keys(smokeSchemas) as (keyof typeof smokeSchemas)[];
  const shape = keys.find((key) => key in (issue.input as object));
  if (shape === undefined) {
    return [
      {
        severity: 'error',
        code: 'config.value',
        message: `A smoke check needs one of ${keys.join(', ')}.`,
        place: yaml.placeOf(path),
        fix: 'For example: get: "service/web:http/healthz".',
      },
    ];
  }
  const inner = v.safeParse(smokeSchemas[shape], issue.input, { abortPipeEarly: true });
  return (inner.issues ?? []).flatMap((nested) => explain(nested as Issue, path, yaml));
}

function nearValue(issue: Issue): { readonly fix?: string; readonly replacement?: string } {
  if (issue.type !== 'picklist' || typeof issue.input !== 'string') return {};
  const options = [...(issue.expected ?? '').matchAll(/"([^"]+)"/g)].map((match) => match[1] ?? '');
  const near = suggest(issue.input, options);
  return near === undefined
    ? { fix: `Use one of ${options.join(', ')}.` }
    : { fix: `Write "${near}".`, replacement: near };
}

function label(path: Path): string {
  if (path.length === 0) return 'slipway.yaml';
  return path.reduce<string>(
    (text, part) => (typeof part === 'number' ? `${text}[${part}]` : text === '' ? part : `${text}.${part}`),
    '',
  );
}

function words(text: string | null): string {
  if (text === null) return 'something else';
  return text
    .replace(/^Array$/, 'a list')
    .replace(/^Object$/, 'a map')
    .replaceAll(' | ', ' or ')
    .replace(/^undefined$/, 'absent')
    .replace(/^null$/, 'empty');
}
