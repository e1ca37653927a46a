// Everyday work on what runs, as a person types it: status, logs, exec, describe, port-forward, restart, scale, smoke.
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSystem, Engine, type LogLine, type LogNote } from '../../src/engine/main.ts';
import { bundledCli } from '../bundle.ts';
import { environment as labEnvironment } from '../lab/lab.ts';
import { pushActor } from './support/actor.ts';
import { actorPort, deployment } from './support/deployment.ts';
import { run, test } from './support/suite.ts';

const lab = labEnvironment();
const env: NodeJS.ProcessEnv = { ...process.env, ...lab.env, CI: '1' };
const repository = `${lab.registry}/everyday/app`;
const namespace = 'everyday-dev';
const root = mkdtempSync(join(tmpdir(), 'slipway-everyday-'));
const git = (...args: readonly string[]): string =>
  execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@example.com', ...args], {
    cwd: root,
    encoding: 'utf8',
  }).trim();

const kubectl = (...args: readonly string[]) => spawnSync('kubectl', args, { env, encoding: 'utf8' });
const clean = () => kubectl('delete', 'namespace', namespace, '--ignore-not-found', '--wait');

interface Output {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}
const main = bundledCli();
function slipway(...args: readonly string[]): Output {
  const result = spawnSync(process.execPath, [main, ...args], { cwd: root, env, encoding: 'utf8' });
  return { code: result.status ?? -1, out: result.stdout, err: result.stderr };
}
const said = ({ code, out, err }: Output): string => `code ${code}\n${out}\n${err}`;

/** Waits without a limit of its own: the suite's caller has one. */
async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isSo())) await new Promise((resolve) => setTimeout(resolve, 50));
}

// A commit that is live, and two after it.
mkdirSync(join(root, 'k8s'));
git('init', '-q', '-b', 'main');
const talker = [
  'command:',
  '  - sh',
  '  - -c',
  `  - 'trap "exit 0" TERM; echo first words; n=0; while [ ! -f /tmp/die ]; do n=$((n+1)); echo line $n; sleep 0.2; done; echo last words; exit 3'`,
];
const manifests = (tag: string) => `apiVersion: v1
kind: Service
metadata: { name: web }
spec:
  selector: { app: web }
  ports: [{ name: http, port: 80, targetPort: http }]
---
${deployment({ name: 'web', image: `${repository}:${tag}`, replicas: 2, container: actorPort })}---
${deployment({ name: 'talker', image: `${lab.registry}/base/debian:12`, container: talker })}`;
writeFileSync(join(root, 'Dockerfile'), 'FROM scratch\n');
writeFileSync(
  join(root, 'slipway.yaml'),
  `version: 1
images:
  web: { repository: ${repository} }
tags: ["{sha}"]
environments:
  dev:
    namespace: ${namespace}
    deploy: { manifests: { paths: k8s } }
    smoke:
      - get: service/web:http/healthz
        json: { status: ok }
`,
);
git('add', '-A');
git('commit', '-qm', 'The version that is live');
const live = git('rev-parse', 'HEAD');
const tag = `1.0.0-${live.slice(0, 8)}`;
await pushActor(env, repository, tag);
writeFileSync(join(root, 'k8s', 'app.yaml'), manifests(tag));
for (const message of ['One more', 'And another']) {
  writeFileSync(join(root, 'notes.txt'), message);
  git('add', '-A');
  git('commit', '-qm', message);
}

const system = createSystem({ env });
const engine = new Engine({ system, root });
const operations = await engine.operations();
const never = new AbortController().signal;
const dev = { environment: 'dev' };

test('the environment is deployed', async () => {
  const deployed = slipway('run', '--env', 'dev', '--tag', tag);
  assert.equal(deployed.code, 0, said(deployed));
});

