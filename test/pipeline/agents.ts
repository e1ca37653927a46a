// Agents on the real parts: the SDK's own client speaks with the CLI that ships, over stdio, and takes examples/hello to a
// rollout, looks at it in every way, rolls it back, and goes away in the middle of a run.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { type CallToolResult, ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { bundledCli } from '../bundle.ts';
import { commit, edit, materialise } from '../lab/examples.ts';
import { environment as labEnvironment } from '../lab/lab.ts';
import { run, test } from './support/suite.ts';

const lab = labEnvironment();
const env = { ...process.env, ...lab.env, SLIPWAY_TEST_TOKEN: 'never-told-to-anyone' };
const work = mkdtempSync(join(tmpdir(), 'slipway-agents-'));
const namespace = `agents-${process.pid}`;
const repository = `${lab.registry}/agents-${process.pid}/hello`;
const hello = materialise('hello', join(work, 'hello'));
edit(hello, 'slipway.yaml', (text) =>
  text
    .replaceAll('localhost:5000/hello/hello', repository)
    .replaceAll('hello-dev', namespace)
    .replace(/platforms: .*/, 'platforms: [linux/amd64]'),
);
for (const file of readdirSync(join(hello, 'deploy'))) {
  if (readFileSync(join(hello, 'deploy', file), 'utf8').includes('localhost:5000/hello/hello')) {
    edit(hello, join('deploy', file), (text) => text.replaceAll('localhost:5000/hello/hello', repository));
  }
}
commit(hello, 'Names of the test');

interface Session {
  readonly client: Client;
  readonly transport: StdioClientTransport;
  readonly asked: string[];
  readonly call: (name: string, input?: Record<string, unknown>) => Promise<CallToolResult>;
  readonly answer: (name: string, input?: Record<string, unknown>) => Promise<Record<string, unknown>>;
}

async function connect(...flags: readonly string[]): Promise<Session> {
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: [bundledCli(), '-C', hello, 'mcp', ...flags],
    env: Object.fromEntries(Object.entries(env).flatMap(([key, value]) => (value === undefined ? [] : [[key, value]]))),
    stderr: 'inherit',
  });
  const client = new Client({ name: 'test', version: '1' }, { capabilities: { elicitation: { form: {} } } });
  const asked: string[] = [];
  client.setRequestHandler(ElicitRequestSchema, ({ params }) => {
    asked.push(params.message);
    return { action: 'accept', content: { agree: true } };
  });
  // What is on stdout and no message of the protocol comes here.
  client.onerror = (error) => assert.fail(error);
  await client.connect(transport);
  await client.listTools();
  const call: Session['call'] = async (name, input = {}) =>
    (await client.callTool({ name: `slipway_${name}`, arguments: input }, undefined, {
      timeout: 700_000,
    })) as CallToolResult;
  const answer: Session['answer'] = async (name, input) => {
    const result = await call(name, input);
    assert.notEqual(result.isError, true, JSON.stringify(result.content));
    return result.structuredContent ?? {};
  };
  return { client, transport, asked, call, answer };
}

const session = await connect();
const { answer } = session;
let first = '';

test('the tools are those of the list, with schemas', async () => {
  const { tools } = await session.client.listTools();
  assert.ok(tools.length >= 20);
  assert.ok(tools.every(({ outputSchema, description }) => outputSchema !== undefined && description !== undefined));
});

test('a run is asked for, answers before it has ended, and ends in a verified rollout', async () => {
  const started = await answer('run', { environment: 'dev', waitSeconds: 1 });
  assert.match(session.asked[0] ?? '', new RegExp(`deploy to dev\\?\\nNamespace: ${namespace}`));
  assert.equal(started.state, 'running');
  first = String(started.run);
  const ended = await answer('show_run', { run: first, waitSeconds: 600 });
  assert.equal(ended.state, 'succeeded', JSON.stringify(ended.failure ?? ended.verdict));
  assert.equal((ended.verdict as { state: string }).state, 'ready');
  assert.equal((ended.images as { repository: string }[])[0]?.repository, repository);
});

