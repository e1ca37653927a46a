import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect, createServer as createTcp } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CancelledError, SlipwayError } from '../../src/engine/problems/index.ts';
import type { HttpExpectation, SmokeConfig } from '../../src/engine/project/model.ts';
import type { ClusterObject, SmokeAccess } from '../../src/engine/smoke/access.ts';
import { AppFault, ask, openSocket } from '../../src/engine/smoke/ask.ts';
import { runCheck } from '../../src/engine/smoke/check.ts';
import { jsonAt, judge } from '../../src/engine/smoke/expectations.ts';
import { findEndpoints } from '../../src/engine/smoke/index.ts';
import { type Attempt, retry } from '../../src/engine/smoke/retry.ts';
import { createSystem, FakeClock } from '../../src/engine/system/index.ts';

const expectation = (more: Partial<HttpExpectation>): HttpExpectation => ({
  status: [200],
  json: {},
  headers: {},
  ...more,
});
const answer = { status: 200, headers: { 'x-version': '2' }, body: '{"a":{"b":[{"ok":true}]},"n":1}', latencyMs: 30 };
const never = new AbortController().signal;

describe('judge', () => {
  test.each([
    [{}, []],
    [{ status: [204, 201] }, ['status 200 instead of 204 or 201']],
    [{ contains: '"ok":true' }, []],
    [{ contains: 'nope' }, [expect.stringContaining('does not contain "nope"')]],
    [{ matches: '^\\{"a".*\\}$' }, []],
    [{ matches: 'a{3}' }, [expect.stringContaining('does not match /a{3}/')]],
    [{ json: { 'a.b[0].ok': true, '$.n': 1 } }, []],
    [{ json: { 'a.b[0].ok': 'true' } }, ['a.b[0].ok is true instead of "true"']],
    [{ json: { 'a.c': 1 } }, ['the JSON has no a.c']],
    [{ headers: { 'X-Version': '2' } }, []],
    [{ headers: { 'X-Version': '3', 'X-Other': '' } }, ['header X-Version is "2" instead of "3"', 'no header X-Other']],
    [{ latencyMs: 20 }, ['it took 30 ms instead of at most 20 ms']],
  ])('%j', (more, unmet) => expect(judge(answer, expectation(more)).unmet).toEqual(unmet));

  test('a wrong body of a right status is settled; a status of a starting server and slowness are not', () => {
    expect(judge(answer, expectation({ contains: 'x' })).isSettled).toBe(true);
    expect(judge({ ...answer, status: 401 }, expectation({})).isSettled).toBe(true);
    expect(judge({ ...answer, status: 503, body: '' }, expectation({ contains: 'x' })).isSettled).toBe(false);
    expect(judge(answer, expectation({ latencyMs: 1 })).isSettled).toBe(false);
  });

  test('an expression that RE2 does not know is a mistake in the configuration', () => {
    expect(() => judge(answer, expectation({ matches: '(?=x)' }))).toThrow(/not a regular expression/);
  });

  test('what is no JSON is said so', () => {
    expect(judge({ ...answer, body: '<html>' }, expectation({ json: { a: 1 } })).unmet).toEqual([
      'the body is no JSON: <html>',
    ]);
    expect(jsonAt([{ x: [1, 2] }], '[0].x[1]')).toBe(2);
  });
});