test('status: digest, tag, commit and how far behind', async () => {
  const [status] = await operations.status(['dev'], never);
  assert.ok(status !== undefined && status.failure === undefined, JSON.stringify(status));
  const web = status.images.find(({ name }) => name === 'web');
  assert.equal(web?.tag, tag);
  assert.match(web?.digest ?? '', /^sha256:[0-9a-f]{64}$/);
  assert.deepEqual(
    { ...web?.version, committedAt: '' },
    { commit: live, source: 'tag', subject: 'The version that is live', committedAt: '', behind: 2, ahead: 0 },
  );
  assert.equal(web?.pods, 2);
  assert.deepEqual(status.workloads.map(({ ref, state }) => `${ref.name} ${state}`).sort(), [
    'talker ready',
    'web ready',
  ]);
  const text = slipway('status');
  assert.equal(text.code, 0, said(text));
  assert.match(
    text.out,
    new RegExp(`web  sha256:\\w+… → tag ${tag} → commit ${live.slice(0, 7)}  2 commits behind main`),
  );
  const json = JSON.parse(slipway('status', 'dev', '--json').out);
  assert.equal(json.images[0].version.behind, 2);
});

test('status by the label of the image, which counts more than the tag', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'slipway-label-'));
  const head = git('rev-parse', 'HEAD');
  writeFileSync(join(folder, 'Dockerfile'), `FROM ${repository}:${tag}\n`);
  execFileSync(
    'docker',
    [
      ...['buildx', 'build', '--provenance=false', '--push', '-q', '-t', `${repository}:labelled-${head.slice(0, 8)}`],
      ...['--label', `org.opencontainers.image.revision=${head}`, folder],
    ],
    { env, stdio: 'pipe' },
  );
  rmSync(folder, { recursive: true });
  assert.equal(slipway('run', '--env', 'dev', '--tag', `labelled-${head.slice(0, 8)}`).code, 0);
  const [status] = await operations.status(undefined, never);
  const version = status?.images.find(({ name }) => name === 'web')?.version;
  assert.deepEqual([version?.commit, version?.source, version?.behind], [head, 'label', 0]);
  assert.match(slipway('status').out, /up to date with main/);
  assert.equal(slipway('run', '--env', 'dev', '--tag', tag).code, 0);
});

test('an environment that is away does not hide the others', async () => {
  const config = join(root, 'away.yaml');
  writeFileSync(
    config,
    `version: 1
images: { web: { repository: ${repository} } }
tags: ["{sha}"]
environments:
  dev: { namespace: ${namespace}, deploy: { manifests: { paths: k8s } } }
  far: { namespace: x, kubeconfig: ./none, deploy: { manifests: { paths: k8s } } }
`,
  );
  const both = slipway('--config', config, 'status');
  assert.equal(both.code, 3, said(both));
  assert.match(both.out, /web {2}sha256/);
  assert.match(both.out, /far .*\n.*does not exist/);
});

test('logs of all pods, in the order of their times; a name that is not there', async () => {
  const lines = await operations.logs(dev, { workload: 'web' }, never);
  assert.equal(new Set(lines.map(({ pod }) => pod)).size, 2);
  assert.ok(
    lines.some(({ text }) => text.includes(`actor ${tag} listens`)),
    JSON.stringify(lines),
  );
  const times = lines.map(({ time }) => time ?? '');
  assert.deepEqual(times, [...times].sort());
  const tail = slipway('logs', 'deploy/talker', '--tail', '3');
  assert.equal(tail.code, 0, said(tail));
  assert.equal(tail.out.trim().split('\n').length, 3);
  const wrong = slipway('logs', 'deploy/talkr');
  assert.equal(wrong.code, 2, said(wrong));
  assert.match(wrong.err, /There is no deploy\/talkr.*\n.*deployment\/talker/);
});

