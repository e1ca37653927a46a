// Reads case files: what of a file is a case, of which kind, and what is wrong with the rest, with its place.
import { readFileSync } from 'node:fs';
import { findNodeAtLocation, type Node, parseTree } from 'jsonc-parser';

export interface ConstraintCase {
  readonly kind: 'constraint';
  readonly name: string;
  readonly constraint: string;
  readonly version?: string;
  readonly matches?: boolean;
  readonly tagValid?: boolean;
  readonly error?: boolean;
}

export interface PolicyCase {
  readonly kind: 'policy';
  readonly name: string;
  readonly rules: PolicyFields;
  readonly tags: readonly string[];
  readonly latest?: string;
  readonly latestAnyOf?: readonly string[];
  readonly error?: boolean;
}

interface PolicyFields {
  readonly policy: {
    readonly semver?: { readonly range: string };
    readonly alphabetical?: { readonly order?: string };
    readonly numerical?: { readonly order?: string };
  };
  readonly filterTags?: { readonly pattern?: string; readonly extract?: string };
  readonly exclusionList?: readonly string[];
}

export interface MarkerCase {
  readonly kind: 'marker';
  readonly name: string;
  readonly file?: string;
  readonly automationNamespace?: string;
  readonly input: string;
  /** `namespace:name` → `name:tag[@digest]`, or empty for a policy without a latest reference. */
  readonly policies: Readonly<Record<string, string>>;
  readonly expected?: string;
  readonly changed?: boolean;
  readonly skipped?: string;
  readonly error?: boolean;
}

export type Case = ConstraintCase | PolicyCase | MarkerCase;

/** Something in a file that is no case. */
export interface Fault {
  readonly kind: 'fault';
  readonly name: string;
  readonly reason: string;
}

export interface PlacedCase {
  /** Line in the file, from 1. */
  readonly line: number;
  readonly found: Case | Fault;
}

/** Thrown for a file that holds no list of cases. */
export class CaseFileError extends Error {}

type Fields = Readonly<Record<string, unknown>>;

export function readCases(file: string): readonly PlacedCase[] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8').replace(/^\ufeff/, '');
  } catch (error) {
    throw new CaseFileError(`it cannot be read: ${messageOf(error)}`);
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new CaseFileError(`it is not JSON: ${messageOf(error)}`);
  }
  const path = isFields(json) && Array.isArray(json.cases) ? ['cases'] : [];
  const list: readonly unknown[] = Array.isArray(json)
    ? json
    : isFields(json) && Array.isArray(json.cases)
      ? json.cases
      : [json];
  if (list.length === 0) throw new CaseFileError('it holds no case');
  const tree = parseTree(text);
  return list.map((item, index) => {
    const node = tree && findNodeAtLocation(tree, Array.isArray(json) || path.length > 0 ? [...path, index] : []);
    return { line: lineOf(text, node), found: caseOf(item, index) };
  });
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
const lineOf = (text: string, node: Node | undefined): number => text.slice(0, node?.offset ?? 0).split('\n').length;
const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function caseOf(item: unknown, index: number): Case | Fault {
  const name = `case ${index + 1}`;
  if (!isFields(item))
    return { kind: 'fault', name, reason: `a case is an object, and this is ${JSON.stringify(item)}` };
  const reader = new Reader(item);
  const title = String(item.name ?? item.id ?? name);
  try {
    if (item.constraint !== undefined) return constraintOf(reader, title);
    if (item.tags !== undefined || item.policy !== undefined) return policyOf(reader, title);
    if (item.input !== undefined) return markerOf(reader, title);
  } catch (error) {
    if (error instanceof CaseFileError) return { kind: 'fault', name: title, reason: error.message };
    throw error;
  }
  const keys = Object.keys(item).join(', ') || 'none';
  return {
    kind: 'fault',
    name: title,
    reason: `it is of no known kind: a constraint has "constraint", a policy "tags" and "policy", a marker "input"; its fields are ${keys}`,
  };
}

/** The fields of one object; a null counts as a field that is not there. */
class Reader {
  readonly #fields: Fields;
  readonly #path: string;

