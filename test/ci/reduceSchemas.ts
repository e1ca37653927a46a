// Makes the schemas that the protocol fakes answer by, from what the hosts publish:
//   node test/ci/reduceSchemas.ts github FOLDER/generated/api.github.com.json   (npm @octokit/openapi)
//   node test/ci/reduceSchemas.ts gitea FOLDER/templates/swagger/v1_json.tmpl   (Go module code.gitea.io/gitea)
//   node test/ci/reduceSchemas.ts gitlab FOLDER                                 (Go module gitlab.com/gitlab-org/api/client-go)
// Only the answers that Slipway reads are kept, without prose; repositories, commits and users inside are left open. Of the
// requests that it sends the names of parameters and the shape of the body are kept, under `requests`.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

type Schema = Record<string, unknown>;

const [host, source] = process.argv.slice(2);
if (host === undefined || source === undefined) throw new Error('usage: reduceSchemas.ts github|gitea|gitlab SOURCE');

const actions = '/repos/{owner}/{repo}/actions';
const wanted: Readonly<Record<string, readonly (readonly [string, string, string])[]>> = {
  github: [
    ['runs', 'get', `${actions}/runs`],
    ['run', 'get', `${actions}/runs/{run_id}`],
    ['jobs', 'get', `${actions}/runs/{run_id}/jobs`],
    ['job', 'get', `${actions}/jobs/{job_id}`],
    ['artifacts', 'get', `${actions}/runs/{run_id}/artifacts`],
    ['annotations', 'get', '/repos/{owner}/{repo}/check-runs/{check_run_id}/annotations'],
    ['workflows', 'get', `${actions}/workflows`],
    ['dispatch', 'post', `${actions}/workflows/{workflow_id}/dispatches`],
  ],
  gitea: [
    ['runs', 'get', `${actions}/runs`],
    ['run', 'get', `${actions}/runs/{run}`],
    ['jobs', 'get', `${actions}/runs/{run}/jobs`],
    ['job', 'get', `${actions}/jobs/{job_id}`],
    ['artifacts', 'get', `${actions}/runs/{run}/artifacts`],
    ['workflows', 'get', `${actions}/workflows`],
    ['tasks', 'get', `${actions}/tasks`],
    ['dispatch', 'post', `${actions}/workflows/{workflow_id}/dispatches`],
    ['version', 'get', '/version'],
  ],
};

/** What is sent: every one is checked against what the host publishes. */
const sent: Readonly<Record<string, readonly (readonly [string, string])[]>> = {
  github: [
    ['get', `${actions}/runs`],
    ['get', `${actions}/workflows/{workflow_id}/runs`],
    ['get', `${actions}/runs/{run_id}`],
    ['get', `${actions}/runs/{run_id}/jobs`],
    ['get', `${actions}/runs/{run_id}/artifacts`],
    ['get', `${actions}/artifacts/{artifact_id}/{archive_format}`],
    ['get', `${actions}/jobs/{job_id}`],
    ['get', `${actions}/jobs/{job_id}/logs`],
    ['get', `${actions}/workflows`],
    ['get', '/repos/{owner}/{repo}/check-runs/{check_run_id}/annotations'],
    ['post', `${actions}/workflows/{workflow_id}/dispatches`],
    ['post', `${actions}/runs/{run_id}/rerun`],
    ['post', `${actions}/runs/{run_id}/rerun-failed-jobs`],
    ['post', `${actions}/runs/{run_id}/cancel`],
  ],
  gitea: [
    ['get', `${actions}/runs`],
    ['get', `${actions}/runs/{run}`],
    ['get', `${actions}/runs/{run}/jobs`],
    ['get', `${actions}/runs/{run}/artifacts`],
    ['get', `${actions}/artifacts/{artifact_id}/zip`],
    ['get', `${actions}/jobs/{job_id}`],
    ['get', `${actions}/jobs/{job_id}/logs`],
    ['get', `${actions}/tasks`],
    ['get', `${actions}/workflows`],
    ['post', `${actions}/workflows/{workflow_id}/dispatches`],
    ['post', `${actions}/runs/{run}/rerun`],
    ['post', `${actions}/runs/{run}/rerun-failed-jobs`],
    ['get', '/version'],
  ],
};

