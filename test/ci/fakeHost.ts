// A CI host that speaks its protocol over real HTTP: pages, ETags, limits, faults and tokens, with answers by the published schemas.
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { CiKind, CiRepository } from '../../src/engine/ci/index.ts';
import { answerBy, checkRequest } from './schemas.ts';

export interface FakeStep {
  name: string;
  status: 'queued' | 'in_progress' | 'completed';
  conclusion?: string | null;
  started_at?: string;
  completed_at?: string;
}

/** In GitHub's words; a GitLab host translates them. */
export interface FakeJob {
  id: number;
  name: string;
  stage?: string;
  status: string;
  conclusion?: string | null;
  allowFailure?: boolean;
  failureReason?: string;
  labels?: string[];
  steps?: FakeStep[];
  log?: string;
  annotations?: object[];
  started_at?: string;
  completed_at?: string | null;
}

export interface FakeRun {
  id: number;
  number: number;
  title: string;
  workflow: string;
  event: string;
  branch: string;
  sha: string;
  status: string;
  conclusion?: string | null;
  created_at: string;
  updated_at?: string;
  attempt?: number;
  jobs: FakeJob[];
  artifacts?: { id: number; name: string; size: number; expired?: boolean; zip?: Buffer }[];
}

/** What the next matching requests get instead of an answer. */
export interface Fault {
  readonly match: RegExp;
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /** How often; default once. */
  times?: number;
  /** Cuts the connection without an answer. */
  readonly isCut?: boolean;
}

export interface FakeHost {
  readonly repository: CiRepository;
  readonly runs: FakeRun[];
  /** `GET /path?query` with the status it got. */
  readonly seen: string[];
  readonly faults: Fault[];
  /** Accepted tokens; empty = everybody may read. */
  readonly tokens: Set<string>;
  /** Gitea's version; GitHub Enterprise of before 2026 when `old`. */
  version: string;
  rate: { limit: number; remaining: number; resetsAt: number } | undefined;
  /** Most elements in a page, whatever was asked for. */
  pageSize: number;
  /** What the store of artifacts was asked, which is another host: the path and the token that came along. */
  readonly stored: { readonly path: string; readonly authorization: string | undefined }[];
  store: string;
  /** Refs of any repository below this host, as `git ls-remote` reads them over plain HTTP. */
  refs: Readonly<Record<string, string>>;
  readonly dispatched: { readonly path: string; readonly body: Record<string, unknown>; readonly query: string }[];
  close(): Promise<void>;
}

const PATH = 'acme/shop';

