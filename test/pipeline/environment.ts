// The commands for an environment outside of a run, as a person types them: check, diff, rollback, unlock, diagnose.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { at, type Cluster, connectPod, openCluster } from '../../src/engine/cluster/index.ts';
import { createSystem } from '../../src/engine/system/index.ts';
import { bundledCli } from '../bundle.ts';
import { environment as labEnvironment } from '../lab/lab.ts';
import { pushActor } from './support/actor.ts';
import { type ConnectProxy, LoginProgram, readKubeconfig, startProxy } from './support/clusterLogin.ts';
import { run, test } from './support/suite.ts';

const main = bundledCli();
const lab = labEnvironment();
const env = { ...process.env, ...lab.env };
const repository = `${lab.registry}/deploy/app`;
const fixtures = join(import.meta.dirname, 'fixtures');
const root = mkdtempSync(join(tmpdir(), 'slipway-environment-'));
for (const version of ['1.0.0', '1.1.0']) await pushActor(env, repository, version);

writeFileSync(join(root, 'Dockerfile'), 'FROM scratch\n');
mkdirSync(join(root, 'k8s'));
writeFileSync(
  join(root, 'slipway.yaml'),
  `version: 1
images:
  web: { repository: ${repository} }
tags: ["{sha}"]
environments:
  dev:
    namespace: deploy-cli
    deploy: { helm: { chart: ${join(fixtures, 'chart')}, release: web, set: { replicas: "1" }, images: { web: image } } }
    smoke: [ { get: "service/web:http/healthz", json: { status: ok } } ]
  live:
    protected: true
    namespace: deploy-cli-live
    deploy: { manifests: { paths: ${join(fixtures, 'manifests')} } }
`,
);
for (const args of [
  ['init', '-q'],
  ['add', '-A'],
  ['commit', '-qm', 'x'],
]) {
  const identity = ['-c', 'user.name=t', '-c', 'user.email=t@example.com'];
  spawnSync('git', [...identity, ...args], { cwd: root, env });
}

