// An app that real Flux delivers from a repository of the lab's Gitea, under names of this process; and beside it what needs
// no cluster: an image whose registry refuses, and workflows of three hosts that the automation's own commits start.
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { bundledCli } from '../../bundle.ts';
import { commit, git } from '../../lab/examples.ts';
import type { LabEnvironment } from '../../lab/lab.ts';
import { pushActor } from '../../pipeline/support/actor.ts';
import { actorPort, deployment } from '../../pipeline/support/deployment.ts';
import { giteaRepository } from '../../pipeline/support/giteaRepository.ts';

export interface Fleet {
  readonly path: string;
  readonly namespace: string;
  readonly repository: string;
  readonly env: NodeJS.ProcessEnv;
  readonly write: (file: string, text: string) => void;
  readonly read: (file: string) => string;
  /** What kubectl prints, in the namespace of the app. Throws with its words when it fails. */
  readonly kubectl: (args: readonly string[], input?: string) => string;
  readonly liveTag: () => string;
  readonly latestTag: () => string;
  /** A file as the git server holds it. */
  readonly remote: (file: string) => string;
  /** Takes in what Flux and rollbacks have pushed, as a person does before the next change. */
  readonly pull: () => void;
  /** Commits everything, on top of what Flux has pushed, and pushes. */
  readonly push: (message: string) => void;
  /** Each controller of the chain looks again, as often as told; after each round `check` is called. */
  readonly rounds: (count: number, check: (round: number) => void) => void;
  /** The command line in the app's folder. */
  readonly slipway: (...args: readonly string[]) => Promise<{ readonly code: number | null; readonly text: string }>;
  readonly remove: () => Promise<void>;
}

export const RULES = 'clusters/home/images.yaml';
export const APP = 'clusters/home/apps/web.yaml';
/** Refuses every connection. */
export const REFUSED = '127.0.0.1:9/acme/offline';

const rules = (namespace: string, repository: string): string => `apiVersion: image.toolkit.fluxcd.io/v1
kind: ImageRepository
metadata:
  name: web
  namespace: ${namespace}
spec:
  image: ${repository}
  interval: 1h
  insecure: true
---
apiVersion: image.toolkit.fluxcd.io/v1
kind: ImagePolicy
metadata:
  name: web
  namespace: ${namespace}
spec:
  imageRepositoryRef:
    name: web
  policy:
    semver:
      range: 1.x <1.3.0
---
apiVersion: image.toolkit.fluxcd.io/v1
kind: ImageUpdateAutomation
metadata:
  name: home
  namespace: ${namespace}
spec:
  interval: 1h
  sourceRef:
    kind: GitRepository
    name: fleet
  update:
    strategy: Setters
    path: ./clusters/home/apps
  git:
    checkout:
      ref:
        branch: main
    commit:
      author:
        name: fluxcdbot
        email: fluxcdbot@example.invalid
    push:
      branch: main
`;

const offline = (namespace: string): string => `apiVersion: image.toolkit.fluxcd.io/v1
kind: ImageRepository
metadata:
  name: offline
  namespace: ${namespace}
spec:
  image: ${REFUSED}
  interval: 1h
---
apiVersion: image.toolkit.fluxcd.io/v1
kind: ImagePolicy
metadata:
  name: offline
  namespace: ${namespace}
spec:
  imageRepositoryRef:
    name: offline
  policy:
    semver:
      range: 1.x
`;

const unused = (namespace: string): string => `apiVersion: image.toolkit.fluxcd.io/v1
kind: ImagePolicy
metadata:
  name: unused
  namespace: ${namespace}
spec:
  imageRepositoryRef:
    name: offline
  policy:
    semver:
      range: 2.x
`;

/** Tags as they were two hours ago. */
const oldTags = (): string =>
  JSON.stringify({
    image: REFUSED,
    fetchedAt: new Date(Date.now() - 2 * 3_600_000 - 60_000).toISOString(),
    tags: ['1.0.0', '1.1.0', '2.0.0'],
    details: { '1.1.0': { digest: `sha256:${'ab'.repeat(32)}`, platforms: ['linux/amd64'], isSigned: true } },
  });

