// A diagnosis as the engine writes it beside its report, for pages that show one.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DiagnosisData } from '../../../src/engine/deploy/diagnoseData.ts';
import { runFolder } from '../../../src/engine/run/journal.ts';

export const crashDiagnosis: DiagnosisData = {
  version: 1,
  environment: 'dev',
  namespace: 'shop',
  time: '2026-11-21T09:45:41.000Z',
  failure: {
    reason: 'rollout',
    code: 'crash.exit',
    message: 'Container api of shop-api ends with exit code 1 again and again.',
    fix: 'Read its last words.',
    evidence: ['KeyError: DATABASE_URL'],
  },
  troubles: [
    {
      title: 'The container ends again and again',
      evidence: 'shop-api-6d9f7c5b8-2xk4q/api: Error, exit code 1, 3 restarts',
      fix: 'Read its last words in the log of the previous container; exit code 0 means that the program has nothing that keeps it running.',
    },
    {
      title: 'A name does not resolve',
      evidence:
        'shop-api-6d9f7c5b8-2xk4q.api.previous.log: could not translate host name "postgres" to address: Name or service not known',
      fix: 'Check the service name and its namespace (`<service>.<namespace>`), that the service exists, and that the cluster DNS runs.',
    },
  ],
  workloads: [
    {
      name: 'Deployment shop/shop-api',
      desired: '2',
      updated: '1',
      ready: '2',
      available: '2',
      conditions: ['Available=True (MinimumReplicasAvailable)', 'Progressing=True (ReplicaSetUpdated)'],
    },
  ],
  pods: [
    {
      name: 'shop-api-6d9f7c5b8-2xk4q',
      node: 'node-1',
      phase: 'Running',
      isReady: false,
      containers: [
        {
          name: 'api',
          image: 'registry.example/shop-api:main-77be01f',
          state: 'CrashLoopBackOff',
          message: 'back-off 40s restarting failed container=api pod=shop-api-6d9f7c5b8-2xk4q_shop',
          lastReason: 'Error',
          lastExitCode: 1,
          restarts: 3,
          hasStarted: true,
        },
      ],
    },
    {
      name: 'shop-api-5c4b9d7f6-qq8zt',
      node: 'node-2',
      phase: 'Running',
      isReady: true,
      containers: [
        {
          name: 'api',
          image: 'registry.example/shop-api:main-0c0ffee',
          state: 'running',
          message: '',
          restarts: 0,
          hasStarted: true,
        },
      ],
    },
  ],
  events: [
    {
      at: '2026-11-21T09:45:20Z',
      type: 'Normal',
      reason: 'Pulled',
      object: 'Pod shop-api-6d9f7c5b8-2xk4q',
      message: 'Container image "registry.example/shop-api:main-77be01f" already present on machine',
      count: 4,
    },
    {
      at: '2026-11-21T09:45:38Z',
      type: 'Warning',
      reason: 'BackOff',
      object: 'Pod shop-api-6d9f7c5b8-2xk4q',
      message: 'Back-off restarting failed container api in pod shop-api-6d9f7c5b8-2xk4q_shop(8c1d)',
      count: 6,
    },
  ],
  logs: [
    {
      name: 'shop-api-6d9f7c5b8-2xk4q.api.previous.log',
      pod: 'shop-api-6d9f7c5b8-2xk4q',
      container: 'api',
      isPrevious: true,
      text: 'starting shop-api main-77be01f\nreading settings\npsycopg2.OperationalError: could not translate host name "postgres" to address: Name or service not known\n',
    },
    {
      name: 'shop-api-6d9f7c5b8-2xk4q.api.log',
      pod: 'shop-api-6d9f7c5b8-2xk4q',
      container: 'api',
      isPrevious: false,
      text: 'starting shop-api main-77be01f\n',
    },
  ],
  history: [
    {
      of: 'Helm release shop',
      revisions: [
        {
          number: 7,
          at: '2026-11-21T09:45:17Z',
          name: 'deployed: Slipway run 20261121T094512Z-77be01: api main-77be01f',
          images: ['registry.example/shop-api:main-77be01f'],
          isVerified: false,
        },
        {
          number: 6,
          at: '2026-11-20T15:02:10Z',
          name: 'superseded: Slipway run 20261120T150200Z-000005: api main-0c0ffee',
          images: ['registry.example/shop-api:main-0c0ffee'],
          isVerified: true,
        },
      ],
    },
  ],
  nodes: [
    { name: 'node-1', cpu: '4', memory: '8146836Ki', pods: '110', troubles: [], taints: [] },
    {
      name: 'node-2',
      cpu: '4',
      memory: '8146836Ki',
      pods: '110',
      troubles: ['MemoryPressure: kubelet has insufficient memory available'],
      taints: ['node.kubernetes.io/memory-pressure:NoSchedule'],
    },
  ],
  files: ['events.txt', 'history.txt', 'nodes.txt'],
  missing: ['IngressClasses: ingressclasses.networking.k8s.io is forbidden'],
};

/** As a run leaves it in its folder. */
export function writeDiagnosis(root: string, run: string, data: DiagnosisData = crashDiagnosis): void {
  const folder = join(runFolder(root, run), 'reports', 'diagnostics');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'diagnosis.json'), JSON.stringify(data));
  writeFileSync(join(folder, 'report.md'), `# ${data.environment}: what was found\n`);
}