interface Output {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

const slipway = (...args: readonly string[]): Output => slipwayWith({}, ...args);

function slipwayWith(more: NodeJS.ProcessEnv, ...args: readonly string[]): Output {
  const result = spawnSync(process.execPath, [main, ...args], {
    cwd: root,
    env: { ...env, CI: '1', ...more },
    encoding: 'utf8',
  });
  return { code: result.status ?? -1, out: result.stdout, err: result.stderr };
}

const kubectl = (...args: readonly string[]) => spawnSync('kubectl', args, { env, encoding: 'utf8' });
const namespaces = ['deploy-cli', 'deploy-cli-live'];
const clean = () => kubectl('delete', 'namespace', ...namespaces, '--ignore-not-found', '--wait');
const said = ({ code, out, err }: Output) => `code ${code}\n${out}\n${err}`;
const live = (): string =>
  kubectl('-n', 'deploy-cli', 'get', 'deploy', 'web', '-o', 'jsonpath={.spec.template.spec.containers[0].image}')
    .stdout;

test('check: nothing in the way, and a tag that is not there', async () => {
  const good = slipway('check', '--env', 'dev', '--tag', '1.0.0');
  assert.equal(good.code, 0, said(good));
  assert.match(good.out, /Nothing stands in the way/);
  const bad = slipway('check', '--env', 'dev', '--tag', '1.0.7');
  assert.equal(bad.code, 1, said(bad));
  assert.match(
    bad.out,
    /wrong .*image\.missing: .*1\.0\.7 is not in the registry.*\n\s+Fix: Deploy a tag that exists/s,
  );
  const json = JSON.parse(slipway('--json', 'check', '--env', 'dev', '--tag', '1.0.7').out);
  assert.equal(json.answers[0].code, 'image.missing');
  assert.equal(kubectl('get', 'namespace', 'deploy-cli').status, 1, 'nothing was written');
});

test('diff, run, diff, and going back by command', async () => {
  const before = slipway('diff', '--env', 'dev', '--tag', '1.0.0');
  assert.match(before.out, /\+ Deployment deploy-cli\/web/, said(before));
  for (const tag of ['1.0.0', '1.1.0']) {
    const deployed = slipway('run', '--env', 'dev', '--tag', tag);
    assert.equal(deployed.code, 0, said(deployed));
  }
  const after = slipway('diff', '--env', 'dev', '--tag', '1.0.0');
  assert.match(after.out, /containers\[web\]\.image: .*:1\.1\.0 → .*:1\.0\.0/, said(after));
  assert.ok(!after.out.includes('changeme'));
  const list = slipway('rollback', '--env', 'dev', '--list');
  assert.match(list.out, /^2 .*live, verified.*\n1 .*verified, superseded/, said(list));
  const back = slipway('rollback', '--env', 'dev');
  assert.equal(back.code, 0, said(back));
  assert.match(live(), /:1\.0\.0/);
  const again = slipway('rollback', '--env', 'dev');
  assert.equal(again.code, 0, said(again));
  assert.match(live(), /:1\.1\.0/, 'the last other verified version');
  const chosen = slipway('rollback', '--env', 'dev', '--to', '1');
  assert.equal(chosen.code, 0, said(chosen));
  assert.match(live(), /:1\.0\.0/);
  const missing = slipway('rollback', '--env', 'dev', '--to', '99');
  assert.equal(missing.code, 2, said(missing));
  assert.match(said(missing), /no earlier revision 99/);
});

test('a way back that is not there is said with what there is: never deployed, only one version, another number', async () => {
  const none = slipway('rollback', '--env', 'live', '--list');
  assert.match(none.out, /Nothing was deployed to live yet/, said(none));
  const never = slipway('rollback', '--env', 'live', '--yes');
  assert.equal(never.code, 2, said(never));
  assert.match(said(never), /No workload of this environment is in the cluster[\s\S]*Fix: Deploy a version that works/);
  const status = slipway('status', 'live');
  assert.match(
    status.out,
    /not there +deployment\/web {2}Not in the cluster: not deployed yet, or deleted/,
    said(status),
  );
});

/** Everything that a write would change in these namespaces: objects by version, Leases and Helm records among them. */
function state(...places: readonly string[]): string {
  return places
    .map(
      (place) =>
        kubectl(
          ...['-n', place, 'get', 'deploy,rs,pods,services,configmaps,secrets,leases,serviceaccounts'],
          ...['-o', 'jsonpath={range .items[*]}{.kind}/{.metadata.name} {.metadata.resourceVersion}{"\\n"}{end}'],
        ).stdout,
    )
    .join('');
}

test('dry run: what would be deployed by Helm, and nothing is changed, locked or noted', async () => {
  const journal = () =>
    readdirSync(join(root, '.slipway', 'runs'))
      .sort()
      .join();
  const before = { cluster: state('deploy-cli'), journal: journal() };
  assert.match(before.cluster, /Secret\/sh\.helm\.release\.v1\.web\.v\d+ \d+/);
  const dry = slipway('deploy', '--env', 'dev', '--tag', '1.1.0', '--dry-run');
  assert.equal(dry.code, 0, said(dry));
  assert.match(dry.out, /image web: \S+\/deploy\/app:1\.1\.0 {2}\(now sha256:[0-9a-f]{12}\)/);
  assert.match(dry.out, /containers\[web\]\.image: \S*:1\.0\.0 → \S*:1\.1\.0$/m);
  assert.match(dry.out, /1 of \d+ objects would change/);
  assert.match(dry.out, /Dry run: nothing was built, tagged, written or locked/);
  assert.ok(!dry.out.includes('changeme') && !dry.out.includes(Buffer.from('changeme').toString('base64')));
  const same = slipway('run', '--env', 'dev', '--tag', '1.0.0', '--dry-run');
  assert.match(same.out, /0 of \d+ objects would change/, said(same));
  const bad = slipway('deploy', '--env', 'dev', '--tag', '1.0.7', '--dry-run');
  assert.equal(bad.code, 1, said(bad));
  assert.match(bad.out, /1\.0\.7 {2}\(not in the registry\)[\s\S]*wrong .*image\.missing/);
  assert.deepEqual({ cluster: state('deploy-cli'), journal: journal() }, before);
});

test('dry run: manifests by the server itself, also where nothing is yet; a protected environment is not asked about', async () => {
  const first = slipway('run', '--env', 'live', '--tag', '1.0.0', '--dry-run');
  assert.equal(first.code, 0, said(first));
  assert.match(first.out, /\+ Namespace deploy-cli-live[\s\S]*\+ Deployment deploy-cli-live\/web/);
  assert.equal(kubectl('get', 'namespace', 'deploy-cli-live').status, 1, 'nothing was made');
  assert.equal(slipway('deploy', '--env', 'live', '--tag', '1.0.0', '--yes').code, 0);
  const only = slipway('rollback', '--env', 'live', '--yes', '--to', '7');
  assert.equal(only.code, 2, said(only));
  assert.match(said(only), /There is no earlier revision 7\. Those that are kept: Deployment\/web: none\./);
  const next = slipway('--json', 'deploy', '--env', 'live', '--tag', '1.1.0', '--dry-run');
  assert.equal(next.code, 0, said(next));
  const { deploy } = JSON.parse(next.out);
  const changed = deploy.diffs.filter(({ action }: { action: string }) => action !== 'none');
  assert.deepEqual(
    changed.map(({ object, changes }: { object: { kind: string }; changes: { path: string }[] }) => [
      object.kind,
      changes.map(({ path }) => path),
    ]),
    [['Deployment', ['spec.template.spec.containers[web].image']]],
  );
  // Another controller owns a field that the manifests set: the write would be refused, and so it is said.
  const patch = '--patch={"spec":{"template":{"spec":{"containers":[{"name":"web","image":"other/app:1"}]}}}}';
  kubectl('-n', 'deploy-cli-live', 'patch', 'deploy', 'web', '--field-manager=image-bot', patch);
  const refused = slipway('deploy', '--env', 'live', '--tag', '1.1.0', '--dry-run');
  assert.equal(refused.code, 1, said(refused));
  assert.match(refused.out, /wrong .*apply\.conflict: .*image of image-bot/);
});

test('unlock says what it did, and that there is nothing to do', async () => {
  const none = slipway('unlock', '--env', 'dev');
  assert.match(none.out, /Nothing of dev is locked/, said(none));
  const helm = spawn(
    'helm',
    [
      ...['upgrade', 'web', join(fixtures, 'chart'), '--wait', '-n', 'deploy-cli'],
      ...['--set', `image.repository=${repository},image.tag=none`],
    ],
    { env, stdio: 'ignore' },
  );
  const ended = new Promise((resolve) => helm.once('close', resolve));
  const isPending = () =>
    spawnSync('helm', ['list', '--pending', '-q', '-n', 'deploy-cli'], { encoding: 'utf8', env }).stdout.includes(
      'web',
    );
  // Killed only once the release is marked, however long a busy machine takes for that.
  while (!isPending() && helm.exitCode === null) await new Promise((resolve) => setTimeout(resolve, 100));
  helm.kill('SIGKILL');
  await ended;
  const busy = slipway('run', '--env', 'dev', '--tag', '1.1.0');
  assert.equal(busy.code, 3, said(busy));
  assert.match(said(busy), /pending-upgrade/);
  const unlocked = slipway('unlock', '--env', 'dev');
  assert.match(unlocked.out, /was pending-upgrade and is marked failed/, said(unlocked));
  assert.equal(slipway('run', '--env', 'dev', '--tag', '1.1.0').code, 0);
});

test('a kubeconfig in a variable, as CI secrets hold it, reaches helm and leaves no file', async () => {
  const path = lab.env.KUBECONFIG ?? env.KUBECONFIG ?? '';
  const temporary = mkdtempSync(join(tmpdir(), 'slipway-secret-'));
  for (const content of [readFileSync(path).toString('base64'), readFileSync(path, 'utf8')]) {
    const output = slipwayWith(
      { KUBECONFIG: content, TMPDIR: temporary },
      'run',
      '--env',
      'dev',
      '--tag',
      '1.1.0',
      '--force',
    );
    assert.equal(output.code, 0, said(output));
    assert.deepEqual(readdirSync(temporary), []);
  }
  rmSync(temporary, { recursive: true });
});

const kubeconfig = readKubeconfig(env);
const [cluster] = kubeconfig.clusters;
const server = new URL(cluster?.cluster.server ?? '');
/** A kubeconfig of this lab with another way in, as a file. */
function writeKubeconfig(name: string, more: { readonly cluster?: object; readonly user?: object }): string {
  const path = join(root, name);
  const file = {
    ...kubeconfig,
    clusters: kubeconfig.clusters.map((one) => ({ ...one, cluster: { ...one.cluster, ...more.cluster } })),
    users: kubeconfig.users.map((one) => ({ ...one, user: more.user ?? one.user })),
  };
  writeFileSync(path, JSON.stringify(file), { mode: 0o600 });
  return path;
}
/** The server by a name that only the proxy knows: nothing gets there but through it. */
const alias = 'api.cluster.invalid';
const throughProxy = (proxy: ConnectProxy) => ({
  server: `https://${alias}:${server.port || '443'}`,
  'tls-server-name': server.hostname,
  'proxy-url': proxy.url,
});

test('a proxy of the kubeconfig carries requests, watches, port-forwards and helm', async () => {
  const proxy = await startProxy(alias, server.hostname);
  const path = writeKubeconfig('proxied.kubeconfig', { cluster: throughProxy(proxy) });
  try {
    const ran = slipwayWith({ KUBECONFIG: path }, 'run', '--env', 'dev', '--tag', '1.1.0');
    assert.equal(ran.code, 0, said(ran));
    assert.match(ran.out, /GET \/healthz/);
  } finally {
    const connects = await proxy.close();
    assert.ok(connects.length >= 3, `the proxy was asked ${connects.length} times`);
  }
  const cut = slipwayWith({ KUBECONFIG: path }, 'check', '--env', 'dev', '--tag', '1.1.0');
  assert.equal(cut.code, 3, `without the proxy there is no way: ${said(cut)}`);
});

const loginFolder = mkdtempSync(join(tmpdir(), 'slipway-login-'));
const login = new LoginProgram(loginFolder);
/** A user of the cluster who may do everything, and a token of theirs. */
const loginUser = 'slipway-environment-login';
function tokenFor(...bound: readonly string[]): string {
  kubectl('create', 'namespace', 'deploy-cli');
  const account = JSON.stringify({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: loginUser } });
  const binding = JSON.stringify({
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRoleBinding',
    metadata: { name: loginUser },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' },
    subjects: [{ kind: 'ServiceAccount', name: loginUser, namespace: 'deploy-cli' }],
  });
  for (const object of [account, binding])
    spawnSync('kubectl', ['-n', 'deploy-cli', 'apply', '-f', '-'], { env, input: object });
  const made = kubectl('-n', 'deploy-cli', 'create', 'token', loginUser, '--duration=1h', ...bound);
  assert.equal(made.status, 0, made.stderr);
  return made.stdout.trim();
}
const inAnHour = () => new Date(Date.now() + 3_600_000).toISOString();