export async function createFleet(lab: LabEnvironment): Promise<Fleet> {
  const { CI: _ci, ...own } = process.env;
  const env: NodeJS.ProcessEnv = { ...own, ...lab.env };
  const namespace = `fleet-${process.pid}`;
  const repository = `${lab.registry}/fleet/web`;
  for (const version of ['1.0.0', '1.1.0', '1.2.0', '1.3.0']) await pushActor(env, repository, version);
  const gitea = await giteaRepository(namespace);
  const path = mkdtempSync(join(tmpdir(), 'slipway-fleet-'));
  const write = (file: string, text: string) => {
    mkdirSync(dirname(join(path, file)), { recursive: true });
    writeFileSync(join(path, file), text);
  };
  const kubectl = (args: readonly string[], input?: string): string => {
    const result = spawnSync('kubectl', ['-n', namespace, ...args], {
      encoding: 'utf8',
      env,
      ...(input !== undefined && { input }),
    });
    if (result.status !== 0) throw new Error(`kubectl ${args.join(' ')}: ${result.stderr}`);
    return result.stdout.trim();
  };
  const pull = (): void => void git(path, ['pull', '-q', '--rebase', '--autostash', 'origin', 'main']);
  const manifest = deployment({
    name: 'web',
    image: `${repository}:1.2.0 # {"$imagepolicy": "${namespace}:web"}`,
    container: actorPort,
  });
  const files = {
    'slipway.yaml': `version: 1
name: web
images: { web: { repository: ${repository} } }
scan: { enabled: false }
environments:
  home:
    context: ${lab.context ?? 'slipway-lab'}
    namespace: ${namespace}
    deploy: { flux: { policies: [${namespace}/web] } }
    rollout: { stability: 500ms }
`,
    Dockerfile: 'FROM scratch\n',
    '.gitignore': '.slipway\n',
    [RULES]: rules(namespace, repository),
    [APP]: manifest.replace('metadata: { name: web }', `metadata: { name: web, namespace: ${namespace} }`),
    'offline/images.yaml': offline(namespace),
    'offline/unused.yaml': unused(namespace),
    'offline/app.yaml': `image: ${REFUSED}:1.0.0 # {"$imagepolicy": "${namespace}:offline"}\n`,
    '.slipway/tags/offline.json': oldTags(),
  };
  for (const [file, text] of Object.entries(files)) write(file, text);
  git(path, ['init', '-q', '-b', 'main']);
  git(path, ['remote', 'add', 'origin', gitea.pushUrl]);
  commit(path, 'Web 1.2.0');
  git(path, ['push', '-q', '-u', 'origin', 'main']);
  const items = [
    {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'fleet', namespace },
      stringData: { username: gitea.user, password: gitea.password },
    },
    {
      apiVersion: 'source.toolkit.fluxcd.io/v1',
      kind: 'GitRepository',
      metadata: { name: 'fleet', namespace },
      spec: { interval: '1h', url: gitea.url, ref: { branch: 'main' }, secretRef: { name: 'fleet' } },
    },
    {
      apiVersion: 'kustomize.toolkit.fluxcd.io/v1',
      kind: 'Kustomization',
      metadata: { name: 'fleet', namespace },
      spec: {
        interval: '1h',
        retryInterval: '5s',
        timeout: '30s',
        prune: true,
        path: './clusters/home',
        sourceRef: { kind: 'GitRepository', name: 'fleet' },
      },
    },
  ];
  kubectl(['create', 'namespace', namespace]);
  kubectl(['apply', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
  const get = (kind: string, name: string, field: string) =>
    kubectl(['get', kind, name, '--ignore-not-found', '-o', `jsonpath={${field}}`]);
  const look = (kind: string, name: string): void => {
    if (get(kind, name, '.spec.suspend') === 'true') return;
    const token = `${Date.now()}-${kind}`;
    kubectl(['annotate', '--overwrite', kind, name, `reconcile.fluxcd.io/requestedAt=${token}`]);
    kubectl(['wait', kind, name, `--for=jsonpath={.status.lastHandledReconcileAt}=${token}`, '--timeout=120s']);
  };
  return {
    path,
    namespace,
    repository,
    env,
    write,
    read: (file) => readFileSync(join(path, file), 'utf8'),
    kubectl,
    liveTag: () => get('deployment', 'web', '.spec.template.spec.containers[0].image').split(':').at(-1) ?? '',
    latestTag: () => get('imagepolicy', 'web', '.status.latestRef.tag'),
    remote: (file) => {
      git(path, ['fetch', '-q', 'origin']);
      return git(path, ['show', `origin/main:${file}`]);
    },
    pull,
    push: (message) => {
      if (git(path, ['status', '--porcelain']) !== '') commit(path, message);
      pull();
      git(path, ['push', '-q', 'origin', 'main']);
    },
    rounds: (count, check) => {
      for (let round = 1; round <= count; round += 1) {
        look('imagerepository', 'web');
        look('imagepolicy', 'web');
        look('imageupdateautomation', 'home');
        look('gitrepository', 'fleet');
        look('kustomization', 'fleet');
        check(round);
      }
    },
    slipway: (...args) =>
      new Promise((resolve) => {
        const child = spawn(process.execPath, [bundledCli(), '-C', path, ...args], { env });
        let text = '';
        const take = (bytes: Buffer) => {
          text += bytes.toString('utf8');
        };
        child.stdout.on('data', take);
        child.stderr.on('data', take);
        child.on('close', (code) => resolve({ code, text }));
      }),
    remove: async () => {
      spawnSync('kubectl', ['-n', namespace, 'delete', 'kustomization', 'fleet', '--wait=false'], { env });
      spawnSync('kubectl', ['delete', 'namespace', namespace, '--wait=false'], { env });
      await gitea.remove();
      rmSync(path, { recursive: true, force: true });
    },
  };
}

/** The rules as they are once every version may go out: Flux chooses the newest. */
export function openRules(fleet: Fleet): void {
  fleet.pull();
  const open = fleet.read(RULES).replace(/range: .*/, 'range: 1.x');
  fleet.write(RULES, open.replace(/^ {2}suspend: true\n/m, ''));
}

/** Builds and pushes a new tag for every push, on each of three hosts. */
export const loopWorkflows = (repository: string) => {
  const steps = `jobs:
  image:
    runs-on: ubuntu-latest
    permissions: { contents: read, packages: write }
    steps:
      - run: docker push ${repository}:1.4.\${{ github.run_number }}
`;
  return {
    '.github/workflows/build.yml': `name: build\non:\n  push:\n    branches: [main] # ours\n${steps}`,
    '.gitea/workflows/image.yml': `name: image\non:\n  push:\n    branches: [main] # theirs\n${steps}`,
    '.gitlab-ci.yml': `build:\n  script:\n    - docker push ${repository}:1.4.$CI_PIPELINE_IID\n`,
  } as const;
};
