// Argo CD's health rules themselves, for the bench: the sources of github.com/argoproj/gitops-engine/pkg/health, fetched by
// the Go module proxy and built beside a main of our own. Its neighbour `pkg/utils/kube`, of which only names of kinds are
// used, would bring all of Kubernetes with it, so a stand-in holds these names. Lua checks of Argo CD are for custom kinds.
import { execFileSync, spawn } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { KubeObject } from '../../../../src/engine/cluster/index.ts';

const VERSION = 'v0.7.3';
const KUBE = 'github.com/argoproj/gitops-engine/pkg/utils/kube';
const HOOK = 'github.com/argoproj/gitops-engine/pkg/sync/hook';
const KINDS = [
  'Service',
  'Deployment',
  'ReplicaSet',
  'StatefulSet',
  'DaemonSet',
  'Ingress',
  'Job',
  'PersistentVolumeClaim',
  'Pod',
  'APIService',
  'HorizontalPodAutoscaler',
];

export interface ArgoHealth {
  readonly status: 'Healthy' | 'Progressing' | 'Degraded' | 'Suspended' | 'Missing' | 'Unknown';
  readonly message?: string;
}

export interface ArgoHealthRules {
  healthOf(object: KubeObject): Promise<ArgoHealth>;
  stop(): void;
}

/** Builds the rules; a minute the first time. Throws when Go is missing or the proxy does not answer. */
export function buildArgoHealth(env: NodeJS.ProcessEnv): ArgoHealthRules {
  const folder = mkdtempSync(join(tmpdir(), 'slipway-argo-health-'));
  const go = (...args: readonly string[]): string =>
    execFileSync('go', args, { cwd: folder, env: { ...env, GOFLAGS: '-mod=mod' }, encoding: 'utf8' });
  writeFileSync(join(folder, 'go.mod'), 'module argohealth\n\ngo 1.24\n');
  const { Dir } = JSON.parse(go('mod', 'download', '-json', `github.com/argoproj/gitops-engine@${VERSION}`)) as {
    readonly Dir: string;
  };
  for (const name of ['health', 'kube', 'hook']) mkdirSync(join(folder, name));
  const source = join(Dir, 'pkg', 'health');
  for (const file of readdirSync(source)) {
    if (!file.endsWith('.go') || file.endsWith('_test.go') || file === 'health_apiservice.go') continue;
    const text = readFileSync(join(source, file), 'utf8');
    writeFileSync(
      join(folder, 'health', file),
      text.replaceAll(KUBE, 'argohealth/kube').replaceAll(HOOK, 'argohealth/hook'),
    );
  }
  // Not among what the bench deploys, and its types are in a module of their own.
  writeFileSync(
    join(folder, 'health', 'none.go'),
    'package health\n\nimport "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"\n\n' +
      'func getAPIServiceHealth(_ *unstructured.Unstructured) (*HealthStatus, error) { return nil, nil }\n',
  );
  const names = KINDS.map((kind) => `const ${kind}Kind = "${kind}"`).join('\n');
  writeFileSync(join(folder, 'kube', 'kube.go'), `package kube\n\n${names}\n`);
  copyFileSync(join(import.meta.dirname, 'main.go'), join(folder, 'main.go'));
  // Versions with all the API groups that this version of the rules still speaks of.
  for (const name of ['api', 'apimachinery', 'kubectl']) go('mod', 'edit', `-require=k8s.io/${name}@v0.31.14`);
  go('build', '-o', 'rules', '.');
  const child = spawn(join(folder, 'rules'), [], { stdio: ['pipe', 'pipe', 'inherit'] });
  const waiting: ((line: string) => void)[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => waiting.shift()?.(line));
  return {
    healthOf: (object) =>
      new Promise((resolve) => {
        waiting.push((line) => resolve(JSON.parse(line) as ArgoHealth));
        child.stdin.write(`${JSON.stringify(object)}\n`);
      }),
    stop: () => {
      child.stdin.end();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