test('an exec plugin is asked once in a run, for all connections, helm and through a proxy, and its token is nowhere', async () => {
  const token = tokenFor();
  login.gives({ token, expirationTimestamp: inAnHour() });
  const proxy = await startProxy(alias, server.hostname);
  const path = writeKubeconfig('login.kubeconfig', { cluster: throughProxy(proxy), user: { exec: login.exec() } });
  const temporary = mkdtempSync(join(tmpdir(), 'slipway-secret-'));
  try {
    const more = { KUBECONFIG: path, TMPDIR: temporary };
    const ran = slipwayWith(more, '--verbose', 'run', '--env', 'dev', '--tag', '1.1.0', '--force');
    assert.equal(ran.code, 0, said(ran));
    assert.match(ran.out, /GET \/healthz/);
    assert.equal(login.starts.length, 1, `asked ${login.starts.length} times`);
    const { spec } = JSON.parse(login.starts[0] ?? '{}');
    assert.equal(spec.cluster['proxy-url'], proxy.url, 'it is told the cluster');
    assert.ok(!said(ran).includes(token), 'the token is printed');
    assert.deepEqual(readdirSync(temporary), [], 'a file is left');
    assert.equal(spawnSync('grep', ['-rlF', token, root]).status, 1, 'the token is in the journal');
  } finally {
    await proxy.close();
    rmSync(temporary, { recursive: true });
  }
});

