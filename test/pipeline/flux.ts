// Real Flux, real Gitea, real registry, real pods: a tag goes through the automation to a verdict, a bad one is named and
// taken back so that it stays, by every recipe, and the lines that Flux and we write are the same bytes.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { applyPolicies } from '../../src/engine/gitops/index.ts';
import { type Chain, Engine, type RollbackWay, type RunEvent, type RunView } from '../../src/engine/main.ts';
import { createSystem } from '../../src/engine/system/index.ts';
import { bundledCli } from '../bundle.ts';
import { commit, edit, git, materialise } from '../lab/examples.ts';
import { environment as labEnvironment } from '../lab/lab.ts';
import { agentOf } from './support/agent.ts';
import { giteaRepository } from './support/giteaRepository.ts';
import { run, test } from './support/suite.ts';

const lab = labEnvironment();
const { CI: _ci, ...own } = process.env;
const env = { ...own, ...lab.env };
const namespace = `flux-e2e-${process.pid}`;
const repository = `${lab.registry}/${namespace}/hello`;
const work = mkdtempSync(join(tmpdir(), 'slipway-flux-'));
const cli = bundledCli();
const gitea = await giteaRepository(namespace);
const system = createSystem({ env });
const signal = new AbortController().signal;
const APP = 'clusters/home/apps/hello.yaml';
const FLUX = 'clusters/home/hello-automation.yaml';

/** The hello example with names of its own: nothing else on the lab is touched. */
const app = materialise('hello', join(work, 'hello'));
edit(app, 'slipway.yaml', (text) =>
  text
    .replace('localhost:5000/hello/hello', repository)
    .replace(/^test:\n.*\n/m, '')
    .replace(/^scan: .*$/m, 'scan: { enabled: false }')
    .replace(
      /^environments:[\s\S]*$/m,
      `environments:\n  home:\n    namespace: ${namespace}\n    deploy: { flux: { policies: [${namespace}/hello] } }\n    rollout: { stability: 1s }\n`,
    ),
);
edit(app, FLUX, (text) =>
  text
    .replaceAll('localhost:5000/hello/hello', repository)
    .replaceAll('namespace: flux-system', `namespace: ${namespace}`)
    .replace('name: flux-system }', 'name: fleet }')
    .replaceAll('interval: 1m', 'interval: 1h'),
);
edit(app, APP, (text) =>
  text
    .replaceAll('localhost:5000/hello/hello', repository)
    .replaceAll('namespace: hello', `namespace: ${namespace}`)
    .replace('flux-system:hello', `${namespace}:hello`)
    .replace('    spec:\n', '    spec:\n      terminationGracePeriodSeconds: 1\n'),
);

interface Result {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}
function slipway(...args: readonly string[]): Result {
  const result = spawnSync(process.execPath, [cli, '-C', app, ...args], { encoding: 'utf8', env, maxBuffer: 1e8 });
  return { code: result.status, out: result.stdout, err: result.stderr };
}
function kubectl(args: readonly string[], input?: string): string {
  const result = spawnSync('kubectl', ['-n', namespace, ...args], {
    encoding: 'utf8',
    env,
    ...(input !== undefined && { input }),
  });
  if (result.status !== 0) throw new Error(`kubectl ${args.join(' ')}: ${result.stderr}`);
  return result.stdout.trim();
}
const liveTag = (): string =>
  kubectl(['get', 'deployment', 'hello', '-o', 'jsonpath={.spec.template.spec.containers[0].image}'])
    .split(':')
    .at(-1) ?? '';
const latestTag = (): string => kubectl(['get', 'imagepolicy', 'hello', '-o', 'jsonpath={.status.latestRef.tag}']);
const head = (): string => git(app, ['ls-remote', 'origin', 'refs/heads/main']).split('\t')[0] ?? '';
const remote = (path: string, at = 'origin/main'): string => {
  git(app, ['fetch', '-q', 'origin']);
  return git(app, ['show', `${at}:${path}`]);
};
/** The local branch takes in what Flux has pushed, as a person's does before the next change. */
const pull = (): void => void git(app, ['pull', '-q', '--rebase', 'origin', 'main']);
/** Flux may push in between. */
const push = (): void => {
  for (let attempt = 1; ; attempt += 1) {
    try {
      git(app, ['push', '-q', 'origin', 'main']);
      return;
    } catch (error) {
      if (attempt === 3) throw error;
      pull();
    }
  }
};

