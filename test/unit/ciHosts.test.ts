import { afterEach, describe, expect, it } from 'vitest';
import { type CiClient, type CiKind, followLog, followRunList, Nudge, openCi } from '../../src/engine/ci/index.ts';
import { Secrets } from '../../src/engine/events/secrets.ts';
import { CancelledError, SlipwayError } from '../../src/engine/problems/index.ts';
import { createSystem, type System } from '../../src/engine/system/index.ts';
import { type FakeHost, type FakeRun, startFakeHost } from '../ci/fakeHost.ts';
import { answerBy, checkRequest } from '../ci/schemas.ts';

const TOKEN = 'tok-0123456789abcdef';
const hosts: FakeHost[] = [];
afterEach(async () => {
  for (const host of hosts.splice(0)) await host.close();
});

/** Real HTTP and files; sleeping only moves the time. */
function fastSystem(options: { readonly sleeps?: number[]; readonly isTrusted?: boolean } = {}): System {
  let ahead = 0;
  return {
    ...createSystem({ env: {}, isTrusted: () => options.isTrusted ?? true }),
    clock: {
      now: () => Date.now() + ahead,
      sleep: async (ms, signal) => {
        if (signal?.aborted) throw new CancelledError();
        options.sleeps?.push(ms);
        ahead += ms;
        // Everything that waits for the network goes first.
        await new Promise((resolve) => setImmediate(resolve));
        if (signal?.aborted) throw new CancelledError();
      },
    },
  };
}

const aRun = (id: number, more: Partial<FakeRun> = {}): FakeRun => ({
  id,
  number: id - 9_000_000_000,
  title: `Change ${id}`,
  workflow: 'build.yml',
  event: 'push',
  branch: 'main',
  sha: id.toString(16).padStart(40, '0'),
  status: 'completed',
  conclusion: 'success',
  created_at: '2026-11-21T06:00:00Z',
  updated_at: '2026-11-21T06:03:00Z',
  jobs: [],
  ...more,
});

async function open(
  kind: CiKind,
  options: { readonly system?: System; readonly token?: string | null } = {},
): Promise<{ readonly host: FakeHost; readonly client: CiClient; readonly secrets: Secrets }> {
  const host = await startFakeHost(kind);
  hosts.push(host);
  const secrets = new Secrets();
  const token = options.token === undefined ? TOKEN : options.token;
  if (token !== null) host.tokens.add(TOKEN);
  const client = await openCi(
    options.system ?? fastSystem(),
    host.repository,
    secrets,
    token === null ? undefined : { token, from: 'the test' },
  );
  return { host, client, secrets };
}

const signal = new AbortController().signal;
const failure = async (work: Promise<unknown>): Promise<SlipwayError> => {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!SlipwayError.is(error)) throw new Error(`expected a SlipwayError, got ${String(error)}`);
  return error;
};

