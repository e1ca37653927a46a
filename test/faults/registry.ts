// A real registry behind a proxy that breaks things: each fault is recovered from, or named with what to do. First our
// client alone, then whole pipelines whose pushes break.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Registry } from '../../src/engine/images/index.ts';
import { SlipwayError } from '../../src/engine/problems/index.ts';
import { createSystem } from '../../src/engine/system/index.ts';
import { bundledCli } from '../bundle.ts';
import { commit, git } from '../lab/examples.ts';
import { environment as labEnvironment } from '../lab/lab.ts';
import { pushActor } from '../pipeline/support/actor.ts';
import { run, test } from '../pipeline/support/suite.ts';
import { type Fault, startFaultyRegistry } from './proxy.ts';

const lab = labEnvironment();
const env = { ...process.env, ...lab.env };
const name = `faults-registry-${process.pid}/app`;
const digest = await pushActor(env, `${lab.registry}/${name}`, '1.0.0');
const proxy = await startFaultyRegistry(lab.registry);
/** A client that waits as it is told, but ten times faster, and gives up an attempt after half a second. */
const client = () => {
  const system = createSystem({ env });
  const slept: number[] = [];
  const clock = {
    ...system.clock,
    now: () => system.clock.now(),
    sleep: (ms: number, signal?: AbortSignal) => {
      slept.push(ms);
      return system.clock.sleep(ms / 10, signal);
    },
  };
  return { registry: new Registry({ ...system, clock }, undefined, 500), slept };
};

const on =
  (kind: 'manifests' | 'tags' | 'blobs' | 'token', method?: string): Fault['when'] =>
  (request) =>
    (method === undefined || request.method === method) &&
    (kind === 'token' ? request.path.startsWith('/token') : request.path.includes(`/${kind}/`));
const answer = (status: number, more: Partial<Extract<Fault['how'], { kind: 'answer' }>> = {}): Fault['how'] => ({
  kind: 'answer',
  status,
  ...more,
});
const tag = () => `${proxy.host}/${name}:1.0.0`;

interface Recovered {
  readonly title: string;
  readonly faults: () => readonly Fault[];
  /** Waits that the client asked for, at least. */
  readonly waited?: readonly number[];
}
const recovered: readonly Recovered[] = [
  {
    title: '429 with Retry-After in seconds',
    faults: () => [{ when: on('manifests'), times: 2, how: answer(429, { headers: { 'retry-after': '2' } }) }],
    waited: [2000, 2000],
  },
  {
    title: '429 with Retry-After as a date',
    faults: () => [
      {
        when: on('manifests'),
        times: 1,
        how: answer(429, { headers: { 'retry-after': new Date(Date.now() + 3000).toUTCString() } }),
      },
    ],
  },
  ...[500, 502, 503, 504].map((status) => ({
    title: `status ${status}, twice`,
    faults: () => [{ when: on('manifests'), times: 2, how: answer(status, { body: '<html>bad gateway</html>' }) }],
  })),
  {
    title: 'connection reset before the answer',
    faults: () => [{ when: on('manifests'), times: 2, how: { kind: 'reset', at: 'start' } }],
  },
  {
    title: 'connection reset in the middle of the answer',
    faults: () => [{ when: on('manifests', 'GET'), times: 2, how: { kind: 'reset', at: 'answer body' } }],
  },
  {
    title: 'no answer, once',
    faults: () => [{ when: on('manifests'), times: 1, how: { kind: 'silent' } }],
  },
  {
    title: 'a slow answer',
    faults: () => [{ when: on('manifests'), times: 5, how: { kind: 'slow', ms: 300 } }],
  },
];
for (const { title, faults, waited } of recovered) {
  test(`recovered: ${title}`, async () => {
    proxy.set(faults());
    const { registry, slept } = client();
    assert.equal((await registry.manifest(tag()))?.digest, digest);
    for (const ms of waited ?? []) assert.ok(slept.includes(ms), `waited ${slept.join(', ')}`);
  });
}