  constructor(fields: Fields, path = '') {
    this.#fields = fields;
    this.#path = path;
  }

  #get<T>(name: string, what: string, is: (value: unknown) => value is T): T | undefined {
    const value = this.#fields[name] ?? undefined;
    if (value === undefined || is(value)) return value;
    throw new CaseFileError(`"${this.#path}${name}" must be ${what}, and is ${JSON.stringify(value)}`);
  }

  text(name: string): string | undefined {
    return this.#get(name, 'a text', (value) => typeof value === 'string');
  }

  flag(name: string): boolean | undefined {
    return this.#get(name, 'true or false', (value) => typeof value === 'boolean');
  }

  texts(name: string): readonly string[] | undefined {
    const isTexts = (value: unknown): value is readonly string[] =>
      Array.isArray(value) && value.every((one) => typeof one === 'string');
    return this.#get(name, 'a list of texts', isTexts);
  }

  fields(name: string): Reader | undefined {
    const found = this.#get(name, 'an object', isFields);
    return found === undefined ? undefined : new Reader(found, `${this.#path}${name}.`);
  }

  get names(): readonly string[] {
    return Object.keys(this.#fields);
  }

  required<T>(name: string, value: T | undefined): T {
    if (value === undefined) throw new CaseFileError(`"${this.#path}${name}" is missing`);
    return value;
  }
}

/** Only the fields that are there, as `exactOptionalPropertyTypes` wants it. */
function present<T extends object>(fields: { [K in keyof T]: T[K] | undefined }): T {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T;
}

function constraintOf(reader: Reader, title: string): ConstraintCase {
  const constraint = reader.required('constraint', reader.text('constraint'));
  const version = reader.text('version');
  const error = reader.flag('error');
  const matches = reader.flag('matches');
  if (error !== true) {
    reader.required('version', version);
    reader.required('matches" or "error', matches);
  }
  const name = `${title} ${JSON.stringify(constraint)} ${JSON.stringify(version ?? null)}`;
  return present<ConstraintCase>({
    kind: 'constraint',
    name,
    constraint,
    version,
    matches,
    tagValid: reader.flag('tagValid'),
    error,
  });
}

function policyOf(reader: Reader, name: string): PolicyCase {
  const tags = reader.required('tags', reader.texts('tags'));
  const policy = reader.required('policy', reader.fields('policy'));
  const latest = reader.text('latest');
  const latestAnyOf = reader.texts('latestAnyOf');
  const error = reader.flag('error');
  if (error !== true) reader.required('latest", "latestAnyOf" or "error', latest ?? latestAnyOf);
  const orderIn = (kind: string): { order?: string } | undefined => {
    const found = policy.fields(kind);
    return found && present<{ order?: string }>({ order: found.text('order') });
  };
  const semver = policy.fields('semver');
  const filter = reader.fields('filterTags');
  const rules = present<PolicyFields>({
    policy: present<PolicyFields['policy']>({
      semver: semver && { range: semver.text('range') ?? '' },
      alphabetical: orderIn('alphabetical'),
      numerical: orderIn('numerical'),
    }),
    filterTags:
      filter &&
      present<{ pattern?: string; extract?: string }>({
        pattern: filter.text('pattern'),
        extract: filter.text('extract'),
      }),
    exclusionList: reader.texts('exclusionList'),
  });
  return present<PolicyCase>({ kind: 'policy', name, rules, tags, latest, latestAnyOf, error });
}

function markerOf(reader: Reader, name: string): MarkerCase {
  const input = reader.required('input', reader.text('input'));
  const policies = reader.required('policies', reader.fields('policies'));
  const expected = reader.text('expected');
  const changed = reader.flag('changed');
  const error = reader.flag('error');
  if (error !== true) reader.required('expected", "changed" or "error', expected ?? changed);
  return present<MarkerCase>({
    kind: 'marker',
    name,
    file: reader.text('file'),
    automationNamespace: reader.text('automationNamespace'),
    input,
    policies: Object.fromEntries(policies.names.map((key) => [key, policies.text(key) ?? ''])),
    expected,
    changed,
    skipped: reader.text('skipped'),
    error,
  });
}
