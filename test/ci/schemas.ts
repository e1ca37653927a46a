// The hosts' published schemas, reduced (reduceSchemas.ts): every answer of a fake is filled up and checked by them.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv, type ValidateFunction } from 'ajv';
import type { CiKind } from '../../src/engine/ci/index.ts';

interface Schema {
  readonly type?: string | readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly Schema[];
  readonly allOf?: readonly Schema[];
}

const ajv = new Ajv({ strict: false, allErrors: true });
const schemas = new Map<CiKind, Readonly<Record<string, Schema>>>();
const compiled = new Map<string, ValidateFunction>();

function schemaOf(kind: CiKind, name: string): Schema {
  const known =
    schemas.get(kind) ??
    (JSON.parse(readFileSync(join(import.meta.dirname, 'schemas', `${kind}.json`), 'utf8')) as Readonly<
      Record<string, Schema>
    >);
  schemas.set(kind, known);
  const schema = known[name];
  if (schema === undefined) throw new Error(`no schema ${name} of ${kind}`);
  return schema;
}

/** The value with everything that the schema requires and the test did not say. Throws when it is not what the host publishes. */
export function answerBy(kind: CiKind, name: string, value: unknown): unknown {
  const filled = fill(schemaOf(kind, name), value);
  checkBy(kind, name, filled);
  return filled;
}

/** Throws when the value is not what the host publishes. */
export function checkBy(kind: CiKind, name: string, value: unknown): void {
  const schema = schemaOf(kind, name);
  const key = `${kind} ${name}`;
  const validate = compiled.get(key) ?? ajv.compile(schema);
  compiled.set(key, validate);
  if (!validate(value)) throw new Error(`${key}: ${ajv.errorsText(validate.errors)}`);
}

/** Gitea's document leaves them out of this list; its code reads them (routers/api/v1/repo/action.go, seen in 1.26). */
const PAGES: readonly string[] = ['page', 'limit'];

interface SentRequest {
  readonly method: string;
  /** Below the repository (GitHub, Gitea) or the project (GitLab), with `{name}` for what differs. */
  readonly path: string;
  readonly query: readonly string[];
  readonly body?: Schema;
}

/**
 * Throws when a request is not one that the host publishes: an address it does not have, a parameter it does not know, a body of
 * another shape.
 */
export function checkRequest(kind: CiKind, method: string, path: string, query: URLSearchParams, body: string): void {
  schemaOf(kind, 'run');
  const known = (schemas.get(kind) as unknown as { readonly requests: readonly SentRequest[] }).requests;
  const fits = (template: string): boolean => {
    const [wanted, given] = [template.replace(/^\//, '').split('/'), path.split('/')];
    return wanted.length === given.length && wanted.every((part, at) => part.startsWith('{') || part === given[at]);
  };
  const request = known.find((each) => each.method === method && fits(each.path));
  if (request === undefined) throw new Error(`${kind} publishes no ${method} ${path}`);
  const also = kind === 'gitea' && request.path === 'actions/runs/{run}/artifacts' ? PAGES : [];
  const strange = [...query.keys()].filter((name) => !request.query.includes(name) && !also.includes(name));
  if (strange.length > 0) throw new Error(`${kind} knows no ${strange.join(', ')} of ${method} ${path}`);
  if (request.body === undefined) {
    if (body !== '') throw new Error(`${kind} takes no body for ${method} ${path}`);
    return;
  }
  const key = `${kind} ${method} ${request.path}`;
  const validate = compiled.get(key) ?? ajv.compile(request.body);
  compiled.set(key, validate);
  if (body !== '' && !validate(JSON.parse(body))) throw new Error(`${key}: ${ajv.errorsText(validate.errors)}`);
}

function fill(schema: Schema, value: unknown): unknown {
  if (Array.isArray(value))
    return schema.items === undefined ? value : value.map((item) => fill(schema.items as Schema, item));
  const types = typeof schema.type === 'string' ? [schema.type] : (schema.type ?? []);
  if (value === undefined) {
    if (types.includes('null')) return null;
    if (schema.enum !== undefined) return schema.enum[0];
    if (types.includes('integer') || types.includes('number')) return 0;
    if (types.includes('boolean')) return false;
    if (types.includes('array')) return [];
    if (types.includes('object')) return fill(schema, {});
    return types.includes('string') ? '' : null;
  }
  if (typeof value !== 'object' || value === null || schema.properties === undefined) return value;
  const filled: Record<string, unknown> = {};
  for (const [key, inner] of Object.entries(value)) {
    const own = schema.properties[key];
    filled[key] = own === undefined ? inner : fill(own, inner);
  }
  for (const key of schema.required ?? []) {
    if (!(key in filled)) filled[key] = fill(schema.properties[key] ?? {}, undefined);
  }
  return filled;
}