test('an exec plugin whose credentials end is asked anew, by helm too', async () => {
  login.gives({ token: tokenFor(), expirationTimestamp: new Date(Date.now() + 5_000).toISOString() });
  const path = writeKubeconfig('login.kubeconfig', { user: { exec: login.exec() } });
  const ran = slipwayWith({ KUBECONFIG: path }, 'run', '--env', 'dev', '--tag', '1.1.0', '--force');
  assert.equal(ran.code, 0, said(ran));
  assert.ok(login.starts.length > 2, `asked ${login.starts.length} times`);
});

test('an exec plugin is asked anew when the server refuses a token, or a certificate, that should still be good', async () => {
  const path = writeKubeconfig('login.kubeconfig', { user: { exec: login.exec() } });
  const system = createSystem({ env: { ...env, KUBECONFIG: path } });
  const { signal } = new AbortController();
  const pods = async (of: Cluster) => {
    const listed = await of.list({ apiVersion: 'v1', kind: 'Pod', namespace: 'deploy-cli' }, signal);
    assert.ok(listed.length > 0);
    return listed;
  };
  try {
    const token = tokenFor();
    kubectl('-n', 'deploy-cli', 'create', 'secret', 'generic', loginUser);
    const revoked = tokenFor('--bound-object-kind=Secret', `--bound-object-name=${loginUser}`);
    kubectl('-n', 'deploy-cli', 'delete', 'secret', loginUser);
    login.gives({ token: revoked }, { token });
    await pods(await openCluster(system, {}));
    assert.equal(login.starts.length, 2);

    // A certificate that another authority signed, and then the lab's own.
    const [mine] = kubeconfig.users;
    const text = (key: string) => Buffer.from(String(mine?.user[key] ?? ''), 'base64').toString('utf8');
    const certificate = {
      clientCertificateData: text('client-certificate-data'),
      clientKeyData: text('client-key-data'),
    };
    const [key, crt] = ['key', 'crt'].map((end) => join(loginFolder, `foreign.${end}`)) as [string, string];
    const made = spawnSync('openssl', [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'],
      ...['-keyout', key, '-out', crt, '-subj', '/O=system:masters/CN=nobody'],
    ]);
    assert.equal(made.status, 0, String(made.stderr));
    const foreign = { clientCertificateData: readFileSync(crt, 'utf8'), clientKeyData: readFileSync(key, 'utf8') };
    login.gives(foreign, certificate);
    const other = createSystem({ env: { ...env, KUBECONFIG: path } });
    const opened = await openCluster(other, {});
    const [pod] = await pods(opened);
    assert.equal(login.starts.length, 2);
    // What opens connections of its own gets the new certificate as well.
    const port = Number(at(pod, 'spec', 'containers', '0', 'ports', '0', 'containerPort') ?? 8080);
    const way = await connectPod(opened, { namespace: 'deploy-cli', name: pod?.metadata.name ?? '' }, port, signal);
    way.destroy();
    other.processes.dispose();
  } finally {
    system.processes.dispose();
  }
});