describe.each(['github', 'gitlab', 'gitea'] as const)('%s', (kind) => {
  it('lists runs over all pages, newest first', async () => {
    const { host, client } = await open(kind);
    host.pageSize = 20;
    host.runs.push(...Array.from({ length: 55 }, (_unused, index) => aRun(9_000_000_100 - index)));
    const runs = await client.runs({ most: 50 }, signal);
    expect(runs).toHaveLength(50);
    expect(runs[0]).toMatchObject({ id: '9000000100', state: 'succeeded', ref: 'main' });
    expect(runs.at(-1)?.id).toBe('9000000051');
    expect(new Set(runs.map(({ id }) => id)).size).toBe(50);
  });

  it('asks for a branch or a commit', async () => {
    const { host, client } = await open(kind);
    host.runs.push(aRun(9_000_000_003, { branch: 'dev' }), aRun(9_000_000_002), aRun(9_000_000_001));
    expect((await client.runs({ branch: 'dev' }, signal)).map(({ id }) => id)).toEqual(['9000000003']);
    expect((await client.runs({ commit: aRun(9_000_000_001).sha }, signal)).map(({ id }) => id)).toEqual([
      '9000000001',
    ]);
  });

  it('shows a run with its jobs in order, their states and reasons', async () => {
    const { host, client } = await open(kind);
    host.runs.push(
      aRun(9_000_000_001, {
        status: 'in_progress',
        conclusion: null,
        jobs: [
          { id: 11, name: 'test', status: 'completed', conclusion: 'success', completed_at: '2026-11-21T06:01:00Z' },
          {
            id: 12,
            name: 'build',
            status: 'in_progress',
            steps: [{ name: 'Checkout', status: 'completed', conclusion: 'success' }],
          },
          { id: 13, name: 'deploy', status: 'queued', labels: ['arm64'] },
        ],
      }),
    );
    const [run, jobs] = [await client.run('9000000001', signal), await client.jobs('9000000001', signal)];
    expect(run.state).toBe('running');
    expect(jobs.map(({ name, state }) => `${name} ${state}`)).toEqual([
      'test succeeded',
      'build running',
      'deploy queued',
    ]);
    expect(jobs[2]?.reason).toBe('no runner with arm64 has taken it');
    if (kind !== 'gitlab') expect(jobs[1]?.steps[0]).toMatchObject({ number: 1, name: 'Checkout', state: 'succeeded' });
  });

  it('answers unchanged lists from memory when the host knows ETags', async () => {
    const { host, client } = await open(kind);
    host.runs.push(aRun(9_000_000_001));
    const first = await client.runs({}, signal);
    const second = await client.runs({}, signal);
    expect(second).toEqual(first);
    const lists = host.seen.filter((line) => /runs|pipelines/.test(line)).map((line) => line.split(' ').at(-1));
    expect(lists).toEqual(kind === 'gitea' ? ['200', '200'] : ['200', '304']);
    host.runs.unshift(aRun(9_000_000_002));
    expect(await client.runs({}, signal)).toHaveLength(2);
  });

  it('waits out a short limit and goes on', async () => {
    const sleeps: number[] = [];
    const { host, client } = await open(kind, { system: fastSystem({ sleeps }) });
    host.runs.push(aRun(9_000_000_001));
    host.faults.push({ match: /runs|pipelines/, status: 429, headers: { 'retry-after': '3' }, times: 2 });
    expect(await client.runs({}, signal)).toHaveLength(1);
    expect(sleeps).toEqual([3000, 3000]);
  });

  it('asks nothing more while a long limit lasts', async () => {
    const { host, client } = await open(kind);
    host.faults.push({ match: /runs|pipelines/, status: 429, headers: { 'retry-after': '1800' } });
    const error = await failure(client.runs({}, signal));
    expect(error).toMatchObject({ code: 'ci.rate-limited' });
    expect(error.message).toMatch(/nothing more before \d\d:\d\d UTC/);
    const asked = host.seen.length;
    await failure(client.runs({}, signal));
    expect(host.seen).toHaveLength(asked);
  });

  it('tries reads again after a server fault or a cut connection, writes never', async () => {
    const { host, client } = await open(kind);
    host.runs.push(aRun(9_000_000_001, { status: 'in_progress', conclusion: null }));
    host.faults.push({ match: /GET .*(runs|pipelines)/, status: 502, body: '<html>bad gateway</html>', times: 2 });
    host.faults.push({ match: /GET .*(runs|pipelines)/, status: 0, isCut: true });
    expect(await client.runs({}, signal)).toHaveLength(1);
    host.faults.push({ match: /POST/, status: 500, body: { message: 'boom' } });
    const before = host.seen.length;
    const error = await failure(client.rerun('9000000001', 'failed', signal));
    expect(error).toMatchObject({ code: 'ci.server' });
    expect(error.evidence?.[0]).toContain('boom');
    expect(host.seen.slice(before).filter((line) => line.startsWith('POST'))).toHaveLength(1);
  });

  it('gives up on a server that stays broken, in words', async () => {
    const { host, client } = await open(kind);
    host.faults.push({ match: /runs|pipelines/, status: 503, times: 99 });
    expect(await failure(client.runs({}, signal))).toMatchObject({ reason: 'network', code: 'ci.server' });
  });

  it('says that a token has expired, and where it came from', async () => {
    const { host, client } = await open(kind);
    host.runs.push(aRun(9_000_000_001));
    await client.runs({}, signal);
    host.tokens.clear();
    host.tokens.add('another');
    const error = await failure(client.runs({}, signal));
    expect(error).toMatchObject({ code: 'ci.token-refused' });
    expect(error.message).toContain('the test');
    expect(JSON.stringify([error.message, error.fix, error.evidence])).not.toContain(TOKEN);
  });

  it('says of a private repository that it may be private', async () => {
    const { host, client } = await open(kind, { token: null });
    host.tokens.add('somebody');
    const error = await failure(client.runs({}, signal));
    expect(error.code).toBe('ci.not-found');
    expect(error.message).toContain('private');
  });

  it('names the scope that a refused token lacks', async () => {
    const { host, client } = await open(kind);
    host.faults.push({
      match: /POST|GET/,
      status: 403,
      body: { message: 'token does not have at least one of required scope(s)' },
      times: 99,
    });
    const error = await failure(client.runs({}, signal));
    expect(error.code).toBe('ci.scope');
    expect(error.fix).toMatch({ github: /Actions read/, gitlab: /read_api/, gitea: /read:repository/ }[kind]);
  });

  it('does not take a login page for an answer', async () => {
    const { host, client } = await open(kind);
    host.faults.push({ match: /runs|pipelines/, status: 200, body: '<html>sign in</html>' });
    expect(await failure(client.runs({}, signal))).toMatchObject({ code: 'ci.not-json' });
  });

  it('refuses answers of another shape, naming the field', async () => {
    const { host, client } = await open(kind);
    const list = [{ id: {}, status: 7 }];
    host.faults.push({
      match: /runs|pipelines/,
      status: 200,
      body: kind === 'gitlab' ? list : { total_count: 1, workflow_runs: list },
    });
    expect(await failure(client.runs({}, signal))).toMatchObject({
      code: 'ci.shape',
      message: expect.stringContaining('id'),
    });
  });

  it('asks nothing in an untrusted workspace', async () => {
    const { host, client } = await open(kind, { system: fastSystem({ isTrusted: false }) });
    expect(await failure(client.runs({}, signal))).toMatchObject({ reason: 'untrusted' });
    expect(host.seen).toEqual([]);
  });

  it('is cancelled while it waits', async () => {
    const { host, client } = await open(kind);
    const stop = new AbortController();
    host.faults.push({ match: /.*/, status: 429, headers: { 'retry-after': '5' }, times: 99 });
    const asked = client.runs({}, stop.signal);
    stop.abort();
    await expect(asked).rejects.toMatchObject({ name: 'CancelledError' });
  });

  it('does not follow a link to another host with the token', async () => {
    const { host, client } = await open(kind);
    host.faults.push({
      match: /runs|pipelines/,
      status: 200,
      headers: { link: '<http://evil.example/page2>; rel="next"' },
      body: kind === 'gitlab' ? [] : { total_count: 0, workflow_runs: [] },
    });
    expect(await failure(client.runs({}, signal))).toMatchObject({ code: 'ci.link' });
  });

  it('starts a workflow and gives its run', async () => {
    const { host, client } = await open(kind);
    const run = await client.dispatch({ workflow: 'build.yml', ref: 'main', inputs: { environment: 'dev' } }, signal);
    expect(run).toMatchObject({ state: 'queued', ref: 'main' });
    expect(host.dispatched).toHaveLength(1);
    const { body } = host.dispatched[0] ?? { body: {} };
    if (kind === 'gitlab') expect(body).toEqual({ ref: 'main', variables: [{ key: 'environment', value: 'dev' }] });
    else expect(body).toMatchObject({ ref: 'main', inputs: { environment: 'dev' } });
  });

  it('runs failed jobs again, and says what the host cannot do', async () => {
    const { host, client } = await open(kind);
    host.runs.push(aRun(9_000_000_001, { conclusion: 'failure' }));
    await client.rerun('9000000001', 'failed', signal);
    expect(host.runs[0]?.status).toBe('queued');
    if (kind === 'gitlab') {
      expect(await client.ability('rerun', signal)).toMatchObject({ isAble: false });
      expect(await failure(client.rerun('9000000001', 'all', signal))).toMatchObject({ code: 'ci.unsupported' });
    }
    if (kind === 'gitea') {
      expect(await failure(client.cancel('9000000001', signal))).toMatchObject({
        code: 'ci.unsupported',
        fix: expect.stringContaining('/acme/shop/actions'),
      });
      expect(host.seen.some((line) => line.includes('/cancel'))).toBe(false);
    } else {
      await client.cancel('9000000001', signal);
      expect(host.runs[0]?.conclusion).toBe('cancelled');
    }
  });

  it('follows a log as it grows, to the end of the job', async () => {
    const sleeps: number[] = [];
    const system = fastSystem({ sleeps });
    const { host, client } = await open(kind, { system });
    const job = { id: 21, name: 'build', status: 'in_progress', conclusion: null as string | null, log: 'one\n' };
    host.runs.push(aRun(9_000_000_001, { status: 'in_progress', conclusion: null, jobs: [job] }));
    const pieces: string[] = [];
    for await (const piece of followLog(system, client, '21', '9000000001', { signal })) {
      pieces.push(piece.kind === 'text' ? piece.text : piece.kind);
      if (pieces.length === 1) job.log += 'two\n';
      if (pieces.length === 2)
        Object.assign(job, { status: 'completed', conclusion: 'failure', log: `${job.log}three\n` });
      if (pieces.length > 8) break;
    }
    expect(pieces).toEqual(
      kind === 'github' ? ['pending', 'pending', 'one\ntwo\nthree\n', 'end'] : ['one\n', 'two\n', 'three\n', 'end'],
    );
    for (const ms of sleeps) expect(ms).toBeGreaterThanOrEqual(3600);
  });

  it('says so when a log is not kept', async () => {
    const { host, client } = await open(kind);
    host.runs.push(
      aRun(9_000_000_001, { jobs: [{ id: 22, name: 'build', status: 'completed', conclusion: 'success' }] }),
    );
    expect(await client.log('22', signal)).toMatchObject({ state: 'gone' });
  });

  it('keeps polling through an outage and tells since when', async () => {
    const system = fastSystem();
    const { host, client } = await open(kind, { system });
    host.runs.push(aRun(9_000_000_001));
    const stop = new AbortController();
    const states: string[] = [];
    const nudge = new Nudge();
    for await (const look of followRunList(system, client, {}, { nudge, signal: stop.signal })) {
      states.push(look.state);
      if (states.length === 1) host.faults.push({ match: /runs|pipelines/, status: 502, times: 8 });
      if (states.length === 4) stop.abort();
    }
    expect(states).toEqual(['ok', 'stale', 'stale', 'ok']);
  });

  it('ends polling when only the person can help', async () => {
    const system = fastSystem();
    const { host, client } = await open(kind, { system });
    host.tokens.clear();
    host.tokens.add('another');
    const looks = followRunList(system, client, {}, { signal });
    expect(await failure(looks.next())).toMatchObject({ code: 'ci.token-refused' });
  });
});