describe('retry', () => {
  /** Runs it on a clock that jumps from sleep to sleep. */
  async function timed(results: readonly (Attempt | Error)[], deadlineMs: number, signal = never) {
    const clock = new FakeClock(0);
    let count = 0;
    const running = retry(
      async () => {
        const result = results[Math.min(count, results.length - 1)];
        count += 1;
        if (result === undefined || result instanceof Error) throw result;
        return result;
      },
      { deadlineMs, clock, signal },
    );
    let isDone = false;
    void running.then(
      () => {
        isDone = true;
      },
      () => {
        isDone = true;
      },
    );
    for (let i = 0; i < 5000 && !isDone; i += 1) {
      for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
      if (!isDone) clock.advance(100);
    }
    return { result: await running, count };
  }

  const ok: Attempt = { outcome: 'ok', message: 'fine' };
  const busy: Attempt = { outcome: 'wrong', message: 'status 503', isSettled: false };
  const bad: Attempt = { outcome: 'wrong', message: 'body', isSettled: true };
  const refused = new AppFault('the connection was refused');
  const lost = new SlipwayError({ reason: 'cluster', message: 'the API server is away' });

  test('a refused connection just after ready, then an answer, is a success', async () => {
    const { result } = await timed([refused, refused, busy, ok], 10_000);
    expect(result).toMatchObject({ isOk: true, attempts: 4, message: 'fine' });
  });

  test('until the deadline, and the last word is the message', async () => {
    const { result } = await timed([refused, busy], 10_000);
    expect(result).toMatchObject({ isOk: false, message: 'status 503' });
    expect(result.durationMs).toBeGreaterThan(5_000);
    expect(result.durationMs).toBeLessThanOrEqual(10_000);
  });

  test('the same settled answer three times ends it early, another in between does not', async () => {
    const { result } = await timed([bad], 60_000);
    expect(result.isOk).toBe(false);
    expect(result.durationMs).toBeLessThan(5_000);
    const mixed = await timed([bad, bad, busy, bad, busy, ok], 60_000);
    expect(mixed.result.isOk).toBe(true);
  });

  test('time without a way to the cluster does not count against the app', async () => {
    const away: (Attempt | Error)[] = new Array(20).fill(lost);
    const { result } = await timed([busy, ...away, ok], 5_000);
    expect(result.isOk).toBe(true);
    expect(result.durationMs).toBeGreaterThan(30_000);
  });

  test('a way that stays broken is no verdict on the app', async () => {
    await expect(timed([lost], 1_000)).rejects.toMatchObject({ reason: 'cluster' });
  });

  test('configuration mistakes are not tried again, cancelling is no failure', async () => {
    const wrong = new SlipwayError({ reason: 'config', message: 'no such port' });
    await expect(timed([wrong], 60_000)).rejects.toBe(wrong);
    await expect(timed([ok], 60_000, AbortSignal.abort())).rejects.toBeInstanceOf(CancelledError);
  });
});