let serial = 0;
const program = readFileSync(join(app, 'main.go'), 'utf8');
// Something cheap that tells one version from the next.
edit(app, 'Dockerfile', (text) => text.replace('USER', 'COPY bin-note.txt /note\nUSER'));
edit(app, '.dockerignore', (text) => `${text}!bin-note.txt\n`);
/** The next version: a commit that changes the image; only a bad one changes the program. Gives the tag it will have. */
function nextVersion(kind: 'good' | 'bad' = 'good'): string {
  pull();
  serial += 1;
  writeFileSync(join(app, 'bin-note.txt'), `${serial}\n`);
  const start = kind === 'bad' ? '\tpanic("required setting MODE is missing")\n' : '';
  writeFileSync(join(app, 'main.go'), program.replace('func main() {\n', `func main() {\n${start}`));
  commit(app, `Version ${serial}, ${kind}`);
  push();
  return `1.0.${git(app, ['rev-list', '--count', 'HEAD'])}`;
}

async function runs(environment = 'home'): Promise<{ readonly view: RunView; readonly events: readonly RunEvent[] }> {
  const events: RunEvent[] = [];
  const view = await new Engine({ system, root: app }).run({
    environment,
    startedBy: 'test',
    signal,
    onEvent: (event) => events.push(event),
  });
  return { view, events };
}
/** As a person in a terminal. */
const rollsBack = (how: RollbackWay, to: string): Result =>
  slipway('rollback', '--env', 'home', '--how', how, '--to', to);
const all = ({ out, err }: Result): string => out + err;
const lines = (events: readonly RunEvent[]): string =>
  events.flatMap((event) => (event.type === 'log' ? [event.text] : [])).join('\n');
const explained = ({ view, events }: { readonly view: RunView; readonly events: readonly RunEvent[] }): string =>
  `${JSON.stringify(view.failure, null, 1)}\n${lines(events).split('\n').slice(-25).join('\n')}`;

/** Not by the code under test: two more rounds of every controller, and what runs after each. */
async function staysAt(tag: string, rounds = 2): Promise<void> {
  for (let round = 0; round < rounds; round += 1) {
    for (const [kind, name] of [
      ['imagerepository', 'hello'],
      ['imagepolicy', 'hello'],
      ['imageupdateautomation', 'home'],
      ['gitrepository', 'fleet'],
      ['kustomization', 'fleet'],
    ] as const) {
      if (kubectl(['get', kind, name, '-o', 'jsonpath={.spec.suspend}']) === 'true') continue;
      const token = `${Date.now()}-${kind}`;
      kubectl(['annotate', '--overwrite', kind, name, `reconcile.fluxcd.io/requestedAt=${token}`]);
      kubectl(['wait', kind, name, `--for=jsonpath={.status.lastHandledReconcileAt}=${token}`, '--timeout=120s']);
    }
    assert.equal(liveTag(), tag, `round ${round + 1}`);
    assert.match(remote(APP), new RegExp(`hello:${tag.replaceAll('.', '\\.')} #`));
  }
}

const { url, pushUrl, user, password } = gitea;
git(app, ['remote', 'add', 'origin', pushUrl]);
commit(app, 'Names of the test');
git(app, ['push', '-q', '-u', 'origin', 'main']);
kubectl(['create', 'namespace', namespace]);
kubectl(
  ['apply', '-f', '-'],
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'List',
    items: [
      {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name: 'fleet', namespace },
        stringData: { username: user, password },
      },
      {
        apiVersion: 'source.toolkit.fluxcd.io/v1',
        kind: 'GitRepository',
        metadata: { name: 'fleet', namespace },
        spec: { interval: '1h', url, ref: { branch: 'main' }, secretRef: { name: 'fleet' } },
      },
      {
        apiVersion: 'kustomize.toolkit.fluxcd.io/v1',
        kind: 'Kustomization',
        metadata: { name: 'fleet', namespace },
        spec: {
          interval: '1h',
          retryInterval: '10s',
          timeout: '15s',
          prune: true,
          path: './clusters/home',
          sourceRef: { kind: 'GitRepository', name: 'fleet' },
        },
      },
    ],
  }),
);