test('a followed log goes on across a restart and a new pod, without a line lost or told twice', async () => {
  const stop = new AbortController();
  const lines: LogLine[] = [];
  const notes: LogNote[] = [];
  const following = operations.followLogs(
    dev,
    { workload: 'talker', tail: 5 },
    { signal: stop.signal, onLine: (line) => lines.push(line), onNote: (note) => notes.push(note) },
  );
  await until(() => lines.length >= 5);
  const killed = await operations.exec(dev, { workload: 'talker', command: ['touch', '/tmp/die'] }, never);
  assert.equal(killed.code, 0);
  await until(() => notes.some(({ kind }) => kind === 'restarted'));
  await until(() => lines.filter(({ text }) => text === 'first words').length > 0);
  assert.ok(lines.some(({ text }) => text === 'last words'));
  const pod = lines[0]?.pod ?? '';
  kubectl('-n', namespace, 'delete', 'pod', pod, '--wait=false');
  await until(() => lines.some((line) => line.pod !== pod && line.text === 'line 3'));
  stop.abort();
  await following;
  // Numbers of one container's life follow each other without a gap or a repetition.
  const lives: number[][] = [];
  for (const { text } of lines.filter((line) => line.pod === pod)) {
    const number = Number(/^line (\d+)$/.exec(text)?.[1] ?? 0);
    if (number === 0) continue;
    const last = lives.at(-1);
    if (last === undefined || number === 1) lives.push([number]);
    else last.push(number);
  }
  for (const numbers of lives) {
    for (const [index, number] of numbers.entries()) {
      assert.equal(number, (numbers[0] ?? 0) + index, JSON.stringify(lives));
    }
  }
  assert.equal(lives.length, 2);
});

test('logs of the container before its restart', async () => {
  await operations.exec(dev, { workload: 'talker', command: ['touch', '/tmp/die'] }, never);
  let previous: readonly LogLine[] = [];
  await until(async () => {
    previous = await operations.logs(dev, { workload: 'talker', isPrevious: true }, never);
    return previous.length > 0;
  });
  assert.equal(previous.at(-1)?.text, 'last words');
  assert.ok(previous.every(({ isPrevious }) => isPrevious));
});

/** The talker runs, and not as one that has just been told to die. */
async function talking(): Promise<void> {
  await until(() => {
    const state = kubectl('-n', namespace, 'get', 'pods', '-l', 'app=talker', '-o', 'json').stdout;
    const pods: readonly { readonly metadata: { readonly deletionTimestamp?: string }; readonly status: unknown }[] =
      JSON.parse(state).items;
    const isUp = pods.some(({ metadata, status }) => {
      const [container] =
        (status as { containerStatuses?: { state: { running?: unknown } }[] }).containerStatuses ?? [];
      return metadata.deletionTimestamp === undefined && container?.state.running !== undefined;
    });
    return isUp && kubectl('-n', namespace, 'exec', 'deploy/talker', '--', 'test', '!', '-f', '/tmp/die').status === 0;
  });
}

test('exec: output, exit code, arguments as they are, a shell that is not there', async () => {
  await talking();
  const words = 'a b; echo $(id) "c"';
  const echo = await operations.exec(dev, { workload: 'talker', command: ['printf', '%s', words] }, never);
  assert.deepEqual([echo.code, echo.stdout, echo.container], [0, words, 'talker']);
  const cli = slipway('exec', 'deploy/talker', '--', 'sh', '-c', 'echo out; echo err >&2; exit 7');
  assert.deepEqual([cli.code, cli.out, cli.err], [7, 'out\n', 'err\n'], said(cli));
  // As in CI: nothing to read from, which is no pipe.
  const unread = spawnSync(process.execPath, [main, 'exec', 'talker', '--', 'sh', '-c', 'exit 7'], {
    cwd: root,
    env,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  assert.deepEqual([unread.status, unread.stderr], [7, '']);
  const none = slipway('exec', 'deploy/web');
  assert.equal(none.code, 2, said(none));
  assert.match(none.err, /has no shell/);
  const container = slipway('exec', 'web', '--container', 'nope', '--', 'x');
  assert.match(container.err, /has no container nope.*\n.*It has web/, said(container));
});

test('exec is cancelled by its signal', async () => {
  const stop = new AbortController();
  const sleeping = operations.exec(dev, { workload: 'talker', command: ['sleep', '1000'] }, stop.signal);
  setTimeout(() => stop.abort(), 500);
  await assert.rejects(sleeping, { name: 'CancelledError' });
});

test('exec with a terminal', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'slipway-tty-'));
  const record = join(folder, 'typescript');
  const child = spawn('script', ['-qec', `${process.execPath} ${main} -C ${root} exec deploy/talker`, record], {
    env: { ...env, CI: '' },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let out = '';
  child.stdout.on('data', (bytes) => {
    out += String(bytes);
  });
  const ended = new Promise<number>((resolve) => child.on('close', (code) => resolve(code ?? -1)));
  await until(() => /[$#] $/.test(out));
  child.stdin.write('echo $((6*7)); test -t 0 && echo terminal; exit 5\r');
  assert.equal(await ended, 5, out);
  assert.match(out, /42/);
  assert.match(out, /\nterminal/);
  rmSync(folder, { recursive: true });
});

test('describe: state, pods, what leads to it, events', async () => {
  const description = await operations.describe(dev, 'web', never);
  assert.equal(description.workload?.state, 'ready');
  assert.equal(description.pods.length, 2);
  assert.ok(description.related.some(({ object }) => object.kind === 'Service' && object.name === 'web'));
  assert.ok(description.events.some(({ reason }) => reason === 'ScalingReplicaSet'));
  const text = slipway('describe', 'svc/web');
  assert.equal(text.code, 0, said(text));
  assert.match(text.out, /Port: http 80 → http/);
  const crashed = slipway('describe', 'talker');
  assert.match(crashed.out, /1 restarts?, last Error exit 3/, said(crashed));
  kubectl('-n', namespace, 'create', 'secret', 'generic', 'pass', '--from-literal=password=hunter22hunter22');
  const secret = slipway('describe', 'secret/pass', '--yaml');
  assert.match(secret.out, /password: "\*\*\*"/, said(secret));
});

function ask(url: string): Promise<{ readonly status: number; readonly body: string }> {
  return new Promise((resolve, reject) => {
    get(url, { agent: false }, (answer) => {
      let body = '';
      answer.on('data', (bytes) => {
        body += String(bytes);
      });
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, body }));
    }).on('error', reject);
  });
}