describe('github alone', () => {
  it('counts no authorised 304 against the limit and reads the limit', async () => {
    const { host, client } = await open('github');
    host.rate = { limit: 5000, remaining: 100, resetsAt: Date.now() + 3_600_000 };
    for (let count = 0; count < 5; count += 1) await client.runs({}, signal);
    expect(client.rate()).toMatchObject({ limit: 5000, remaining: 99 });
  });

  it('names the time at which a spent limit is renewed', async () => {
    const { host, client } = await open('github');
    host.rate = { limit: 60, remaining: 0, resetsAt: Date.now() + 1_800_000 };
    const error = await failure(client.runs({}, signal));
    expect(error).toMatchObject({ code: 'ci.rate-limited' });
    expect(error.message).toContain(
      new Date(Math.ceil((host.rate?.resetsAt ?? 0) / 1000) * 1000).toISOString().slice(11, 15),
    );
  });

  it('heeds a secondary limit without a header', async () => {
    const { host, client } = await open('github');
    host.faults.push({ match: /runs/, status: 403, body: { message: 'You have exceeded a secondary rate limit.' } });
    expect(await failure(client.runs({}, signal))).toMatchObject({ code: 'ci.rate-limited' });
  });

  it('finds the run of a dispatch on a server that does not tell it', async () => {
    const { host, client } = await open('github');
    host.version = 'old';
    const run = await client.dispatch({ workflow: 'build.yml', ref: 'main', inputs: {} }, signal);
    expect(run).toMatchObject({ event: 'workflow_dispatch' });
    expect(host.dispatched).toHaveLength(2);
    expect(host.runs).toHaveLength(1);
  });

  it('shows why a dispatch is refused, having sent it once', async () => {
    const { host, client } = await open('github');
    const error = await failure(
      client.dispatch({ workflow: 'build.yml', ref: 'main', inputs: { environment: 'nowhere' } }, signal),
    );
    expect(error).toMatchObject({
      code: 'ci.refused',
      message: expect.stringContaining('not in the list of allowed values'),
    });
    expect(host.dispatched).toHaveLength(1);
  });

  it('reads annotations and leaves out those about the run itself', async () => {
    const { host, client } = await open('github');
    const annotations = [
      {
        path: 'src/a.ts',
        start_line: 3,
        end_line: 4,
        annotation_level: 'failure',
        title: 'Lint',
        message: 'no any',
        blob_href: '',
      },
      {
        path: '.github',
        start_line: 12,
        end_line: 12,
        annotation_level: 'failure',
        message: 'Process completed with exit code 1.',
        blob_href: '',
      },
    ];
    host.runs.push(
      aRun(9_000_000_001, {
        jobs: [{ id: 31, name: 'lint', status: 'completed', conclusion: 'failure', annotations }],
      }),
    );
    const [job] = await client.jobs('9000000001', signal);
    if (job === undefined) throw new Error('no job');
    expect(await client.annotations(job, signal)).toEqual([
      { path: 'src/a.ts', line: 3, endLine: 4, severity: 'error', title: 'Lint', message: 'no any', job: '31' },
    ]);
  });

  it('offers the page where a token is authorised for single sign-on', async () => {
    const { host, client } = await open('github');
    host.faults.push({
      match: /runs/,
      status: 403,
      headers: { 'x-github-sso': 'required; url=https://github.com/orgs/acme/sso?x=1' },
    });
    expect(await failure(client.runs({}, signal))).toMatchObject({
      code: 'ci.sso',
      fix: expect.stringContaining('https://github.com/orgs/acme/sso?x=1'),
    });
  });

  it('says that a finished run cannot be cancelled', async () => {
    const { host, client } = await open('github');
    host.runs.push(aRun(9_000_000_001));
    expect(await failure(client.cancel('9000000001', signal))).toMatchObject({ code: 'ci.finished' });
  });
});