/** Another workload of the same image, by a chart in the same repository. */
const CHART: Readonly<Record<string, string>> = {
  'charts/side/Chart.yaml': 'apiVersion: v2\nname: side\nversion: 0.1.0\n',
  'charts/side/templates/deployment.yaml': `apiVersion: apps/v1
kind: Deployment
metadata:
  name: side
spec:
  selector: { matchLabels: { app: side } }
  template:
    metadata: { labels: { app: side } }
    spec:
      terminationGracePeriodSeconds: 1
      containers:
        - name: side
          image: {{ .Values.image.repository }}:{{ .Values.image.tag }}
`,
  'clusters/home/apps/side.yaml': `apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata:
  name: side
  namespace: NAMESPACE
spec:
  interval: 1h
  chart:
    spec:
      chart: ./charts/side
      reconcileStrategy: Revision
      sourceRef:
        kind: GitRepository
        name: fleet
  values:
    image:
      repository: REPOSITORY
      tag: 1.0.5 # {"$imagepolicy": "NAMESPACE:hello:tag"}
`,
};

let good = '';

test('a new tag for three platforms: scanned, chosen, committed by the automation, fetched, applied, verified', async () => {
  good = nextVersion();
  const result = await runs();
  assert.equal(result.view.state, 'succeeded', explained(result));
  assert.equal(liveTag(), good);
  assert.equal(latestTag(), good);
  const said = lines(result.events);
  for (const word of ['chosen:', 'committed:', 'fetched:', 'applied:']) assert.match(said, new RegExp(`^${word}`, 'm'));
  git(app, ['fetch', '-q', 'origin']);
  assert.match(git(app, ['log', '-1', '--format=%an %s', 'origin/main']), /^fluxcdbot Update images/);
  const published = result.events.find((event) => event.type === 'image.published');
  assert.deepEqual(published?.type === 'image.published' && [...published.platforms].sort(), [
    'linux/amd64',
    'linux/arm/v7',
    'linux/arm64',
  ]);
  assert.match(
    kubectl(['get', 'imagepolicy', 'hello', '-o', 'jsonpath={.metadata.annotations}']),
    new RegExp(`verified-tags.*${good}`),
  );
  const asked = slipway('flux', 'reconcile', 'ks/fleet');
  assert.equal(asked.code, 0, asked.out + asked.err);
  const status = slipway('flux', 'status', '--env', 'home');
  assert.equal(status.code, 0, status.out);
  assert.match(status.out, new RegExp(`${good.replaceAll('.', '\\.')} runs\\.`));
});

test('an agent reconciles, suspends with a note and resumes, and says what it asks', async () => {
  const agent = agentOf(app, env);
  const place = { environment: 'home' };
  const { objects } = (await agent.call('reconcile', { ...place, objects: ['ks/fleet'] })) as {
    objects: { object: string; outcome: string; message: string }[];
  };
  assert.deepEqual(
    objects.map(({ object, outcome }) => [object, outcome]),
    [[`Kustomization ${namespace}/fleet`, 'done']],
    JSON.stringify(objects),
  );
  const suspended = await agent.call('suspend', { ...place, object: 'ks/fleet', why: 'a look at it' });
  assert.deepEqual(suspended, { object: `Kustomization ${namespace}/fleet`, outcome: 'suspended' });
  const status = (await agent.call('flux_status', place)) as { suspended: string[] };
  assert.ok(status.suspended.includes(`Kustomization ${namespace}/fleet`), JSON.stringify(status));
  const resumed = (await agent.call('resume_delivery', { ...place, object: 'ks/fleet' })) as { note?: { why: string } };
  assert.equal(resumed.note?.why, 'a look at it');
  assert.deepEqual(agent.asked, ['Reconcile ks/fleet', 'Suspend ks/fleet', 'Resume ks/fleet']);
});

test('lines changed by Flux and by us are the same bytes', async () => {
  git(app, ['fetch', '-q', 'origin']);
  const by = git(app, ['log', '-1', '--author=fluxcdbot', '--format=%H', 'origin/main']);
  const files = git(app, ['diff-tree', '--no-commit-id', '--name-only', '-r', by]).split('\n');
  assert.deepEqual(files, [APP]);
  const ref = { name: repository, tag: good, digest: '' };
  const ours = applyPolicies(`${remote(APP, `${by}~1`)}\n`, APP, new Map([[`${namespace}:hello`, ref]]));
  assert.equal(ours.changes.length, 1);
  const marked = (text: string) => text.split('\n').filter((line) => line.includes('$imagepolicy'));
  const theirs = `${remote(APP, by)}\n`;
  assert.deepEqual(marked(ours.text), marked(theirs));
  // Flux writes a file anew in its own style; we change the one token.
  const other = (text: string) => text.split('\n').filter((line, index) => line !== theirs.split('\n')[index]).length;
  console.log(`     lines that Flux reformatted beside the marked one: ${other(ours.text)}`);
  assert.equal(other(ours.text) > 0, true);
});

