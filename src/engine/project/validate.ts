import * as v from 'valibot';
import type { Diagnostic } from '../problems/index.ts';
import type { PlacedYaml } from '../yaml/index.ts';
import { configSchema, smokeSchemas } from './schema.ts';
import { suggest } from './suggest.ts';

type Path = readonly (string | number)[];
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
  if (issue.type === 'strict_object' && issue.expected === 'never') return [unknownKey(issue, path, yaml)];
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

function unknownKey(issue: Issue, path: Path, yaml: PlacedYaml): Diagnostic {
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
    ...(issue.kind === 'schema' && {}),
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

/** The keys the schema knows at a path; record keys (image and environment names) are passed through. */
export function keysAt(path: Path): readonly string[] {
  let schema: unknown = configSchema;
  for (const part of path) {
    schema = unwrap(schema);
    const entries = (schema as { entries?: Record<string, unknown> }).entries;
    const record = schema as { type?: string; value?: unknown; item?: unknown; options?: readonly unknown[] };
    if (entries !== undefined) schema = entries[String(part)];
    else if (record.type === 'record') schema = record.value;
    else if (record.type === 'array') schema = record.item;
    else return [];
  }
  schema = unwrap(schema);
  const union = (schema as { type?: string; options?: readonly unknown[] }) ?? {};
  if (union.type === 'union') {
    return [
      ...new Set(
        (union.options ?? []).flatMap((option) => Object.keys((unwrap(option) as { entries?: object }).entries ?? {})),
      ),
    ];
  }
  return Object.keys((schema as { entries?: object } | undefined)?.entries ?? {});
}

function unwrap(schema: unknown): unknown {
  let current = schema as { type?: string; wrapped?: unknown; pipe?: readonly unknown[] } | undefined;
  while (current !== undefined) {
    if (current.type === 'optional') current = current.wrapped as typeof current;
    // A piped schema is a copy of its first member with the rest beside it, so its entries are read directly.
    else return current;
  }
  return current;
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