/** GitLab's client says with the type of its options what an address takes. */
const sentToGitlab: readonly (readonly [string, string, string | undefined])[] = [
  ['get', 'pipelines', 'ListProjectPipelinesOptions'],
  ['get', 'pipelines/{id}', undefined],
  ['get', 'pipelines/{id}/jobs', 'ListJobsOptions'],
  ['get', 'pipelines/{id}/bridges', 'ListJobsOptions'],
  ['get', 'jobs/{id}', undefined],
  ['get', 'jobs/{id}/trace', undefined],
  ['get', 'jobs/{id}/artifacts', undefined],
  ['get', 'jobs/{id}/artifacts/gl-code-quality-report.json', undefined],
  ['post', 'pipeline', 'CreatePipelineOptions'],
  ['post', 'pipelines/{id}/retry', undefined],
  ['post', 'pipelines/{id}/cancel', undefined],
];

/** Whole worlds of their own, which Slipway does not read. */
const OPEN =
  /^(repository|head_repository|head_commit|referenced_workflows|pull_requests|workflow_run|user|actor|triggering_actor|trigger_actor|commit|project)$/;

function reduce(schema: unknown, document: Schema, depth = 0): unknown {
  if (Array.isArray(schema)) return schema.map((each) => reduce(each, document, depth));
  if (typeof schema !== 'object' || schema === null) return schema;
  const given = schema as Schema;
  if (typeof given.$ref === 'string') {
    let target: unknown = document;
    for (const part of given.$ref.slice(2).split('/')) target = (target as Schema)[part];
    if (depth > 12) return {};
    return reduce(target, document, depth + 1);
  }
  const kept: Schema = {};
  for (const [key, value] of Object.entries(given)) {
    if (
      /^(description|example|examples|title|deprecated|x-.*|format|default|externalDocs|readOnly)$/.test(key) &&
      typeof value !== 'object'
    )
      continue;
    if (/^(example|examples|externalDocs|x-.*)$/.test(key)) continue;
    if (key === 'properties') {
      kept.properties = Object.fromEntries(
        Object.entries(value as Schema).map(([name, inner]) => [
          name,
          OPEN.test(name)
            ? /_requests|_workflows/.test(name)
              ? {}
              : { type: ['object', 'null'] }
            : reduce(inner, document, depth + 1),
        ]),
      );
    } else kept[key] = reduce(value, document, depth + 1);
  }
  // OpenAPI 3.0 writes null apart from the type; JSON Schema has it in the type.
  if (kept.nullable === true) {
    delete kept.nullable;
    if (typeof kept.type === 'string') kept.type = [kept.type, 'null'];
    if (Array.isArray(kept.enum) && !kept.enum.includes(null)) kept.enum = [...kept.enum, null];
    else if (kept.type === undefined) return { anyOf: [kept, { type: 'null' }] };
  }
  return kept;
}

function fromOpenApi(document: Schema, list: readonly (readonly [string, string, string])[]): Schema {
  const out: Schema = {};
  const paths = document.paths as Record<string, Record<string, Schema>>;
  for (const [name, method, path] of list) {
    const operation = paths[path]?.[method] as { readonly responses: Record<string, Schema> };
    let response: Schema = operation.responses['200'] ?? {};
    if (typeof response.$ref === 'string')
      response = (document.responses as Record<string, Schema>)[response.$ref.split('/').at(-1) ?? ''] ?? {};
    const content = response.content as Record<string, { readonly schema: unknown }> | undefined;
    out[name] = reduce(content?.['application/json']?.schema ?? response.schema, document);
  }
  return out;
}