test('a second run of the same commit writes nothing and is ready at once', async () => {
  const before = head();
  const result = await runs();
  assert.equal(result.view.state, 'succeeded', explained(result));
  assert.equal(head(), before);
});

test('a bad version is named, excluded by itself, and stays away, past a health check that holds the controller', async () => {
  const bad = nextVersion('bad');
  kubectl(['patch', 'kustomization', 'fleet', '--type=merge', '-p', '{"spec":{"wait":true}}']);
  const result = await runs();
  assert.equal(result.view.state, 'failed');
  assert.equal(result.view.failure?.reason, 'rollout', explained(result));
  assert.match(result.view.failure?.code ?? '', /^(crash|exit|app)/, explained(result));
  assert.match(JSON.stringify(result.view.failure), /required setting MODE is missing/);
  const finished = result.events.find((event) => event.type === 'rollback.finished');
  assert.equal(finished?.type === 'rollback.finished' && finished.outcome, 'restored', explained(result));
  assert.equal(liveTag(), good);
  assert.equal(latestTag(), good);
  assert.match(
    remote(FLUX),
    new RegExp(
      `range: 1\\.0\\.x !=${bad.replaceAll('.', '\\.')} \\}|range: "1\\.0\\.x !=${bad.replaceAll('.', '\\.')}"`,
    ),
  );
  kubectl(['patch', 'kustomization', 'fleet', '--type=merge', '-p', '{"spec":{"wait":false}}']);
  await staysAt(good);
});

test("in a file of Flux's own style, the whole commit is the same", async () => {
  git(app, ['fetch', '-q', 'origin']);
  const [by = ''] = git(app, ['log', '--author=fluxcdbot', '--format=%H', 'origin/main']).split('\n');
  const tag = /hello:(1\.0\.\d+) #/.exec(remote(APP, by))?.[1] ?? '';
  const ref = { name: repository, tag, digest: '' };
  const ours = applyPolicies(`${remote(APP, `${by}~1`)}\n`, APP, new Map([[`${namespace}:hello`, ref]]));
  assert.equal(ours.changes.length, 1);
  assert.equal(ours.text, `${remote(APP, by)}\n`);
});

test('deploying a version that Flux would replace is refused before anything is written', async () => {
  const before = head();
  const result = slipway('run', '--env', 'home', '--tag', '1.0.1');
  assert.equal(result.code, 2, result.out + result.err);
  assert.match(result.out + result.err, /writes that again/);
  assert.equal(head(), before);
});

/** What a person does when the version is mended: the rules as they were, and the automation goes on. */
function goOn(): void {
  pull();
  edit(app, FLUX, (text) => text.replace(/range: .*$/m, 'range: 1.0.x } }').replace(/^ {2}suspend: true\n/m, ''));
  commit(app, 'Go on');
  push();
  const again = slipway('flux', 'reconcile', 'git/fleet', 'ks/fleet', 'update/home');
  assert.equal(again.code, 0, again.out + again.err);
}

test('rollback by command, pin: the ways are shown, it stays, and can be taken out again', async () => {
  const before = good;
  const next = nextVersion();
  const deployed = await runs();
  assert.equal(deployed.view.state, 'succeeded', explained(deployed));
  const ways = await new Engine({ system, root: app }).rollbackWays('home', before, signal);
  assert.deepEqual(ways?.choices.map((choice) => `${choice.how} ${choice.verdict}`).sort(), [
    'exclude sticks',
    'pin sticks',
    'revert bounces',
    'suspend sticks',
  ]);
  const shown = slipway('rollback', '--env', 'home', '--to', before, '--ways');
  assert.match(shown.out, /revert: .* does NOT stay[\s\S]*image-automation-controller writes .* again/);
  const refused = rollsBack('revert', before);
  assert.equal(refused.code, 2, all(refused));
  assert.match(all(refused), /A revert alone does not stay: home writes \S+ again/);
  const back = rollsBack('pin', before);
  assert.equal(back.code, 0, all(back));
  // What each controller does next is told before it is waited for.
  assert.match(slipway('logs', 'rollback:home').out, /next: image-reflector-controller selects/);
  assert.equal(latestTag(), before);
  await staysAt(before);
  goOn();
  good = next;
});