const GOOD = 'good';
test('recovered: a token that expired between two requests', async () => {
  let good = 'first';
  let count = 0;
  proxy.set([], { isGood: (token) => token === good, next: () => (count++ === 0 ? 'first' : 'second') });
  const { registry } = client();
  assert.equal(await registry.digestOf(tag()), digest);
  good = 'second';
  assert.equal(await registry.digestOf(tag()), digest);
  assert.equal(proxy.seen.filter((line) => line.startsWith('GET /token')).length, 2);
});

test('recovered: a token server that fails twice', async () => {
  proxy.set([{ when: on('token'), times: 2, how: answer(503) }], {
    isGood: (token) => token === GOOD,
    next: () => GOOD,
  });
  assert.equal(await client().registry.digestOf(tag()), digest);
});

test('recovered: a tag that was written though its answer was lost', async () => {
  proxy.set([{ when: on('manifests', 'PUT'), times: 1, how: { kind: 'reset', at: 'answer body' } }]);
  const { registry } = client();
  const manifest = await registry.manifest(tag());
  assert.ok(manifest);
  await registry.putManifest(proxy.host, name, 'again', manifest);
  assert.equal(await registry.digestOf(`${proxy.host}/${name}:again`), digest);
});

interface Named {
  readonly title: string;
  readonly faults: readonly Fault[];
  readonly code: string;
  readonly message: RegExp;
  readonly tokens?: Parameters<typeof proxy.set>[1];
}
const always = Number.POSITIVE_INFINITY;
const named: readonly Named[] = [
  {
    title: 'a limit for an hour',
    faults: [{ when: on('manifests'), times: always, how: answer(429, { headers: { 'retry-after': '3600' } }) }],
    code: 'registry.rate-limited',
    message: /limits requests until \d\d:\d\d UTC/,
  },
  {
    title: 'status 503 that stays',
    faults: [{ when: on('manifests'), times: always, how: answer(503) }],
    code: 'registry.error',
    message: /status 503/,
  },
  {
    title: 'connections that are always cut',
    faults: [{ when: on('manifests'), times: always, how: { kind: 'reset', at: 'answer body' } }],
    code: 'registry.unreachable',
    message: /127\.0\.0\.1:\d+ cannot be reached/,
  },
  {
    title: 'silence',
    faults: [{ when: on('manifests'), times: always, how: { kind: 'silent' } }],
    code: 'registry.slow',
    message: /did not answer within 0\.5 s, four times in a row/,
  },
  {
    title: 'a login page instead of the registry',
    faults: [
      {
        when: on('manifests'),
        times: always,
        how: answer(200, { headers: { 'content-type': 'text/html' }, body: '<html>Please log in</html>' }),
      },
    ],
    code: 'registry.not-json',
    message: /is no JSON but text\/html/,
  },
  {
    title: 'tokens that the registry does not take',
    faults: [],
    tokens: { isGood: () => false, next: () => 'useless' },
    code: 'registry.denied',
    message: /denies access to .*UNAUTHORIZED: authentication required/,
  },
  {
    title: 'a token server that refuses the login',
    faults: [],
    tokens: { isGood: () => false, next: () => '', status: () => 401 },
    code: 'registry.denied',
    message: /token server of .* refused the credentials \(status 401\)/,
  },
  {
    title: 'a token server that is down',
    faults: [],
    tokens: { isGood: () => false, next: () => '', status: () => 503 },
    code: 'registry.token-server',
    message: /token server of .* fails \(status 503\)/,
  },
];
for (const { title, faults, tokens, code, message } of named) {
  test(`named: ${title}`, async () => {
    proxy.set(
      faults.map((fault) => ({ ...fault })),
      tokens,
    );
    await assert.rejects(client().registry.manifest(tag()), (error) => {
      assert.ok(SlipwayError.is(error), String(error));
      assert.equal(error.code, code);
      assert.match(error.message, message);
      assert.ok((error.fix ?? '').length > 0);
      return true;
    });
  });
}

test('named: content that was damaged on the way', async () => {
  proxy.set([{ when: on('manifests', 'GET'), times: always, how: { kind: 'corrupt' } }]);
  await assert.rejects(client().registry.manifest(`${proxy.host}/${name}@${digest}`), { code: 'registry.corrupt' });
});