export async function startFakeHost(kind: CiKind): Promise<FakeHost> {
  const host: { -readonly [K in keyof FakeHost]: FakeHost[K] } = {
    repository: undefined as never,
    runs: [],
    seen: [],
    faults: [],
    tokens: new Set(),
    version: kind === 'gitea' ? '1.26.0' : 'new',
    rate: undefined,
    pageSize: 100,
    stored: [],
    store: '',
    refs: {},
    dispatched: [],
    close: async () => {},
  };
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (bytes) => {
      body += bytes;
    });
    request.on('end', () => {
      response.on('finish', () => host.seen.push(`${request.method} ${request.url} ${response.statusCode}`));
      try {
        handle(host, kind, request, response, body);
      } catch (error) {
        // An answer that the host would never give is a mistake of the test: it shows as a failure there.
        response.statusCode = 599;
        response.end(JSON.stringify({ message: error instanceof Error ? error.message : String(error) }));
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const store = createServer((request, response) => {
    const path = request.url ?? '';
    host.stored.push({ path, authorization: request.headers.authorization });
    const zip = artifactOf(host, Number(/^\/zip\/(\d+)\?sig=/.exec(path)?.[1]))?.zip;
    response.writeHead(zip === undefined ? 404 : 200, { 'content-type': 'application/zip' });
    response.end(zip);
  });
  await new Promise<void>((resolve) => store.listen(0, '127.0.0.1', resolve));
  const stands = store.address();
  host.store = `http://127.0.0.1:${typeof stands === 'object' && stands !== null ? stands.port : 0}/`;
  const address = server.address();
  const name = `127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
  const web = `http://${name}/`;
  const api = { github: `${web}api/v3/`, gitea: `${web}api/v1/`, gitlab: `${web}api/v4/` }[kind];
  host.repository = { kind, host: name, web, api, path: PATH };
  host.close = async () => {
    for (const each of [server, store]) {
      each.closeAllConnections();
      await new Promise((resolve) => each.close(resolve));
    }
  };
  return host;
}

const artifactOf = (host: FakeHost, id: number) =>
  host.runs.flatMap(({ artifacts }) => artifacts ?? []).find((each) => each.id === id);

function handle(host: FakeHost, kind: CiKind, request: IncomingMessage, response: ServerResponse, body: string): void {
  const url = new URL(request.url ?? '/', host.repository.web);
  const fault = host.faults.find(({ match }) => match.test(`${request.method} ${url.pathname}${url.search}`));
  if (fault !== undefined) {
    fault.times = (fault.times ?? 1) - 1;
    if (fault.times <= 0) host.faults.splice(host.faults.indexOf(fault), 1);
    if (fault.isCut === true) {
      request.socket.destroy();
      return;
    }
    response.writeHead(fault.status, { 'content-type': 'application/json', ...fault.headers });
    response.end(
      typeof fault.body === 'string' ? fault.body : JSON.stringify(fault.body ?? { message: `status ${fault.status}` }),
    );
    return;
  }
  const etagOf = (text: string) =>
    `W/"${createHash('sha256').update(`${request.headers.authorization}${text}`).digest('hex').slice(0, 16)}"`;
  const send = (status: number, value: unknown, headers: Readonly<Record<string, string>> = {}): void => {
    const text = value === undefined ? '' : typeof value === 'string' ? value : JSON.stringify(value);
    // Gitea has no ETags on these lists; an authorised 304 does not count against GitHub's limit.
    const etag = kind === 'gitea' || status !== 200 || request.method !== 'GET' ? undefined : etagOf(text);
    const isSame = etag !== undefined && request.headers['if-none-match'] === etag;
    const { rate } = host;
    if (rate !== undefined && !(isSame && kind === 'github')) rate.remaining = Math.max(0, rate.remaining - 1);
    const prefix = kind === 'github' ? 'x-ratelimit-' : 'ratelimit-';
    response.writeHead(isSame ? 304 : status, {
      ...(status !== 204 && { 'content-type': typeof value === 'string' ? 'text/plain' : 'application/json' }),
      ...(etag !== undefined && { etag }),
      ...(rate !== undefined && {
        [`${prefix}limit`]: String(rate.limit),
        [`${prefix}remaining`]: String(rate.remaining),
        [`${prefix}reset`]: String(Math.ceil(rate.resetsAt / 1000)),
      }),
      ...headers,
    });
    response.end(isSame || status === 204 ? undefined : text);
  };
  const { rate } = host;
  if (rate !== undefined && rate.remaining === 0 && rate.resetsAt > Date.now()) {
    send(kind === 'github' ? 403 : 429, { message: 'API rate limit exceeded' });
    return;
  }
  const stored = /^\/store\/(\d+)$/.exec(url.pathname)?.[1];
  if (stored !== undefined) {
    const log = host.runs.flatMap(({ jobs }) => jobs).find(({ id }) => id === Number(stored))?.log ?? '';
    response.writeHead(200, { 'content-type': 'text/plain' });
    response.end(log);
    return;
  }
  if (/\.git\/(info\/refs|HEAD)$/.test(url.pathname)) {
    response.writeHead(200, { 'content-type': 'text/plain' });
    const list = Object.entries(host.refs).map(([name, sha]) => `${sha}\t${name}\n`);
    response.end(url.pathname.endsWith('HEAD') ? 'ref: refs/heads/main\n' : list.join(''));
    return;
  }
  const below = {
    github: `/api/v3/repos/${PATH}/`,
    gitea: `/api/v1/repos/${PATH}/`,
    gitlab: `/api/v4/projects/${encodeURIComponent(PATH)}/`,
  }[kind];
  // Gitea 28 cancels; its document is not among the sources yet.
  const isNewer = kind === 'gitea' && url.pathname.endsWith('/cancel');
  if (url.pathname.startsWith(below) && !isNewer)
    checkRequest(kind, request.method ?? '', url.pathname.slice(below.length), url.searchParams, body);
  const token = /^(?:Bearer|token) (.+)$/.exec(request.headers.authorization ?? '')?.[1];
  if (token !== undefined && !host.tokens.has(token)) {
    send(401, {
      message:
        kind === 'github'
          ? 'Bad credentials'
          : kind === 'gitlab'
            ? '401 Unauthorized'
            : 'invalid username, password or token',
    });
    return;
  }
  if (host.tokens.size > 0 && token === undefined) {
    // Private: a stranger is told that it is not there.
    send(404, { message: kind === 'gitlab' ? '404 Project Not Found' : 'Not Found' });
    return;
  }
  const page = (name: string, list: readonly unknown[], wrap: (items: readonly unknown[]) => unknown): void => {
    const size = Math.min(
      Number(url.searchParams.get('per_page') ?? url.searchParams.get('limit') ?? 30),
      host.pageSize,
    );
    const at = Number(url.searchParams.get('page') ?? 1);
    const items = list.slice((at - 1) * size, at * size);
    const next = new URL(url);
    next.searchParams.set('page', String(at + 1));
    send(200, answerBy(kind, name, wrap(items)), {
      'x-total-count': String(list.length),
      ...(at * size < list.length && { link: `<${next.href}>; rel="next", <${url.href}>; rel="last"` }),
    });
  };
  const answer = { host, url, request, body, send, page };
  const isKnown = kind === 'gitlab' ? gitlab(answer) : actions(kind, answer);
  if (!isKnown) send(404, { message: 'Not Found' });
}

interface Answer {
  readonly host: FakeHost;
  readonly url: URL;
  readonly request: IncomingMessage;
  readonly body: string;
  readonly send: (status: number, value: unknown, headers?: Readonly<Record<string, string>>) => void;
  readonly page: (name: string, list: readonly unknown[], wrap: (items: readonly unknown[]) => unknown) => void;
}

/** GitHub and Gitea. */
function actions(kind: CiKind, { host, url, request, body, send, page }: Answer): boolean {
  const base = new URL(host.repository.api).pathname;
  const path = url.pathname.slice(base.length);
  if (path === 'version' && kind === 'gitea') {
    send(200, answerBy(kind, 'version', { version: host.version }));
    return true;
  }
  const rest = path.startsWith(`repos/${PATH}/`) ? path.slice(`repos/${PATH}/`.length) : undefined;
  if (rest === undefined) return false;
  const run = (one: FakeRun) => ({
    id: one.id,
    run_number: one.number,
    run_attempt: one.attempt ?? 1,
    display_title: one.title,
    event: one.event,
    status: one.status,
    conclusion: one.conclusion ?? (kind === 'github' ? null : ''),
    head_branch: one.branch,
    head_sha: one.sha,
    html_url: `${host.repository.web}${PATH}/actions/runs/${kind === 'github' ? one.id : one.number}`,
    ...(kind === 'github'
      ? {
          name: one.workflow,
          path: `.github/workflows/${one.workflow}`,
          created_at: one.created_at,
          run_started_at: one.created_at,
          updated_at: one.updated_at ?? one.created_at,
          actor: { login: 'ada' },
        }
      : {
          path: `${one.workflow}@refs/heads/${one.branch}`,
          started_at: one.created_at,
          completed_at: one.updated_at ?? '1970-01-01T00:00:00Z',
          actor: { login: 'ada' },
        }),
  });
  const job = (one: FakeJob, of: FakeRun) => ({
    id: one.id,
    run_id: of.id,
    name: one.name,
    status: one.status,
    conclusion: one.conclusion ?? (kind === 'github' ? null : ''),
    started_at: one.started_at ?? of.created_at,
    completed_at: one.completed_at ?? (kind === 'github' ? null : '1970-01-01T00:00:00Z'),
    labels: one.labels ?? ['ubuntu-latest'],
    html_url: `${host.repository.web}${PATH}/actions/runs/${of.id}/job/${one.id}`,
    steps: (one.steps ?? []).map((step, index) => ({
      number: index + 1,
      conclusion: kind === 'github' ? null : '',
      ...step,
    })),
  });
  const list = host.runs.filter(
    (one) =>
      (url.searchParams.get('branch') ?? one.branch) === one.branch &&
      (url.searchParams.get('head_sha') ?? one.sha) === one.sha,
  );
  const wrapRuns = (items: readonly unknown[]) => ({ total_count: list.length, workflow_runs: items });
  if (request.method === 'GET' && rest === 'actions/runs') {
    if (kind === 'gitea' && /^1\.2[0-4]/.test(host.version)) return false;
    page('runs', list.map(run), wrapRuns);
    return true;
  }
  const ofWorkflow = /^actions\/workflows\/([^/]+)\/runs$/.exec(rest)?.[1];
  if (request.method === 'GET' && ofWorkflow !== undefined && kind === 'github') {
    page('runs', list.filter(({ workflow }) => workflow === ofWorkflow).map(run), wrapRuns);
    return true;
  }
  if (request.method === 'GET' && rest === 'actions/tasks' && kind === 'gitea') {
    const tasks = list.flatMap((one) =>
      one.jobs.map((each) => ({
        id: each.id,
        name: each.name,
        run_number: one.number,
        display_title: one.title,
        head_branch: one.branch,
        head_sha: one.sha,
        event: one.event,
        workflow_id: one.workflow,
        status: each.conclusion ?? each.status,
        run_started_at: one.created_at,
        created_at: one.created_at,
      })),
    );
    page('tasks', tasks, (items) => ({ total_count: tasks.length, workflow_runs: items }));
    return true;
  }
  if (request.method === 'GET' && rest === 'actions/workflows') {
    const names = [...new Set(host.runs.map(({ workflow }) => workflow))];
    const folder = kind === 'github' ? '.github' : '.gitea';
    send(
      200,
      answerBy(kind, 'workflows', {
        total_count: names.length,
        workflows: names.map((name, index) => ({
          id: kind === 'github' ? index + 1 : name,
          name: name.replace(/\.ya?ml$/, ''),
          path: `${folder}/workflows/${name}`,
          state: 'active',
        })),
      }),
    );
    return true;
  }
  const [, runId, runRest = ''] = /^actions\/runs\/(\d+)(?:\/(.*))?$/.exec(rest) ?? [];
  if (runId !== undefined) {
    const one = host.runs.find(({ id }) => id === Number(runId));
    if (one === undefined) return false;
    return runRoutes(kind, one, runRest, { host, url, request, body, send, page }, run, job);
  }
  const zipped = /^actions\/artifacts\/(\d+)\/zip$/.exec(rest)?.[1];
  if (zipped !== undefined) {
    const found = artifactOf(host, Number(zipped));
    if (found === undefined) return false;
    // GitHub says 410 for what has expired; both send on to their store with a signature in the address.
    if (found.expired === true) send(410, { message: 'Artifact has expired' });
    else send(302, undefined, { location: `${host.store}zip/${found.id}?sig=1` });
    return true;
  }
  const [, jobId, jobRest = ''] = /^actions\/jobs\/(\d+)(?:\/(.*))?$/.exec(rest) ?? [];
  const annotated = /^check-runs\/(\d+)\/annotations$/.exec(rest)?.[1];
  const of = host.runs.find(({ jobs }) => jobs.some(({ id }) => id === Number(jobId ?? annotated)));
  const found = of?.jobs.find(({ id }) => id === Number(jobId ?? annotated));
  if (found !== undefined && of !== undefined) {
    if (annotated !== undefined && kind === 'github') {
      const remarks = found.annotations ?? [];
      page('annotations', remarks, (items) => items);
      return true;
    }
    if (jobRest === '') send(200, answerBy(kind, 'job', job(found, of)));
    else if (jobRest === 'logs') {
      // GitHub has no log before the end of the job, and sends to a store for it.
      if (found.log === undefined || (kind === 'github' && found.status !== 'completed')) return false;
      if (kind === 'github') send(302, undefined, { location: `${host.repository.web}store/${found.id}` });
      else send(200, found.log);
    } else return false;
    return true;
  }
  return dispatchRoute(kind, rest, { host, url, request, body, send, page });
}

function runRoutes(
  kind: CiKind,
  one: FakeRun,
  rest: string,
  { host, request, send, page }: Answer,
  run: (one: FakeRun) => unknown,
  job: (one: FakeJob, of: FakeRun) => unknown,
): boolean {
  if (request.method === 'GET') {
    if (rest === '') send(200, answerBy(kind, 'run', run(one)));
    else if (rest === 'jobs')
      page(
        'jobs',
        one.jobs.map((each) => job(each, one)),
        (items) => ({ total_count: one.jobs.length, jobs: items }),
      );
    else if (rest === 'artifacts') {
      const list = (one.artifacts ?? []).map(({ id, name, size, expired }) => ({
        id,
        name,
        size_in_bytes: size,
        expired: expired ?? false,
        archive_download_url: `https://example.com/${id}`,
      }));
      page('artifacts', list, (items) => ({ total_count: list.length, artifacts: items }));
    } else return false;
    return true;
  }
  if (rest === 'cancel') {
    if (kind === 'gitea' && host.version.startsWith('1.')) return false;
    if (one.status === 'completed') send(409, { message: 'Cannot cancel a workflow run that is completed.' });
    else {
      Object.assign(one, { status: 'completed', conclusion: 'cancelled' });
      send(202, {});
    }
    return true;
  }
  if (rest === 'rerun' || rest === 'rerun-failed-jobs') {
    Object.assign(one, { status: 'queued', conclusion: null, attempt: (one.attempt ?? 1) + 1 });
    send(201, {});
    return true;
  }
  return false;
}

function dispatchRoute(kind: CiKind, rest: string, { host, url, request, body, send }: Answer): boolean {
  const workflow = /^actions\/workflows\/([^/]+)\/dispatches$/.exec(rest)?.[1];
  if (workflow === undefined || request.method !== 'POST') return false;
  const given = JSON.parse(body) as Record<string, unknown>;
  host.dispatched.push({ path: rest, body: given, query: url.search });
  if (kind === 'github' && host.version === 'old' && 'return_run_details' in given) {
    send(422, { message: 'Invalid request.\n\n"return_run_details" is not a permitted key.' });
    return true;
  }
  const inputs = (given.inputs ?? {}) as Record<string, string>;
  if (inputs.environment === 'nowhere') {
    send(422, { message: "Provided value 'nowhere' for input 'environment' not in the list of allowed values" });
    return true;
  }
  const id = Math.max(0, ...host.runs.map((one) => one.id)) + 1;
  host.runs.unshift({
    id,
    number: id,
    title: workflow,
    workflow,
    event: 'workflow_dispatch',
    branch: String(given.ref),
    sha: 'f'.repeat(40),
    status: 'queued',
    created_at: new Date().toISOString(),
    jobs: [],
  });
  const wantsDetails =
    kind === 'github' ? given.return_run_details === true : url.searchParams.get('return_run_details') === 'true';
  if (wantsDetails)
    send(
      200,
      answerBy(kind, 'dispatch', {
        workflow_run_id: id,
        run_url: `${host.repository.api}runs/${id}`,
        html_url: `${host.repository.web}${id}`,
      }),
    );
  else send(204, undefined);
  return true;
}

const GITLAB: Readonly<Record<string, string>> = {
  queued: 'pending',
  in_progress: 'running',
  waiting: 'manual',
  success: 'success',
  failure: 'failed',
  cancelled: 'canceled',
  skipped: 'skipped',
};

function gitlab({ host, url, request, send, page, body }: Answer): boolean {
  const base = `${new URL(host.repository.api).pathname}projects/${encodeURIComponent(PATH)}/`;
  if (!url.pathname.startsWith(base)) return false;
  const rest = url.pathname.slice(base.length);
  const word = (one: { status: string; conclusion?: string | null }) =>
    GITLAB[one.conclusion ?? one.status] ?? one.conclusion ?? one.status;
  const brief = (one: FakeRun) => ({
    id: one.id,
    iid: one.number,
    status: word(one),
    source: one.event,
    ref: one.branch,
    sha: one.sha,
    name: one.title,
    web_url: `${host.repository.web}${PATH}/-/pipelines/${one.id}`,
    created_at: one.created_at,
    updated_at: one.updated_at ?? one.created_at,
  });
  const full = (one: FakeRun) => ({
    ...brief(one),
    user: { username: 'ada' },
    started_at: one.created_at,
    finished_at: one.conclusion ? (one.updated_at ?? one.created_at) : null,
  });
  const job = (one: FakeJob, of: FakeRun) => ({
    id: one.id,
    name: one.name,
    stage: one.stage ?? 'test',
    status: word(one),
    allow_failure: one.allowFailure ?? false,
    ...(one.failureReason !== undefined && { failure_reason: one.failureReason }),
    web_url: `${host.repository.web}${PATH}/-/jobs/${one.id}`,
    started_at: one.started_at ?? of.created_at,
    finished_at: one.completed_at ?? null,
    pipeline: { id: of.id, status: word(of), ref: of.branch, sha: of.sha, project_id: 1 },
    tag_list: one.labels ?? [],
    // The archive of a job has the job's id.
    artifacts: (of.artifacts ?? [])
      .filter(({ id }) => id === one.id)
      .map(({ size }) => ({ file_type: 'archive', size, filename: 'artifacts.zip', file_format: 'zip' })),
  });
  if (rest === 'pipelines' && request.method === 'GET') {
    const list = host.runs.filter(
      (one) =>
        (url.searchParams.get('ref') ?? one.branch) === one.branch &&
        (url.searchParams.get('sha') ?? one.sha) === one.sha,
    );
    page('runs', list.map(brief), (items) => items);
    return true;
  }
  if (rest === 'pipeline' && request.method === 'POST') {
    const given = JSON.parse(body) as Record<string, unknown>;
    host.dispatched.push({ path: rest, body: given, query: url.search });
    const id = Math.max(0, ...host.runs.map((one) => one.id)) + 1;
    const made: FakeRun = {
      id,
      number: id,
      title: '',
      workflow: '',
      event: 'api',
      branch: String(given.ref),
      sha: 'f'.repeat(40),
      status: 'queued',
      created_at: new Date().toISOString(),
      jobs: [],
    };
    host.runs.unshift(made);
    send(201, answerBy('gitlab', 'run', full(made)));
    return true;
  }
  const [, id, below = ''] = /^pipelines\/(\d+)(?:\/(.*))?$/.exec(rest) ?? [];
  if (id !== undefined) {
    const one = host.runs.find((each) => each.id === Number(id));
    if (one === undefined) return false;
    if (below === '') send(200, answerBy('gitlab', 'run', full(one)));
    // The newest job first, as GitLab orders them.
    else if (below === 'jobs')
      page(
        'jobs',
        one.jobs.toReversed().map((each) => job(each, one)),
        (items) => items,
      );
    else if (below === 'bridges') page('bridges', [], (items) => items);
    else if (below === 'cancel' || below === 'retry') {
      Object.assign(
        one,
        below === 'cancel' ? { status: 'completed', conclusion: 'cancelled' } : { status: 'queued', conclusion: null },
      );
      send(201, answerBy('gitlab', 'run', full(one)));
    } else return false;
    return true;
  }
  const [, jobId, jobRest = ''] = /^jobs\/(\d+)(?:\/(.*))?$/.exec(rest) ?? [];
  const of = host.runs.find(({ jobs }) => jobs.some((each) => each.id === Number(jobId)));
  const found = of?.jobs.find((each) => each.id === Number(jobId));
  if (of === undefined || found === undefined) return false;
  if (jobRest === '') send(200, answerBy('gitlab', 'job', job(found, of)));
  else if (jobRest === 'trace') send(200, found.log ?? '');
  else if (jobRest === 'artifacts' && artifactOf(host, found.id) !== undefined)
    send(302, undefined, { location: `${host.store}zip/${found.id}?sig=1` });
  else if (jobRest === 'artifacts/gl-code-quality-report.json' && found.annotations !== undefined)
    send(200, found.annotations);
  else return false;
  return true;
}