/** What the command says on a terminal on which a person types an answer to its question. */
function onTerminal(question: string, answer: string, ...args: readonly string[]): Promise<Result> {
  const quoted = [process.execPath, cli, '-C', app, ...args].map((word) => `'${word}'`).join(' ');
  return new Promise((resolve) => {
    const child = spawn('script', ['-qec', quoted, '/dev/null'], { env, stdio: ['pipe', 'pipe', 'inherit'] });
    let out = '';
    let isAnswered = false;
    child.stdout.on('data', (bytes: Buffer) => {
      out += bytes.toString('utf8');
      if (isAnswered || !out.includes(question)) return;
      isAnswered = true;
      child.stdin.write(`${answer}\n`);
    });
    child.on('close', (code) => resolve({ code, out, err: '' }));
  });
}

test('rollback on a terminal: the person is asked, chooses exclude, and it stays', async () => {
  const before = good;
  const next = nextVersion();
  const deployed = await runs();
  assert.equal(deployed.view.state, 'succeeded', explained(deployed));
  const back = await onTerminal('Which way?', 'exclude', 'rollback', '--env', 'home', '--to', before);
  assert.equal(back.code, 0, back.out);
  assert.match(back.out, /exclude: Exclude \S+ from the policy's range . stays/);
  assert.match(back.out, /revert: .* does NOT stay/);
  assert.equal(latestTag(), before);
  await staysAt(before);
  goOn();
  good = next;
});

let suspendedAt = '';
test('rollback by command, suspend: it stays, with a note for whoever resumes', async () => {
  const before = good;
  nextVersion();
  const deployed = await runs();
  assert.equal(deployed.view.state, 'succeeded', explained(deployed));
  const back = rollsBack('suspend', before);
  assert.equal(back.code, 0, all(back));
  await staysAt(before);
  suspendedAt = before;
  const status = slipway('flux', 'status', '--env', 'home');
  assert.match(status.out, /‖ committed[\s\S]*Do not forget:[\s\S]*Rolled back hello from/);
  assert.match(remote(FLUX), /suspend: true/);
  // Git declares it now, so a patch in the cluster would be undone.
  const resumed = slipway('flux', 'resume', 'update/home');
  assert.equal(resumed.code, 2, resumed.out + resumed.err);
  assert.match(resumed.err, /suspend: false in git/);
});

/** Runs the command until its output holds the text, and kills it there. False when it ended before. */
function killedAt(text: string, ...args: readonly string[]): Promise<boolean> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [cli, '-C', app, '--json', ...args], {
      env,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let seen = '';
    child.stdout.on('data', (bytes: Buffer) => {
      seen += bytes.toString('utf8');
      if (seen.includes(text)) child.kill('SIGKILL');
    });
    child.on('close', (_, killer) => resolve(killer === 'SIGKILL'));
  });
}

test('without an active automation the run writes git itself: one line, nothing in the folder, and once although killed', async () => {
  const next = nextVersion();
  const published = slipway('run');
  assert.equal(published.code, 0, published.out + published.err);
  writeFileSync(join(app, 'NOTES.md'), 'half-written\n');
  edit(app, APP, (text) => `${text}# not committed\n`);
  git(app, ['add', APP]);
  const dirty = [git(app, ['status', '--porcelain']), git(app, ['rev-parse', 'HEAD'])];
  assert.equal(await killedAt('"committed: ', 'run', '--env', 'home', '--tag', next), true);
  const resumed = slipway('--json', 'resume');
  assert.equal(resumed.code, 0, resumed.out + resumed.err);
  assert.match(resumed.out, /committed: nothing, origin\/main holds it already/);
  assert.equal(liveTag(), next);
  git(app, ['fetch', '-q', 'origin']);
  const ours = git(app, ['log', `--grep=Deploy hello ${next} to home`, '--format=%H', 'origin/main']).split('\n');
  assert.equal(ours.length, 1);
  assert.match(git(app, ['show', '--numstat', '--format=', ours[0] ?? '']), new RegExp(`^1\\t1\\t${APP}$`));
  assert.deepEqual([git(app, ['status', '--porcelain']), git(app, ['rev-parse', 'HEAD'])], dirty);
  git(app, ['reset', '-q', '--hard']);
  await staysAt(next, 1);
  // Nobody writes against it now, so the old tag alone stays as well.
  const back = rollsBack('revert', suspendedAt);
  assert.equal(back.code, 0, all(back));
  await staysAt(suspendedAt);
  goOn();
  good = next;
});

