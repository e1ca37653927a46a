// The app of the action tests on the lab: one small program, two images for one platform, a chart, and a second environment
// of manifests. Everything has a name of this process, so that nothing else on the lab is touched.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { RunEvent } from '../../../src/engine/events/index.ts';
import { project, type RunView } from '../../../src/engine/run/projection.ts';
import { commit, git } from '../../lab/examples.ts';
import type { LabEnvironment } from '../../lab/lab.ts';

const program = join(import.meta.dirname, '..', '..', 'pipeline', 'fixtures', 'actor', 'main.go');

export interface Depot {
  readonly path: string;
  readonly namespace: string;
  /** Repository of the image `web`. */
  readonly repository: string;
  /** While this file exists, a run waits between publishing and deploying. */
  readonly hold: string;
  readonly env: NodeJS.ProcessEnv;
  readonly write: (file: string, text: string) => void;
  /** A commit whose image `web` differs. Gives the tag it will be published under. */
  readonly nextVersion: (change?: () => void) => string;
  /** What kubectl prints, in the namespace of dev. Throws with its words when it fails. */
  readonly kubectl: (...args: readonly string[]) => string;
  readonly runIds: () => readonly string[];
  /** As the journal on disk has it; undefined while it has no beginning. */
  readonly view: (run: string) => RunView | undefined;
  readonly remove: () => void;
}

const chart = {
  'chart/Chart.yaml': 'apiVersion: v2\nname: depot\nversion: 0.1.0\n',
  'chart/values.yaml': 'web: { image: "" }\nreplicas: 1\n',
  'chart/templates/web.yaml': `apiVersion: v1
kind: Service
metadata: { name: web }
spec:
  type: NodePort
  selector: { app: web }
  ports: [{ name: http, port: 80, targetPort: http }]
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec:
  replicas: {{ .Values.replicas }}
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec:
      terminationGracePeriodSeconds: 1
      containers:
        - name: web
          image: {{ .Values.web.image }}
          ports: [{ name: http, containerPort: 8080 }]
          readinessProbe: { httpGet: { path: /ready, port: http }, periodSeconds: 1 }
`,
};

const flux = (namespace: string, repository: string) => `apiVersion: image.toolkit.fluxcd.io/v1
kind: ImageRepository
metadata: { name: depot, namespace: ${namespace} }
spec: { image: ${repository}, interval: 1h, insecure: true }
---
apiVersion: image.toolkit.fluxcd.io/v1
kind: ImagePolicy
metadata: { name: depot, namespace: ${namespace} }
spec:
  imageRepositoryRef: { name: depot }
  policy: { alphabetical: { order: asc } }
`;

export function createDepot(lab: LabEnvironment): Depot {
  const env: NodeJS.ProcessEnv = { ...process.env, ...lab.env };
  const work = mkdtempSync(join(tmpdir(), 'slipway-depot-'));
  const path = join(work, 'depot');
  const hold = join(work, 'hold');
  const namespace = `act-${process.pid}`;
  const prefix = `${lab.registry}/act-${process.pid}`;
  const repository = `${prefix}/web`;
  const write = (file: string, text: string) => {
    mkdirSync(dirname(join(path, file)), { recursive: true });
    writeFileSync(join(path, file), text);
  };
  const files = {
    ...chart,
    'slipway.yaml': `version: 1
name: depot
images:
  web: { repository: ${repository}, dockerfile: web.Dockerfile }
  job: { repository: ${prefix}/job, dockerfile: job.Dockerfile }
tags: ["{branch}-{sha}"]
test:
  - { name: unit, run: [sh, check.sh] }
commands:
  - { name: hold, run: [sh, hold.sh, ${hold}], before: deploy }
environments:
  dev:
    namespace: ${namespace}
    deploy: { helm: { chart: chart, release: depot, images: { web: web.image } } }
    rollout: { stability: 1s }
    smoke:
      - { name: alive, get: "service/web:http/healthz", contains: ok, timeout: 10s }
  side:
    namespace: ${namespace}-side
    deploy: { manifests: { paths: k8s } }
  home:
    namespace: ${namespace}
    deploy: { flux: { policies: [${namespace}/depot] } }
`,
    'check.sh': 'echo "all is well"\n',
    'hold.sh': 'while [ -e "$1" ]; do sleep 0.1; done\necho "let go"\n',
    'note.txt': 'first\n',
    'web.Dockerfile': 'FROM scratch\nCOPY bin/web /web\nCOPY note.txt /note.txt\nEXPOSE 8080\nENTRYPOINT ["/web"]\n',
    'job.Dockerfile': 'FROM scratch\nCOPY bin/web /web\nENTRYPOINT ["/web", "say", "done"]\n',
    'k8s/web.yaml': `apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec:
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec: { containers: [{ name: web, image: "${repository}:main" }] }
`,
    '.gitignore': '.slipway/\n',
  };
  mkdirSync(join(path, 'bin'), { recursive: true });
  for (const [file, text] of Object.entries(files)) write(file, text);
  const build = ['build', '-trimpath', '-ldflags', '-s -w', '-o', join(path, 'bin', 'web'), program];
  execFileSync('go', build, { env: { ...env, CGO_ENABLED: '0' }, stdio: 'pipe' });
  git(path, ['init', '-q', '-b', 'main']);
  commit(path, 'First version');
  const plain = (args: readonly string[], input?: string): string => {
    const result = spawnSync('kubectl', args, { env, encoding: 'utf8', ...(input !== undefined && { input }) });
    if (result.status !== 0) throw new Error(`kubectl ${args.join(' ')}: ${result.stderr}`);
    return result.stdout.trim();
  };
  plain(['create', 'namespace', namespace]);
  plain(['apply', '-f', '-'], flux(namespace, repository));
  const runs = join(path, '.slipway', 'runs');
  let serial = 0;
  return {
    path,
    namespace,
    repository,
    hold,
    env,
    write,
    nextVersion: (change) => {
      serial += 1;
      write('note.txt', `version ${serial}\n`);
      change?.();
      return `main-${commit(path, `Version ${serial}`).slice(0, 7)}`;
    },
    kubectl: (...args) => plain(['-n', namespace, ...args]),
    runIds: () => (existsSync(runs) ? readdirSync(runs).sort() : []),
    view: (run) => {
      const file = join(runs, run, 'events.jsonl');
      if (!existsSync(file)) return undefined;
      // The last line may be half written; a resumed run begins with an end of line.
      const lines = readFileSync(file, 'utf8').split('\n').slice(0, -1);
      return project(lines.flatMap((line) => (line === '' ? [] : [JSON.parse(line) as RunEvent])));
    },
    remove: () => {
      for (const name of [namespace, `${namespace}-side`]) {
        spawnSync('kubectl', ['delete', 'namespace', name, '--ignore-not-found', '--wait=false'], { env });
      }
      rmSync(work, { recursive: true, force: true });
    },
  };
}