test('port-forward: to a service and a workload, and it survives replaced pods', async () => {
  const stop = new AbortController();
  const pods: string[] = [];
  const forward = await operations.forward(
    dev,
    { to: 'svc/web', port: 'http' },
    { signal: stop.signal, onPod: (pod) => pods.push(pod) },
  );
  assert.match((await ask(`${forward.url}/healthz`)).body, /"status":"ok"/);
  kubectl('-n', namespace, 'delete', 'pods', '-l', 'app=web', '--wait=false');
  // No pod is ready now: the connection waits for one.
  assert.equal((await ask(`${forward.url}/healthz`)).status, 200);
  assert.equal(new Set(pods).size >= 2, true, pods.join(', '));
  // Many at once, and large ones.
  const answers = await Promise.all(Array.from({ length: 20 }, () => ask(`${forward.url}/healthz`)));
  assert.ok(answers.every(({ status }) => status === 200));
  stop.abort();
  await assert.rejects(ask(`${forward.url}/healthz`), { code: 'ECONNREFUSED' });
  const other = await operations.forward(dev, { to: 'deploy/web' }, { signal: never });
  assert.equal((await ask(`${other.url}/ready`)).status, 200);
  const taken = await operations.forward(dev, { to: 'web', localPort: other.port }, { signal: never }).catch((e) => e);
  assert.equal(taken.code, 'forward.local-port');
  await other.close();
  const problems: string[] = [];
  const refused = await operations.forward(
    dev,
    { to: 'web', port: '9' },
    { signal: never, onProblem: (message) => problems.push(message) },
  );
  await assert.rejects(ask(refused.url));
  await until(() => problems.length > 0);
  assert.match(problems[0] ?? '', /does not answer/);
  await refused.close();
});

test('port-forward on the command line ends with a signal', async () => {
  const child = spawn(process.execPath, [main, 'port-forward', 'svc/web', ':http'], { cwd: root, env });
  let out = '';
  child.stdout.on('data', (bytes) => {
    out += String(bytes);
  });
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
  await until(() => /http:\/\/localhost:\d+/.test(out));
  const url = /http:\/\/localhost:\d+/.exec(out)?.[0] ?? '';
  assert.equal((await ask(`${url}/ready`)).status, 200);
  child.kill('SIGINT');
  assert.equal(await ended, 0, out);
});