test('the environment is looked at in every way, changing nothing', async () => {
  const status = await answer('status');
  const [dev] = status.environments as {
    name: string;
    live?: { run: string };
    now?: {
      state: string;
      workloads: { workload: string; available: number; desired: number }[];
      images: { name?: string; commit?: string; commitsBehind?: number; digest?: string }[];
    };
  }[];
  assert.equal(dev?.live?.run, first);
  // From the cluster, not from the journal.
  assert.equal(dev?.now?.state, 'ready', JSON.stringify(dev));
  const [workload] = dev.now.workloads;
  assert.equal(workload?.available, workload?.desired);
  assert.equal(dev.now.images[0]?.name, 'hello');
  assert.equal(dev.now.images[0]?.commitsBehind, 0, JSON.stringify(dev.now.images));
  assert.match(dev.now.images[0]?.digest ?? '', /^sha256:/);
  assert.ok(JSON.stringify(status).length < 4_000, 'small');
  assert.equal((await answer('diff', { environment: 'dev' })).changed, 0);
  assert.equal((await answer('check', { environment: 'dev' })).isClear, true);
  const tags = await answer('tags', { image: 'hello' });
  assert.equal((tags.tags as unknown[]).length, 1);
  const diagnosis = await answer('diagnose', { environment: 'dev' });
  assert.match(String(diagnosis.report), /hello/);
  assert.ok(((await answer('revisions', { environment: 'dev' })).revisions as unknown[]).length >= 1);
  const logs = await answer('logs', { step: 'test:go', run: first, lines: 5 });
  assert.ok((logs.lines as string[]).length > 0);
  const plan = await answer('plan', { environment: 'dev' });
  assert.ok((plan.steps as { id: string; action: string }[]).some(({ action }) => action === 'skip'));
});

test('status is of the cluster: what somebody else changes is told', async () => {
  const replicas = (count: number) =>
    spawnSync('kubectl', ['-n', namespace, 'scale', 'deployment', '--all', `--replicas=${count}`], { env });
  const desired = async () => {
    const { environments } = (await answer('status', { environment: 'dev' })) as {
      environments: { now: { workloads: { desired: number }[] } }[];
    };
    return environments[0]?.now.workloads[0]?.desired;
  };
  const before = await desired();
  replicas(0);
  assert.equal(await desired(), 0);
  replicas(before ?? 1);
  assert.equal(await desired(), before);
  const { environments } = (await answer('status', { journalOnly: true })) as { environments: object[] };
  assert.ok(environments.every((each) => !('now' in each)));
  await assert.rejects(answer('reconcile', { environment: 'dev' }), /is deployed by manifests/);
});

test('sizes of the image are in the journal', async () => {
  const file = join(hello, '.slipway/runs', first, 'events.jsonl');
  const build = readFileSync(file, 'utf8')
    .split('\n')
    .find((line) => line.includes('"type":"step.finished"') && line.includes('"step":"build:hello"'));
  const outputs = JSON.parse(build ?? '{}').outputs as { sizes?: Record<string, number> };
  assert.ok((outputs.sizes?.['linux/amd64'] ?? 0) > 1000, JSON.stringify(outputs));
});

test('a failed deploy is told with its cause, and an environment is rolled back when asked', async () => {
  const failed = await answer('run', { environment: 'dev', tag: 'no-such-tag', waitSeconds: 300 });
  assert.equal(failed.state, 'failed');
  assert.match(JSON.stringify(failed.failure), /no-such-tag/);
  edit(hello, 'main.go', (text) => text.replace('"ok\\n"', '"ok, second\\n"'));
  commit(hello, 'Another version');
  const second = await answer('run', { environment: 'dev', waitSeconds: 600 });
  assert.equal(second.state, 'succeeded', JSON.stringify(second.failure));
  const { revisions } = await answer('revisions', { environment: 'dev' });
  const earlier = (revisions as { revision: string; isLive: boolean; isVerified: boolean }[]).find(
    ({ isLive, isVerified }) => isVerified && !isLive,
  );
  assert.ok(earlier, JSON.stringify(revisions));
  const back = await answer('rollback', { environment: 'dev', to: earlier.revision, waitSeconds: 300 });
  assert.equal(back.state, 'succeeded', JSON.stringify(back.failure));
  assert.match(session.asked.at(-1) ?? '', /^Roll back dev/);
});

test('a client that goes ends its runs in order, and its server with every process', async () => {
  const other = await connect('--allow-changes');
  const started = await other.answer('run', { environment: 'dev', force: true, waitSeconds: 0 });
  assert.equal(started.state, 'running');
  const pid = other.transport.pid ?? 0;
  await other.client.close();
  const alive = () => {
    try {
      process.kill(pid, 0);
      return true;
    } catch {
      return false;
    }
  };
  while (alive()) await new Promise((resolve) => setTimeout(resolve, 100));
  const view = await answer('show_run', { run: started.run });
  assert.equal(view.state, 'cancelled');
});

await run('agents', async () => {
  await session.client.close();
  spawnSync('kubectl', ['delete', 'namespace', namespace, '--wait=false'], { env, stdio: 'ignore' });
  rmSync(work, { recursive: true, force: true });
});