// Whole pipelines. Docker pushes to the proxy as to any registry of this machine.
const folder = mkdtempSync(join(tmpdir(), 'slipway-faults-'));
const cli = bundledCli();
const pushed = `${proxy.host}/faults-registry-${process.pid}/pushed`;
writeFileSync(join(folder, 'Dockerfile'), `FROM ${lab.registry}/${name}:1.0.0\nCOPY round /round\n`);
writeFileSync(join(folder, '.gitignore'), '.slipway/\n');
writeFileSync(
  join(folder, 'slipway.yaml'),
  `version: 1\nname: faults\nimages: { app: { repository: ${pushed}, platforms: [linux/amd64] } }\nscan: { enabled: false }\n`,
);
git(folder, ['init', '-q', '-b', 'main']);
let round = 0;
/** The proxy goes on answering meanwhile, so the run is waited for without blocking. */
function slipway(...args: readonly string[]): Promise<{ readonly code: number | null; readonly out: string }> {
  const child = spawn(process.execPath, [cli, '-C', folder, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (bytes) => {
      out += bytes;
    });
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, out })));
}
/** One run of a new commit. */
async function pipeline() {
  round += 1;
  writeFileSync(join(folder, 'round'), `${round}\n`);
  const head = commit(folder, `round ${round}`);
  return { ...(await slipway('run')), tag: `main-${head.slice(0, 7)}` };
}
const isUpload = (method: string) => (request: { readonly method: string; readonly path: string }) =>
  request.method === method && request.path.includes('/blobs/uploads/');

for (const method of ['POST', 'PATCH', 'PUT']) {
  test(`recovered: a blob upload whose ${method} breaks in the middle`, async () => {
    proxy.set([
      { when: isUpload(method), times: 1, how: { kind: 'reset', at: method === 'POST' ? 'start' : 'request body' } },
    ]);
    const { code, out, tag: made } = await pipeline();
    assert.equal(code, 0, out);
    assert.ok(await new Registry(createSystem({ env })).digestOf(`${pushed}:${made}`));
  });
}

test('named: uploads that always break, and resumed when the registry is well again', async () => {
  proxy.set(['POST', 'PATCH', 'PUT'].map((method) => ({ when: isUpload(method), times: always, how: answer(503) })));
  const { code, out, tag: made } = await pipeline();
  assert.equal(code, 3, out);
  assert.match(out, /The registry of .* failed during the push: 503/, out);
  proxy.set([]);
  const resumed = await slipway('resume');
  assert.equal(resumed.code, 0, resumed.out);
  assert.ok(await new Registry(createSystem({ env })).digestOf(`${pushed}:${made}`));
});

test('recovered: the registry fails twice while the tag is written', async () => {
  proxy.set([
    {
      when: (request) => request.method === 'PUT' && /manifests\/main-/.test(request.path),
      times: 2,
      how: answer(502),
    },
  ]);
  const { code, out, tag: made } = await pipeline();
  assert.equal(code, 0, out);
  assert.ok(await new Registry(createSystem({ env })).digestOf(`${pushed}:${made}`));
});

test('named: pushes that the registry refuses', async () => {
  proxy.set([
    {
      when: isUpload('POST'),
      times: always,
      how: answer(403, {
        headers: { 'content-type': 'application/json' },
        body: '{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}',
      }),
    },
  ]);
  const { code, out } = await pipeline();
  assert.notEqual(code, 0);
  assert.match(out, /docker login/, out);
  assert.doesNotMatch(out, /at .*\.ts:\d+/, 'no stack');
});

test('named: the tag is immutable at the registry', async () => {
  proxy.set([
    {
      when: (request) => request.method === 'PUT' && /manifests\/main-/.test(request.path),
      times: always,
      how: answer(412, { body: '{"errors":[{"code":"PRECONDITION","message":"tag is immutable"}]}' }),
    },
  ]);
  const { code, out } = await pipeline();
  assert.notEqual(code, 0);
  assert.match(out, /does not let it change.*Use another tag/s, out);
});

await run('faults-registry', async () => {
  await proxy.close();
  rmSync(folder, { recursive: true, force: true });
});
process.exit();
