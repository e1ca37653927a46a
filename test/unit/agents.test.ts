import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { InMemoryTransport } from '@modelcontextprotocol/sdk/inMemory.js';
import { type CallToolResult, ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { afterAll, describe, expect, it } from 'vitest';
import { Consent } from '../../src/agents/consent.ts';
import { ActiveRuns, operations, toolName } from '../../src/agents/index.ts';
import { serveMcp } from '../../src/agents/mcp.ts';
import { titleOf } from '../../src/agents/runOperations.ts';
import { createSystem, Engine, type RunEvent, type RunView } from '../../src/engine/main.ts';
import { CancelledError } from '../../src/engine/problems/index.ts';
import { project } from '../../src/engine/run/index.ts';
import { gatedRun, rolledBackRun, type SampleRun, succeededRun, writeRun } from '../editor/samples/runs.ts';
import { languageModelTools } from '../schema.ts';

const SECRET = 'hunter2-very-secret';
const root = mkdtempSync(join(tmpdir(), 'slipway-agents-'));
const files: Readonly<Record<string, string>> = {
  'slipway.yaml': `version: 1
name: shop
images:
  api: { repository: registry.invalid/api, dockerfile: Dockerfile }
tags: ["dev-{sha}"]
commands:
  - { name: touch, run: [node, -e, "require('fs').writeFileSync('made.txt', 'x')"], before: test }
  - { name: wait, run: [node, -e, "setInterval(() => {}, 1000)"], before: build }
environments:
  dev: { deploy: { manifests: { paths: deploy } } }
  prod: { protected: true, deploy: { manifests: { paths: deploy } } }
`,
  Dockerfile: 'FROM scratch\n',
  'deploy/a.yaml': 'apiVersion: v1\nkind: ConfigMap\nmetadata: { name: a }\n',
};
for (const [path, text] of Object.entries(files)) {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}
const git = (...args: readonly string[]) =>
  execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@example.org', ...args], { cwd: root });
git('init', '-q');
git('add', '-A');
git('commit', '-qm', 'one');
// Older than whatever these tests run themselves.
const succeeded = succeededRun('20200101T000000Z-aaaaaa', '2020-01-01T00:00:00.000Z', 10);
const gated = gatedRun('20200102T000000Z-bbbbbb', '2020-01-02T00:00:00.000Z');
const rolledBack = rolledBackRun('20200103T000000Z-cccccc', '2020-01-03T00:00:00.000Z', 10);
for (const run of [succeeded, gated, rolledBack]) writeRun(root, run);
afterAll(() => rmSync(root, { recursive: true, force: true }));

const system = createSystem({
  env: { ...process.env, TEST_PASSWORD: SECRET, KUBECONFIG: join(root, 'no-such-kubeconfig') },
});

/** A client of the real protocol; `answer` makes it one that can ask its person. */
async function connect(
  options: {
    readonly changes?: 'ask' | 'allow';
    readonly answer?: () => Record<string, string | boolean> | 'decline';
  } = {},
) {
  const [ours, theirs] = InMemoryTransport.createLinkedPair();
  const stop = new AbortController();
  const served = serveMcp({
    system,
    engine: new Engine({ system, root }),
    version: '1.2.3',
    changes: options.changes ?? 'ask',
    signal: stop.signal,
    transport: theirs,
  });
  const { answer } = options;
  const client = new Client(
    { name: 'test', version: '1' },
    { capabilities: answer === undefined ? {} : { elicitation: { form: {} } } },
  );
  const asked: string[] = [];
  if (answer !== undefined) {
    client.setRequestHandler(ElicitRequestSchema, ({ params }) => {
      asked.push(params.message);
      const given = answer();
      return given === 'decline' ? { action: 'decline' } : { action: 'accept', content: given };
    });
  }
  await client.connect(ours);
  // The client checks answers against the output schemas it has listed.
  await client.listTools();
  const call = async (name: string, input: Record<string, unknown> = {}) =>
    (await client.callTool({ name: `slipway_${name}`, arguments: input })) as CallToolResult;
  const end = async () => {
    stop.abort();
    await served;
  };
  return { client, call, end, asked };
}

const textOf = (result: CallToolResult): string => (result.content[0]?.type === 'text' ? result.content[0].text : '');

describe('tools', () => {
  it('are listed with schemas, and say which of them change something', async () => {
    const { client, end } = await connect();
    const { tools } = await client.listTools();
    expect(tools.map(({ name }) => name)).toEqual(operations.map(toolName));
    for (const tool of tools) {
      expect(tool.description?.length, tool.name).toBeGreaterThan(30);
      expect(tool.inputSchema.type).toBe('object');
      expect(tool.outputSchema?.type).toBe('object');
    }
    const changing = tools.filter(({ annotations }) => annotations?.readOnlyHint === false).map(({ name }) => name);
    expect(changing.sort()).toEqual(
      [
        ...['run', 'resume', 'rollback', 'cancel', 'bump', 'unlock'],
        ...['reconcile', 'suspend', 'resume_delivery', 'argocd_sync'],
      ]
        .map((name) => `slipway_${name}`)
        .sort(),
    );
    expect(tools.find(({ name }) => name === 'slipway_run')?.inputSchema.properties).toHaveProperty('confirm');
    expect(tools.find(({ name }) => name === 'slipway_plan')?.inputSchema.properties).not.toHaveProperty('confirm');
    await end();
  });

  it('read the project, the plan and the journal as structured answers', async () => {
    const { call, end } = await connect();
    expect((await call('project')).structuredContent).toMatchObject({
      name: 'shop',
      images: [{ name: 'api', dockerfile: 'Dockerfile' }],
      environments: [{ name: 'dev' }, { name: 'prod', isProtected: true }],
      problems: [],
    });
    const plan = (await call('plan', { until: 'build' })).structuredContent as { steps: { id: string }[] };
    expect(plan.steps.map(({ id }) => id)).toContain('build:api');
    const history = (await call('history')).structuredContent as { runs: { cause?: string }[] };
    expect(history.runs).toHaveLength(3);
    const status = (await call('status', { journalOnly: true })).structuredContent as {
      environments: { name: string; live?: { run: string }; now?: object }[];
    };
    const dev = status.environments.find(({ name }) => name === 'dev');
    expect(dev?.live?.run).toBe(succeeded.id);
    expect(dev).not.toHaveProperty('now');
    await end();
  });

  it('tell of a cluster that cannot be asked beside what the journal knows', async () => {
    const { call, end } = await connect();
    const { environments } = (await call('status', { environment: 'dev' })).structuredContent as {
      environments: { name: string; live?: { run: string }; now?: { state: string; failure?: { message: string } } }[];
    };
    expect(environments.map(({ name }) => name)).toEqual(['dev']);
    expect(environments[0]?.live?.run).toBe(succeeded.id);
    expect(environments[0]?.now?.state).toBe('unknown');
    expect(environments[0]?.now?.failure?.message).toMatch(/no-such-kubeconfig/);
    await end();
  });

  it.each([
    ['reconcile', { environment: 'dev' }, /dev is deployed by manifests; this is for Flux and Argo CD/],
    ['suspend', { environment: 'dev', object: 'kustomization/apps', why: 'x' }, /this is for Flux\./],
    ['resume_delivery', { environment: 'nowhere' }, /There is no environment nowhere/],
    ['argocd_sync', { environment: 'dev' }, /does not deploy with Argo CD/],
    ['suspend', { environment: 'dev', object: 'kustomization/apps' }, /why/],
  ])('%s of what it is not for says what it is for', async (name, input, words) => {
    const { call, end } = await connect({ changes: 'allow' });
    const result = await call(name, input);
    expect(result.isError).toBe(true);
    expect(JSON.stringify(result.content)).toMatch(words);
    await end();
  });

  it('tell why a run failed, with the way on', async () => {
    const { call, end } = await connect();
    const failed = (await call('show_run', { run: rolledBack.id })).structuredContent;
    expect(failed).toMatchObject({
      state: 'failed',
      rolledBack: true,
      verdict: { causes: [{ fix: expect.any(String) }] },
    });
    const found = (await call('findings', { run: gated.id })).structuredContent as { findings: { severity: string }[] };
    expect(found.findings[0]).toMatchObject({ severity: 'CRITICAL' });
    await end();
  });

  it.each([
    ['history', { count: 0 }, /count/],
    ['show_run', { run: 'nothing' }, /There is no run nothing/],
    ['logs', { step: 'nothing' }, /has no step nothing/],
    ['plan', { environment: 'nowhere' }, /nowhere/],
    ['plan', { until: 'never' }, /until/],
  ])('%s with a mistake says which: %o', async (name, input, words) => {
    const { call, end } = await connect();
    const result = await call(name, input);
    expect(result.isError).toBe(true);
    expect(textOf(result)).toMatch(words);
    await end();
  });

  it('do not tell secrets of the environment', async () => {
    const run = succeededRun();
    const leaking: SampleRun = {
      ...run,
      id: '20991231T000000Z-ffffff',
      events: run.events.map((event) => ({ ...event, run: '20991231T000000Z-ffffff' })),
      logs: new Map([['build:api', [`token is ${SECRET}`]]]),
    };
    writeRun(root, leaking);
    const { call, end } = await connect();
    const logs = await call('logs', { step: 'build:api', run: leaking.id });
    expect(textOf(logs)).toContain('token is ***');
    expect(JSON.stringify(logs)).not.toContain(SECRET);
    rmSync(join(root, '.slipway', 'runs', leaking.id), { recursive: true });
    await end();
  });
});

describe('changes', () => {
  it('need a token where the client cannot ask, for exactly this call and once', async () => {
    const { call, end } = await connect();
    const input = { only: ['test'] };
    const first = await call('run', input);
    expect(first.isError).toBe(true);
    expect(textOf(first)).toMatch(/needs the person's agreement/);
    const token = /"confirm": "([0-9a-f]+)"/.exec(textOf(first))?.[1] ?? '';
    expect(textOf(await call('run', { until: 'build', confirm: token }))).toMatch(/does not fit/);
    expect(textOf(await call('run', { ...input, confirm: token }))).toMatch(/does not fit/);
    await end();
  });

  it('happen with the token of the first call', async () => {
    const { call, end } = await connect();
    const token = /"confirm": "([0-9a-f]+)"/.exec(textOf(await call('bump')))?.[1];
    expect((await call('bump', { confirm: token })).structuredContent).toEqual({ changes: [] });
    await end();
  });

  it('ask the person where the client can, and are left when they decline', async () => {
    const { call, end, asked } = await connect({ answer: () => 'decline' });
    expect(textOf(await call('run', { environment: 'dev' }))).toMatch(/did not agree/);
    expect(asked[0]).toMatch(/^Run the pipeline and deploy to dev\?\nNamespace: default/);
    await end();
  });

  it('of a protected environment ask also where changes are allowed, and want its name', async () => {
    const cannotAsk = await connect({ changes: 'allow' });
    expect(textOf(await cannotAsk.call('rollback', { environment: 'prod' }))).toMatch(/prod is protected/);
    await cannotAsk.end();
    const wrongName = await connect({ changes: 'allow', answer: () => ({ name: 'dev' }) });
    expect(textOf(await wrongName.call('rollback', { environment: 'prod' }))).toMatch(/did not agree/);
    await wrongName.end();
  });

  it('run, answer while it goes on, and are cancelled by their id', async () => {
    const { call, client, end } = await connect({ changes: 'allow' });
    const messages: string[] = [];
    const started = (await client.callTool(
      { name: 'slipway_run', arguments: { until: 'build', waitSeconds: 0 } },
      undefined,
      { onprogress: ({ message }) => messages.push(message ?? '') },
    )) as CallToolResult;
    const { run, state } = started.structuredContent as { run: string; state: string };
    expect(state).toBe('running');
    const cancelled = await call('cancel', { run });
    expect(cancelled.structuredContent).toMatchObject({ run, state: 'cancelled' });
    expect(textOf(await call('cancel', { run }))).toMatch(/does not run/);
    await end();
  });

  it('are cancelled when the client takes its request back', async () => {
    const { client, end, call } = await connect({ changes: 'allow' });
    const abort = new AbortController();
    const call1 = client.callTool({ name: 'slipway_run', arguments: { until: 'build', waitSeconds: 600 } }, undefined, {
      signal: abort.signal,
      onprogress: () => abort.abort(),
    });
    await expect(call1).rejects.toThrow();
    // The newest run is the one that was cancelled; the answer waits for its end.
    const newest = (await call('show_run', { waitSeconds: 15 })).structuredContent;
    expect(newest).toMatchObject({ state: 'cancelled' });
    await end();
  });

  it('end with the server, in order', async () => {
    const { call, end } = await connect({ changes: 'allow' });
    const { run } = (await call('run', { until: 'build', waitSeconds: 0 })).structuredContent as { run: string };
    await end();
    const text = readFileSync(join(root, '.slipway', 'runs', run, 'events.jsonl'), 'utf8');
    expect(text).toMatch(/"type":"run.finished"/);
  });
});

describe('the manifest', () => {
  it('declares the same tools for VS Code (npm run schema writes them)', () => {
    const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
    expect(manifest.contributes.languageModelTools).toEqual(JSON.parse(JSON.stringify(languageModelTools())));
  });
});

describe('what a person is asked before a run', () => {
  it.each([
    [{}, 'Run the pipeline up to publish'],
    [{ until: 'build' }, 'Run the pipeline up to build'],
    [{ environment: 'dev' }, 'Run the pipeline and deploy to dev'],
    [{ environment: 'dev', until: 'scan' }, 'Run the pipeline up to scan for dev'],
    [{ environment: 'dev', tag: '1.4.0' }, 'Deploy 1.4.0 to dev'],
    [{ environment: 'dev', only: ['smoke'] }, 'Run smoke for dev and nothing else'],
  ] as const)('%j', (input, title) => {
    expect(titleOf(input)).toBe(title);
  });
});

describe('consent', () => {
  it('is for one change, in whatever order its keys come, and runs out', () => {
    let now = 0;
    const consent = new Consent(() => now);
    const token = consent.offer('t', { a: 1, b: [1, { c: 2, d: 3 }] });
    expect(consent.take(token, 't', { b: [1, { d: 3, c: 2 }], a: 1 })).toBe(true);
    expect(consent.take(token, 't', { a: 1, b: [1, { c: 2, d: 3 }] })).toBe(false);
    const late = consent.offer('t', {});
    now = 11 * 60_000;
    expect(consent.take(late, 't', {})).toBe(false);
  });
});

describe('active runs', () => {
  it('pass a failure to plan on and forget the run', async () => {
    const runs = new ActiveRuns({
      run: () => Promise.reject(new Error('no plan')),
      resume: () => Promise.reject(new CancelledError()),
      rollBack: () => Promise.reject(new CancelledError()),
    });
    const waiting = { waitMs: 60_000, signal: new AbortController().signal, report: () => {} };
    await expect(runs.start((host, options) => host.run({}, options), waiting)).rejects.toThrow('no plan');
    await runs.stop();
  });

  it('give the view of a run that ends in time', async () => {
    const view = project(succeededRun().events as readonly RunEvent[]) as RunView;
    const runs = new ActiveRuns({
      run: async (_request, { onEvent }) => {
        for (const event of succeededRun().events) onEvent(event);
        return view;
      },
      resume: () => Promise.reject(new CancelledError()),
      rollBack: () => Promise.reject(new CancelledError()),
    });
    const said: string[] = [];
    const waiting = { waitMs: 60_000, signal: new AbortController().signal, report: (text: string) => said.push(text) };
    expect(await runs.start((host, options) => host.run({}, options), waiting)).toBe(view);
    expect(said).toContain('Build api');
    expect(await runs.cancel(view.id)).toBe('not-ours');
  });
});