test('an exec plugin that fails, or is not there, is named with what helps', async () => {
  login.gives({});
  login.refuses('your session has expired');
  const path = writeKubeconfig('login.kubeconfig', { user: { exec: login.exec() } });
  const failed = slipwayWith({ KUBECONFIG: path }, 'check', '--env', 'dev', '--tag', '1.1.0');
  assert.equal(failed.code, 3, said(failed));
  assert.match(said(failed), /gave no credentials for https:\S+: your session has expired/);
  assert.match(said(failed), /Get the login program from the platform team/);
  const missing = writeKubeconfig('login.kubeconfig', {
    user: { exec: { ...login.exec(), command: 'no-such-login' } },
  });
  const absent = slipwayWith({ KUBECONFIG: missing }, 'status', '--env', 'dev');
  assert.match(said(absent), /no-such-login gave no credentials for https:\S+: it was not found on PATH/);
  assert.match(said(absent), /Get the login program from the platform team/);
});

test('diagnose leaves a report', async () => {
  const output = slipway('diagnose', '--env', 'dev');
  assert.equal(output.code, 0, said(output));
  assert.match(output.out, /# dev: what was found/);
  assert.ok(existsSync(join(root, '.slipway', 'diagnostics', 'dev', 'report.md')));
});

test('a protected environment is not touched unasked, and an unknown one is named', async () => {
  const refused = slipway('rollback', '--env', 'live');
  assert.equal(refused.code, 2, said(refused));
  assert.match(refused.err, /protected/);
  const unknown = slipway('rollback', '--env', 'prod', '--list');
  assert.equal(unknown.code, 2, said(unknown));
  assert.match(unknown.err, /no environment prod; there is dev, live/);
  // One that is there and cannot be read for a mistake is not said to be missing.
  const file = join(root, 'slipway.yaml');
  const good = readFileSync(file, 'utf8');
  writeFileSync(file, `${good}  test: { namespace: x, deploy: { manifests: { path: k8s } } }\n`);
  const broken = slipway('smoke', '--env', 'test');
  writeFileSync(file, good);
  assert.equal(broken.code, 2, said(broken));
  assert.match(broken.err, /slipway\.yaml:\d+/, said(broken));
  assert.doesNotMatch(broken.err, /no environment/, said(broken));
});

clean();
await run('environment', async () => {
  clean();
  kubectl('delete', 'clusterrolebinding', loginUser, '--ignore-not-found');
  for (const folder of [root, loginFolder]) rmSync(folder, { recursive: true, force: true });
});