describe('gitlab alone', () => {
  it('tells an allowed failure from a failure, and says why a job failed', async () => {
    const { host, client } = await open('gitlab');
    host.runs.push(
      aRun(9_000_000_001, {
        jobs: [
          {
            id: 1,
            name: 'lint',
            status: 'completed',
            conclusion: 'failure',
            allowFailure: true,
            failureReason: 'script_failure',
          },
          { id: 2, name: 'scan', status: 'completed', conclusion: 'failure', failureReason: 'runner_system_failure' },
        ],
      }),
    );
    const jobs = await client.jobs('9000000001', signal);
    expect(jobs.map(({ state, reason }) => [state, reason])).toEqual([
      ['warning', 'the script failed'],
      ['failed', 'the runner itself failed'],
    ]);
  });

  it('takes the sections of a log for steps', async () => {
    const { host, client } = await open('gitlab');
    const log =
      '\u001b[0Ksection_start:1763700000:prepare_executor\r\u001b[0K\u001b[36;1mPreparing the executor\u001b[0;m\nx\n\u001b[0Ksection_end:1763700004:prepare_executor\r\u001b[0K\n' +
      '\u001b[0Ksection_start:1763700004:step_script[collapsed=true]\r\u001b[0KScript\n\u001b[0Ksection_start:1763700005:inner\r\u001b[0Kinner\n\u001b[0Ksection_end:1763700006:inner\r\u001b[0K\n$ make\n';
    host.runs.push(
      aRun(9_000_000_001, {
        status: 'in_progress',
        conclusion: null,
        jobs: [{ id: 5, name: 'build', status: 'in_progress', log }],
      }),
    );
    const [job] = await client.jobs('9000000001', signal);
    if (job === undefined) throw new Error('no job');
    expect(await client.steps(job, signal)).toEqual([
      {
        number: 1,
        name: 'Preparing the executor',
        state: 'succeeded',
        startedAt: '2025-11-21T04:40:00.000Z',
        finishedAt: '2025-11-21T04:40:04.000Z',
      },
      { number: 2, name: 'Script', state: 'running', startedAt: '2025-11-21T04:40:04.000Z' },
    ]);
  });

  it('reads the code quality report as annotations', async () => {
    const { host, client } = await open('gitlab');
    const annotations = [
      {
        description: 'too long',
        check_name: 'length',
        severity: 'critical',
        location: { path: './src/a.py', lines: { begin: 7 } },
      },
      { description: 'no place' },
    ];
    host.runs.push(
      aRun(9_000_000_001, { jobs: [{ id: 6, name: 'lint', status: 'completed', conclusion: 'success', annotations }] }),
    );
    const [job] = await client.jobs('9000000001', signal);
    if (job === undefined) throw new Error('no job');
    expect(await client.annotations(job, signal)).toEqual([
      { path: 'src/a.py', line: 7, severity: 'error', title: 'length', message: 'too long', job: '6' },
    ]);
  });
});