function requestsOf(document: Schema, list: readonly (readonly [string, string])[]): readonly Schema[] {
  const paths = document.paths as Record<string, Record<string, Schema>>;
  const follow = (value: Schema): Schema => {
    if (typeof value.$ref !== 'string') return value;
    let target: unknown = document;
    for (const part of value.$ref.slice(2).split('/')) target = (target as Schema)[part];
    return target as Schema;
  };
  return list.map(([method, path]) => {
    const operation = paths[path]?.[method];
    if (operation === undefined) throw new Error(`${method} ${path} is not published`);
    const given = [
      ...((operation.parameters ?? []) as Schema[]),
      ...((paths[path]?.parameters ?? []) as unknown as Schema[]),
    ];
    const parameters = given.map(follow);
    const content = (operation.requestBody as { readonly content?: Record<string, Schema> } | undefined)?.content;
    const body = content?.['application/json']?.schema ?? parameters.find((each) => each.in === 'body')?.schema;
    return {
      method: method.toUpperCase(),
      path: path.replace(/^\/repos\/\{owner\}\/\{repo\}\//, ''),
      query: parameters.filter((each) => each.in === 'query').map((each) => each.name),
      ...(body !== undefined && { body: reduce(body, document) }),
    };
  });
}

function fromGo(folder: string): Schema {
  const text = ['pipelines.go', 'jobs.go'].map((file) => readFileSync(join(folder, file), 'utf8')).join('\n');
  const struct = (name: string, depth = 0): Schema => {
    const body = new RegExp(`^type ${name} struct \\{\\n([\\s\\S]*?)^\\}`, 'm').exec(text)?.[1];
    if (body === undefined || depth > 4) return { type: ['object', 'null'] };
    const properties: Schema = {};
    for (const [, kind = '', key = ''] of body.matchAll(/^\s+\w+\s+(\S+)\s+`json:"([^",]+)/gm))
      properties[key] = type(kind, depth);
    // A Go client reads absent and null alike, so neither is said to be impossible; nothing that it does not know may be there.
    return { type: ['object', 'null'], properties, additionalProperties: false };
  };
  const type = (kind: string, depth: number): Schema => {
    const bare = kind.replace(/^\*/, '');
    if (bare.startsWith('[]')) return { type: ['array', 'null'], items: type(bare.slice(2), depth) };
    if (/^u?int(64|32)?$/.test(bare)) return { type: ['integer', 'null'] };
    if (/^float/.test(bare)) return { type: ['number', 'null'] };
    if (bare === 'bool') return { type: ['boolean', 'null'] };
    if (bare === 'string' || bare === 'time.Time' || bare === 'PipelineSource') return { type: ['string', 'null'] };
    return struct(bare, depth + 1);
  };
  const need = (schema: Schema, ...required: readonly string[]): Schema => ({ ...schema, type: 'object', required });
  const optionNames = (name: string): readonly string[] => {
    const body = new RegExp(`^type ${name} struct \\{\\n([\\s\\S]*?)^\\}`, 'm').exec(text)?.[1];
    if (body === undefined) throw new Error(`${name} is not in this client`);
    const own = [...body.matchAll(/`url:"([^",]+)/g)].map(([, key = '']) => key.replace(/\[\]$/, ''));
    // Every list has pages, which its embedded ListOptions say.
    return /^\s*ListOptions$/m.test(body) ? [...own, 'page', 'per_page', 'order_by', 'sort', 'pagination'] : own;
  };
  const requests = sentToGitlab.map(([method, path, options]) => {
    const names = options === undefined ? [] : optionNames(options);
    return method === 'get'
      ? { method: 'GET', path, query: names }
      : {
          method: 'POST',
          path,
          query: [],
          body: {
            type: 'object',
            properties: Object.fromEntries(names.map((name) => [name, {}])),
            additionalProperties: false,
          },
        };
  });
  const pipeline = need(struct('PipelineInfo'), 'id', 'status', 'ref', 'sha', 'web_url');
  const job = need(struct('Job'), 'id', 'status', 'name', 'stage', 'web_url');
  return {
    requests,
    runs: { type: 'array', items: pipeline },
    run: need(struct('Pipeline'), 'id', 'status', 'ref', 'sha', 'web_url'),
    jobs: { type: 'array', items: job },
    job,
    bridges: { type: 'array', items: need(struct('Bridge'), 'id', 'status', 'name') },
  };
}

const read = (file: string) => readFileSync(file, 'utf8');
function fromDocument(text: string, name: 'github' | 'gitea'): Schema {
  const document = JSON.parse(text) as Schema;
  return { requests: requestsOf(document, sent[name] ?? []), ...fromOpenApi(document, wanted[name] ?? []) };
}

const made =
  host === 'gitlab'
    ? fromGo(source)
    : host === 'gitea'
      ? fromDocument(read(source).replaceAll(/\{\{[^}]*\}\}/g, 'x'), 'gitea')
      : fromDocument(read(source), 'github');
writeFileSync(join(import.meta.dirname, 'schemas', `${host}.json`), `${JSON.stringify(made, null, 2)}\n`);
console.log(`${host}: ${Object.keys(made).join(', ')}`);