test("the marker of the automation's own commit keeps CI from a loop; without it the loop is named", async () => {
  pull();
  const workflow = readFileSync(
    join(import.meta.dirname, '../../examples/setups/flux-arm/.github/workflows/publish.yml'),
    'utf8',
  );
  mkdirSync(join(app, '.github/workflows'), { recursive: true });
  writeFileSync(
    join(app, '.github/workflows/publish.yml'),
    workflow.replaceAll('ghcr.io/acme/thermo', repository).replace(/ {4}paths-ignore:\n(?: {6}- .*\n)+/, ''),
  );
  const [by = ''] = git(app, ['log', '--author=fluxcdbot', '--format=%H', 'origin/main']).split('\n');
  const files = git(app, ['diff-tree', '--no-commit-id', '--name-only', '-r', by]).split('\n');
  const message = git(app, ['log', '-1', '--format=%B', by]);
  const asked = slipway('lint', '--push', ...files, '--message', message);
  assert.match(asked.out, /skip ci/);
  assert.equal(slipway('lint').out.includes('ci.feedback-loop'), false);
  edit(app, FLUX, (text) => text.replace(' [skip ci]', ''));
  const linted = slipway('--json', 'lint');
  assert.equal(linted.code, 1, linted.out);
  assert.match(linted.out, /ci\.feedback-loop/);
  git(app, ['checkout', '-q', '--', '.']);
  rmSync(join(app, '.github'), { recursive: true });
});

test('a release of helm-controller in the same chain: marker in its values, both workloads follow', async () => {
  pull();
  for (const [path, text] of Object.entries(CHART)) {
    mkdirSync(dirname(join(app, path)), { recursive: true });
    writeFileSync(join(app, path), text.replaceAll('REPOSITORY', repository).replaceAll('NAMESPACE', namespace));
  }
  commit(app, 'A chart of the same image');
  push();
  const next = nextVersion();
  const result = await runs();
  assert.equal(result.view.state, 'succeeded', explained(result));
  assert.equal(liveTag(), next);
  kubectl(['wait', 'helmrelease', 'side', '--for=condition=Ready', '--timeout=90s']);
  const side = kubectl(['get', 'deployment', 'side', '-o', 'jsonpath={.spec.template.spec.containers[0].image}']);
  assert.equal(side, `${repository}:${next}`);
  const status = slipway('flux', 'status', '--env', 'home');
  assert.match(status.out, /✓ released +HelmRelease side: side 0\.1\.0\S*, release \d+, deployed\./);
  assert.match(status.out, /rolled-out +Deployment side/);
});

test('a broken commit is named at its link of the chain, with the way to mend it', async () => {
  pull();
  edit(app, APP, (text) => text.replace('replicas: 2', 'replicas: two'));
  commit(app, 'A mistake');
  push();
  const asked = slipway('flux', 'reconcile', 'git/fleet', 'ks/fleet');
  assert.equal(asked.code, 1, asked.out + asked.err);
  const status = slipway('--json', 'flux', 'status', '--env', 'home');
  assert.equal(status.code, 1);
  const [chain] = (JSON.parse(status.out) as { readonly chains: readonly Chain[] }).chains;
  const stuck = chain?.links.find(({ state }) => state === 'stuck');
  assert.equal(stuck?.step, 'applied', status.out);
  assert.match(stuck?.cause?.message ?? '', /refuses an object|cannot be built/);
});

await run('flux', async () => {
  kubectl(['delete', 'kustomization', 'fleet', '--wait=false']);
  kubectl(['delete', 'namespace', namespace, '--wait=false']);
  await gitea.remove();
  await system.processes.dispose();
  if (process.env.KEEP === undefined) rmSync(work, { recursive: true, force: true });
  else console.log(readFileSync(join(app, 'slipway.yaml'), 'utf8'), work);
});