describe('gitea alone', () => {
  it('puts the tasks of an old server together to runs', async () => {
    const { host, client } = await open('gitea');
    host.version = '1.23.4';
    host.runs.push(
      aRun(9_000_000_007, {
        jobs: [
          { id: 1, name: 'test', status: 'completed', conclusion: 'success' },
          { id: 2, name: 'build', status: 'completed', conclusion: 'failure' },
        ],
      }),
    );
    const runs = await client.runs({}, signal);
    expect(runs).toHaveLength(1);
    expect(runs[0]).toMatchObject({ number: '7', state: 'failed', file: 'build.yml' });
    expect(await client.ability('dispatch', signal)).toMatchObject({
      isAble: false,
      why: expect.stringContaining('Gitea 1.24 can'),
    });
  });

  it('cancels where the server can', async () => {
    const { host, client } = await open('gitea');
    host.version = '28.0.0';
    host.runs.push(aRun(9_000_000_001, { status: 'in_progress', conclusion: null }));
    await client.cancel('9000000001', signal);
    expect(host.runs[0]?.conclusion).toBe('cancelled');
  });

  it('takes no start time of a job that has not begun', async () => {
    const { host, client } = await open('gitea');
    host.runs.push(
      aRun(9_000_000_001, { jobs: [{ id: 3, name: 'x', status: 'queued', started_at: '1970-01-01T00:00:00Z' }] }),
    );
    const [job] = await client.jobs('9000000001', signal);
    expect(job?.startedAt).toBeUndefined();
    expect(job?.finishedAt).toBeUndefined();
  });
});

describe('the protocol servers', () => {
  it.each([
    ['github', 'GET', 'actions/runz', '', '', /publishes no GET actions\/runz/],
    ['github', 'GET', 'actions/runs', 'brnch=main', '', /knows no brnch/],
    ['github', 'POST', 'actions/workflows/x.yml/dispatches', '', '{"inputs":{}}', /required property 'ref'/],
    ['github', 'POST', 'actions/runs/1/cancel', '', '{}', /takes no body/],
    ['gitlab', 'POST', 'pipeline', '', '{"refs":"main"}', /additional properties/],
    ['gitea', 'GET', 'actions/runs', 'per_page=10', '', /knows no per_page/],
  ] as const)('of %s would hear of a wrong %s %s?%s %s', (kind, method, path, query, body, words) => {
    expect(() => checkRequest(kind, method, path, new URLSearchParams(query), body)).toThrow(words);
  });

  it.each(['github', 'gitlab', 'gitea'] as const)('of %s would not give an answer that it never gives', (kind) => {
    expect(() => answerBy(kind, 'run', { id: 'one', status: 7 })).toThrow(/must be/);
  });
});