describe('checks', () => {
  const system = createSystem();
  let server: Server;
  let port = 0;
  beforeAll(async () => {
    server = createServer((request, response) => {
      response.setHeader('X-Host', request.headers.host ?? '');
      response.setHeader('X-Method', request.method ?? '');
      if (request.url === '/slow') return;
      response.end(`hello ${request.url}`);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    port = (server.address() as AddressInfo).port;
  });
  afterAll(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await system.processes.dispose();
  });

  const pod = (name: string, labels: Record<string, string>, more: object = {}): ClusterObject => ({
    kind: 'Pod',
    metadata: { name, labels, ...('deletionTimestamp' in more && { deletionTimestamp: more.deletionTimestamp }) },
    spec: { containers: [{ name: 'web', ports: [{ name: 'web', containerPort: 8080 }] }] },
    status: { conditions: [{ type: 'Ready', status: 'False' in more ? 'False' : 'True' }] },
  });
  const service: ClusterObject = {
    kind: 'Service',
    metadata: { name: 'shop' },
    spec: { selector: { app: 'shop' }, type: 'NodePort', ports: [{ name: 'http', port: 80, targetPort: 'web' }] },
  };
  const uid = 'u1';
  const revisions = (hash: string, revision: string): ClusterObject => ({
    metadata: {
      name: `shop-${hash}`,
      labels: { 'pod-template-hash': hash },
      annotations: { 'deployment.kubernetes.io/revision': revision },
      ownerReferences: [{ uid }],
    },
  });

  function cluster(pods: readonly ClusterObject[], asked: string[] = []): SmokeAccess {
    const objects: Record<string, ClusterObject> = {
      'Service/shop': service,
      'Deployment/shop': {
        metadata: { name: 'shop', uid, annotations: { 'deployment.kubernetes.io/revision': '2' } },
        spec: { selector: { matchLabels: { app: 'shop' } } },
      },
    };
    const lists: Record<string, readonly ClusterObject[]> = {
      Pod: pods,
      Service: [
        { ...service, spec: { ...(service.spec as object), ports: [{ name: 'http', port: 80, nodePort: port }] } },
      ],
      ReplicaSet: [revisions('old', '1'), revisions('new', '2')],
      Node: [{ metadata: { name: 'n' }, status: { addresses: [{ type: 'InternalIP', address: '127.0.0.1' }] } }],
    };
    return {
      get: async (ref) => objects[`${ref.kind}/${ref.name}`],
      list: async (query) => lists[query.kind] ?? [],
      connect: async (ref, number, signal) => {
        asked.push(`${ref.name}:${number}`);
        return openSocket('127.0.0.1', port, signal);
      },
      exec: async () => ({ code: 0, stdout: 'ready\n', stderr: '' }),
    };
  }
  const around = (access: SmokeAccess) => ({
    access,
    namespace: 'shop',
    revision: { workloads: [{ apiVersion: 'apps/v1', kind: 'Deployment', name: 'shop', namespace: 'shop' }] },
  });
  const place = { file: '/w/slipway.yaml' };
  const http = (more: object): SmokeConfig => ({
    kind: 'http',
    name: 'get',
    deadlineMs: 2_000,
    place,
    method: 'GET',
    target: { kind: 'service', name: 'shop', port: 'http' },
    path: '/healthz',
    tls: false,
    headers: {},
    expect: expectation({ contains: 'hello /healthz' }),
    ...more,
  });

  test('a service is asked through a pod of the new revision, at the port the service names', async () => {
    const asked: string[] = [];
    const pods = [
      pod('old', { 'pod-template-hash': 'old' }),
      pod('leaving', { 'pod-template-hash': 'new' }, { deletionTimestamp: 'x' }),
      pod('starting', { 'pod-template-hash': 'new' }, { False: true }),
      pod('new', { 'pod-template-hash': 'new' }),
    ];
    const result = await runCheck(http({}), around(cluster(pods, asked)), system, never);
    expect(result).toMatchObject({ isOk: true, attempts: 1 });
    expect(asked).toEqual(['new:8080']);
  });

  test('method, body, headers and host arrive', async () => {
    const check = http({
      method: 'POST',
      body: 'x',
      expect: expectation({ headers: { 'X-Method': 'POST', 'X-Host': 'shop' } }),
    });
    const pods = [pod('new', { 'pod-template-hash': 'new' })];
    expect(await runCheck(check, around(cluster(pods)), system, never)).toMatchObject({ isOk: true });
  });

  test('only old pods behind the service: no answer of theirs counts', async () => {
    const pods = [pod('old', { 'pod-template-hash': 'old' })];
    const result = await runCheck(http({ deadlineMs: 300 }), around(cluster(pods)), system, never);
    expect(result).toMatchObject({ isOk: false, message: 'no ready pod of the new version behind service shop' });
  });

  test.each([
    [{ kind: 'service', name: 'shp' }, /no service shp .* there is shop/],
    [{ kind: 'service', name: 'shop', port: 'grpc' }, /no port grpc; it has http \(80\)/],
    [{ kind: 'ingress', name: 'shop.example' }, /No ingress in shop has the host shop.example/],
  ])('a target that does not exist is a mistake, at once: %j', async (target, words) => {
    const pods = [pod('new', { 'pod-template-hash': 'new' })];
    const failing = runCheck(http({ target, deadlineMs: 60_000 }), around(cluster(pods)), system, never);
    await expect(failing).rejects.toMatchObject({ reason: 'config', message: expect.stringMatching(words) });
  });

  test('a URL and a node port are asked directly and say their address', async () => {
    const url = http({ target: { kind: 'url', name: `http://127.0.0.1:${port}` } });
    expect(await runCheck(url, around(cluster([])), system, never)).toMatchObject({
      isOk: true,
      url: `http://127.0.0.1:${port}/healthz`,
    });
  });

  test("an answer that does not come in time is the app's fault", async () => {
    const way = { title: 't', host: 'h', open: (signal: AbortSignal) => openSocket('127.0.0.1', port, signal) };
    const question = { method: 'GET', path: '/slow', isTls: false, headers: {}, timeoutMs: 100 };
    await expect(ask(way, question, never)).rejects.toThrow('no answer within 0.1 s');
  });

  test('nobody listening, over TCP, through the forward and by socket', async () => {
    const closed = createTcp();
    await new Promise<void>((resolve) => closed.listen(0, '127.0.0.1', resolve));
    const free = (closed.address() as AddressInfo).port;
    await new Promise((resolve) => closed.close(resolve));
    const tcp = (target: object): SmokeConfig =>
      ({ kind: 'tcp', name: 'tcp', deadlineMs: 300, place, target }) as SmokeConfig;
    const bySocket = await runCheck(
      tcp({ kind: 'url', name: `http://127.0.0.1:${free}` }),
      around(cluster([])),
      system,
      never,
    );
    expect(bySocket).toMatchObject({ isOk: false, message: 'the connection was refused' });
    const refusing: SmokeAccess = {
      ...cluster([pod('new', {})]),
      connect: async () => {
        const stream = connect(free, '127.0.0.1');
        stream.on('error', () => {});
        throw new SlipwayError({ reason: 'cluster', code: 'forward.refused', message: 'nothing listens on 8080' });
      },
    };
    const byForward = await runCheck(tcp({ kind: 'service', name: 'shop' }), around(refusing), system, never);
    expect(byForward).toMatchObject({ isOk: false, message: 'nothing listens on 8080' });
    const open = await runCheck(
      { ...tcp({ kind: 'service', name: 'shop' }), deadlineMs: 30_000 },
      around(cluster([pod('n', {})])),
      system,
      never,
    );
    expect(open.isOk).toBe(true);
  });

  test('exec looks at code and output', async () => {
    const exec = (contains: string): SmokeConfig => ({
      kind: 'exec',
      name: 'exec',
      deadlineMs: 300,
      place,
      workload: 'deploy/shop',
      command: ['cat', '/ready'],
      contains,
    });
    const pods = [pod('new', { 'pod-template-hash': 'new' })];
    expect(await runCheck(exec('ready'), around(cluster(pods)), system, never)).toMatchObject({ isOk: true });
    expect(await runCheck(exec('other'), around(cluster(pods)), system, never)).toMatchObject({
      isOk: false,
      message: 'cat /ready in new did not print "other": ready',
    });
  });

  test('a command on this machine', async () => {
    // A busy machine takes its time to start a process; a check that fails is tried until its deadline.
    const command = (code: string, deadlineMs: number): SmokeConfig => ({
      kind: 'command',
      name: 'run',
      deadlineMs,
      place,
      run: [process.execPath, '-e', `console.error('why'); process.exit(${code})`],
      cwd: process.cwd(),
      env: {},
    });
    expect(await runCheck(command('0', 20_000), around(cluster([])), system, never)).toMatchObject({ isOk: true });
    const failed = await runCheck(command('3', 3000), around(cluster([])), system, never);
    expect(failed.isOk).toBe(false);
    expect(failed.message).toMatch(/ended with code 3: why$/);
  });

  test('endpoints are those that answer', async () => {
    const pods = [pod('new', { 'pod-template-hash': 'new' })];
    expect(await findEndpoints(around(cluster(pods)), system.clock, never)).toEqual([
      { title: 'service shop (http)', url: `http://127.0.0.1:${port}` },
    ]);
    expect(await findEndpoints(around(cluster([])), system.clock, never)).toEqual([]);
  });
});