test('restart replaces the pods and is judged', async () => {
  const alive = () => {
    const all = JSON.parse(kubectl('-n', namespace, 'get', 'pods', '-l', 'app=web', '-o', 'json').stdout).items;
    const pods = all as readonly {
      readonly metadata: { readonly name: string; readonly deletionTimestamp?: string };
    }[];
    return pods.flatMap(({ metadata }) => (metadata.deletionTimestamp === undefined ? [metadata.name] : []));
  };
  const before = alive();
  const restarted = slipway('restart', 'deploy/web');
  assert.equal(restarted.code, 0, said(restarted));
  assert.match(restarted.out, /ready after/);
  const after = alive();
  assert.equal(after.length, 2);
  assert.ok(
    after.every((pod) => !before.includes(pod)),
    `${before} and ${after}`,
  );
});

test('scale, and what decides replicas in its place', async () => {
  const scaled = slipway('scale', 'web', '3');
  assert.equal(scaled.code, 0, said(scaled));
  assert.match(scaled.out, /from 2 to 3/);
  assert.match(scaled.out, /The next deploy sets what the manifest says/);
  assert.equal((await operations.describe(dev, 'web', never)).workload?.available, 3);
  kubectl('-n', namespace, 'autoscale', 'deployment', 'web', '--min=2', '--max=4', '--cpu-percent=80');
  const refused = slipway('scale', 'web', '5');
  assert.equal(refused.code, 2, said(refused));
  assert.match(refused.err, /HorizontalPodAutoscaler web decides .*\(2 to 4\)/);
  kubectl('-n', namespace, 'delete', 'hpa', 'web');
  assert.equal(slipway('scale', 'web', 'many').code, 2);
});

test('GitOps: a number that git holds is refused with the git way, one that it does not hold is set', async () => {
  const manifest = (replicas: string) => `apiVersion: apps/v1
kind: Deployment
metadata:
  name: flux-web
  namespace: ${namespace}
  labels: { kustomize.toolkit.fluxcd.io/name: apps, kustomize.toolkit.fluxcd.io/namespace: flux-system }
spec:
  ${replicas}
  selector: { matchLabels: { app: flux-web } }
  template:
    metadata: { labels: { app: flux-web } }
    spec: { terminationGracePeriodSeconds: 1, containers: [{ name: web, image: "${repository}:${tag}" }] }
`;
  const applied = (text: string) =>
    spawnSync(
      'kubectl',
      ['apply', '--server-side', '--field-manager=kustomize-controller', '--force-conflicts', '-f', '-'],
      {
        env,
        input: text,
        encoding: 'utf8',
      },
    );
  assert.equal(applied(manifest('replicas: 1')).status, 0);
  const refused = slipway('scale', 'deploy/flux-web', '2');
  assert.equal(refused.code, 2, said(refused));
  assert.match(refused.err, /applied by Flux \(Kustomization flux-system\/apps\)/);
  assert.match(refused.err, /spec\.replicas: 2/);
  assert.equal(applied(manifest('')).status, 0);
  const free = slipway('scale', 'deploy/flux-web', '0', '--no-wait');
  assert.equal(free.code, 0, said(free));
});

test('smoke runs the checks of the environment now', async () => {
  const good = slipway('smoke');
  assert.equal(good.code, 0, said(good));
  assert.match(good.out, /✓ ok/);
  kubectl('-n', namespace, 'set', 'env', 'deployment/web', 'HEALTH_STATUS=500');
  kubectl('-n', namespace, 'rollout', 'status', 'deployment/web');
  const config = join(root, 'strict.yaml');
  writeFileSync(
    config,
    `version: 1
images: { web: { repository: ${repository} } }
tags: ["{sha}"]
environments:
  dev:
    namespace: ${namespace}
    deploy: { manifests: { paths: k8s } }
    smoke: [{ get: "service/web:http/healthz", timeout: 3s }]
`,
  );
  const bad = slipway('--config', config, 'smoke');
  assert.equal(bad.code, 1, said(bad));
  assert.match(bad.out, /✗ FAILED .*status 500/);
});

clean();
await run('everyday', async () => {
  await system.processes.dispose();
  clean();
  rmSync(root, { recursive: true, force: true });
});
