// Real Flux, real Gitea, real registry, real pods: a tag goes through the automation to a verdict, a bad one is named and
// taken back so that it stays, by every recipe, and the lines that Flux and we write are the same bytes.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { applyPolicies } from '../../src/engine/gitops/index.ts';
import { Engine, type RollbackWay, type RunEvent, type RunView } from '../../src/engine/main.ts';
import { createSystem } from '../../src/engine/system/index.ts';
import { commit, edit, git, materialise } from '../lab/examples.ts';
import { environment as labEnvironment } from '../lab/lab.ts';
import { giteaRepository } from './support/giteaRepository.ts';
import { run, test } from './support/suite.ts';

const lab = labEnvironment();
const { CI: _ci, ...own } = process.env;
const env = { ...own, ...lab.env };
const namespace = `flux-e2e-${process.pid}`;
const repository = `${lab.registry}/${namespace}/hello`;
const work = mkdtempSync(join(tmpdir(), 'slipway-flux-'));
const cli = join(import.meta.dirname, '../../src/cli/main.ts');
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
const push = (): void => void git(app, ['push', '-q', 'origin', 'main']);

let serial = 0;
/** The next version: a commit that changes the program, good or bad. Gives the tag that it will have. */
function nextVersion(kind: 'good' | 'bad' = 'good'): string {
  pull();
  serial += 1;
  const start = kind === 'bad' ? '\tpanic("required setting MODE is missing")' : `\t_ = ${serial}`;
  edit(app, 'main.go', (text) =>
    text.replace(/func main\(\) \{\n(?:\t(?:_ =|panic).*\n)?/, `func main() {\n${start}\n`),
  );
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
async function rollsBack(how?: RollbackWay, to?: string) {
  const events: RunEvent[] = [];
  const view = await new Engine({ system, root: app }).rollBack({
    environment: 'home',
    startedBy: 'test',
    signal,
    onEvent: (event) => events.push(event),
    ...(how !== undefined && { how }),
    ...(to !== undefined && { to }),
  });
  return { view, events };
}
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
          // A bad version keeps the controller busy for so long: the way back must get past that.
          wait: true,
          timeout: '15s',
          prune: true,
          path: './clusters/home',
          sourceRef: { kind: 'GitRepository', name: 'fleet' },
        },
      },
    ],
  }),
);

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

test('a bad version is named, excluded by itself, and stays away', async () => {
  const bad = nextVersion('bad');
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

for (const how of ['pin', 'suspend'] as const) {
  test(`rollback by command, ${how}: it stays, and can be undone`, async () => {
    const before = good;
    const next = nextVersion();
    const deployed = await runs();
    assert.equal(deployed.view.state, 'succeeded', explained(deployed));
    assert.equal(liveTag(), next);
    const ways = await new Engine({ system, root: app }).rollbackWays('home', before, signal);
    assert.deepEqual(ways?.choices.map((choice) => `${choice.how} ${choice.verdict}`).sort(), [
      'exclude sticks',
      'pin sticks',
      'revert bounces',
      'suspend sticks',
    ]);
    const back = await rollsBack(how, before);
    assert.equal(back.view.state, 'succeeded', explained(back));
    assert.equal(liveTag(), before);
    await staysAt(before);
    if (how === 'suspend') {
      const status = slipway('flux', 'status', '--env', 'home');
      assert.match(status.out, /Do not forget:[\s\S]*Rolled back hello from/);
      assert.match(remote(FLUX), /suspend: true/);
    } else assert.equal(latestTag(), before);
    // What a person does when the version is mended: the rules as they were, and the automation goes on.
    pull();
    edit(app, FLUX, (text) =>
      text
        .replace(/range: .*\}$/m, 'range: 1.0.x } }')
        .replace(/ \} \} \}$/m, ' } }')
        .replace(/^ {2}suspend: true\n/m, ''),
    );
    commit(app, 'Go on');
    push();
    const again = slipway('flux', 'reconcile', 'git/fleet', 'ks/fleet');
    assert.equal(again.code, 0, again.out + again.err);
    good = next;
  });
}

test('revert is refused while an automation would undo it, and stays without one', async () => {
  const result = await rollsBack('revert');
  assert.equal(result.view.failure?.code, 'flux.bounces', explained(result));
});

await run('flux', async () => {
  kubectl(['delete', 'kustomization', 'fleet', '--wait=false']);
  kubectl(['delete', 'namespace', namespace, '--wait=false']);
  await gitea.remove();
  await system.processes.dispose();
  if (process.env.KEEP === undefined) rmSync(work, { recursive: true, force: true });
  else console.log(readFileSync(join(app, 'slipway.yaml'), 'utf8'), work);
});
