// Runs as the engine journals them, for tests that need one in a known state: the events are of the engine's own union,
// so a change of the contract breaks this at compile time.

import { mkdirSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname } from 'node:path';
import type {
  CauseView,
  EventBody,
  FindingView,
  PodView,
  RunEvent,
  StepSummary,
  WorkloadView,
} from '../../../src/engine/events/index.ts';
import { eventsFile, logFile } from '../../../src/engine/run/journal.ts';

export interface SampleRun {
  readonly id: string;
  readonly events: readonly RunEvent[];
  /** Step id → its log lines. */
  readonly logs: ReadonlyMap<string, readonly string[]>;
}

const digest = (letter: string) => `sha256:${letter.repeat(64)}`;
const commit = '4f2a9c1be07d5531c0a8fd2b4f3e9a77c0d1e2f3';

const steps: readonly StepSummary[] = [
  { id: 'test:unit', kind: 'test', title: 'Test unit', needs: [] },
  { id: 'build:api', kind: 'build', title: 'Build api', needs: [], image: 'api' },
  { id: 'build:worker', kind: 'build', title: 'Build worker', needs: [], image: 'worker' },
  ...(['api', 'worker'] as const).flatMap((image) =>
    ['linux/amd64', 'linux/arm64'].map(
      (platform): StepSummary => ({
        id: `scan:${image}:${platform}`,
        kind: 'scan',
        title: `Scan ${image} for ${platform}`,
        needs: [`build:${image}`],
        image,
        platform,
      }),
    ),
  ),
  { id: 'publish:api', kind: 'publish', title: 'Publish api', needs: ['build:api'], image: 'api' },
  { id: 'publish:worker', kind: 'publish', title: 'Publish worker', needs: ['build:worker'], image: 'worker' },
  {
    id: 'check:dev',
    kind: 'check',
    title: 'Check dev before the deploy',
    needs: ['publish:api', 'publish:worker'],
    environment: 'dev',
  },
  { id: 'deploy:dev', kind: 'deploy', title: 'Deploy to dev', needs: ['check:dev'], environment: 'dev' },
  { id: 'rollout:dev', kind: 'rollout', title: 'Roll out on dev', needs: ['deploy:dev'], environment: 'dev' },
  { id: 'smoke:dev', kind: 'smoke', title: 'Smoke test dev', needs: ['deploy:dev', 'rollout:dev'], environment: 'dev' },
];

/** Builds a journal second by second. */
class Script {
  readonly id: string;
  readonly events: RunEvent[] = [];
  readonly #start: number;
  #at = 0;
  #seq = 0;

  constructor(id: string, start: string) {
    this.id = id;
    this.#start = Date.parse(start);
  }

  at(seconds: number): this {
    this.#at = seconds;
    return this;
  }

  say(body: EventBody, step?: string): this {
    this.#seq += 1;
    this.events.push({
      v: 1,
      run: this.id,
      seq: this.#seq,
      time: new Date(this.#start + this.#at * 1000).toISOString(),
      ...(step !== undefined && { step }),
      ...body,
    });
    return this;
  }

  start(step: string): this {
    return this.say({ type: 'step.started', key: digest('e').slice(7, 39), attempt: 1 }, step);
  }

  end(step: string, since: number, message: string): this {
    return this.say(
      { type: 'step.finished', outcome: 'succeeded', durationMs: (this.#at - since) * 1000, message },
      step,
    );
  }

  skip(step: string, message: string): this {
    return this.say({ type: 'step.finished', outcome: 'skipped', durationMs: 0, message }, step);
  }
}

const pod = (name: string, more: Partial<PodView> = {}): PodView => ({
  name,
  node: 'node-1',
  isNew: true,
  isReady: true,
  phase: 'Running',
  restarts: 0,
  image: `registry.example/shop-api@${digest('a')}`,
  createdAt: '2026-11-21T09:31:08Z',
  ...more,
});

const workload = (name: string, pods: readonly PodView[], more: Partial<WorkloadView> = {}): WorkloadView => ({
  ref: { apiVersion: 'apps/v1', kind: 'Deployment', name, namespace: 'shop' },
  state: 'ready',
  message: pods.length === 1 ? 'The updated pod is available' : `All ${pods.length} updated pods are available`,
  desired: pods.length,
  updated: pods.length,
  ready: pods.length,
  available: pods.length,
  revision: '7',
  pods,
  ...more,
});

const counts = (critical: number, high: number, medium: number, low: number) => ({
  CRITICAL: critical,
  HIGH: high,
  MEDIUM: medium,
  LOW: low,
  UNKNOWN: 0,
});

function begin(id: string, start: string, tag: string): Script {
  return new Script(id, start).say({
    type: 'run.started',
    environment: 'dev',
    root: '/work/shop',
    startedBy: 'cli',
    pid: process.pid,
    host: hostname(),
    steps,
    commit,
    branch: 'main',
    tag,
  });
}

function testAndBuild(script: Script): Script {
  script.at(0.2).start('test:unit').start('build:api').start('build:worker');
  for (const [index, name] of [
    '[linux/amd64 2/5] RUN pip install',
    '[linux/arm64 2/5] RUN pip install',
    '[linux/amd64 5/5] COPY . .',
    '[linux/arm64 5/5] COPY . .',
  ].entries()) {
    script.at(1 + index * 4).say(
      {
        type: 'build.vertex',
        digest: digest(String(index)),
        name,
        platform: index % 2 === 0 ? 'linux/amd64' : 'linux/arm64',
        state: index < 2 ? 'cached' : 'done',
        durationMs: index < 2 ? 0 : 3200,
      },
      'build:api',
    );
  }
  return script
    .at(9.4)
    .end('build:worker', 0.2, 'Pushed by digest for linux/amd64 and linux/arm64')
    .at(14.1)
    .end('test:unit', 0.2, '42 tests passed')
    .at(18.6)
    .end('build:api', 0.2, 'Pushed by digest for linux/amd64 and linux/arm64');
}

function scan(
  script: Script,
  image: string,
  platform: string,
  from: number,
  to: number,
  gating: readonly FindingView[] = [],
): Script {
  const step = `scan:${image}:${platform}`;
  return script
    .at(from)
    .start(step)
    .at(to)
    .say(
      {
        type: 'scan.result',
        image,
        platform,
        reference: `registry.example/shop-${image}@${digest('a')}`,
        outcome: gating.length === 0 ? 'clean' : 'findings',
        message:
          gating.length === 0
            ? 'No HIGH or CRITICAL finding with a fix'
            : `${gating.length} findings with a fix at or above HIGH`,
        counts: counts(
          gating.filter(({ severity }) => severity === 'CRITICAL').length,
          gating.filter(({ severity }) => severity === 'HIGH').length,
          11,
          48,
        ),
        gating,
        suppressed: 2,
        reports: [`reports/${image}.${platform.replace('/', '-')}.trivy.json`],
        database: { engine: 'trivy', version: '0.70.0', updatedAt: '2026-11-21T00:00:00Z' },
      },
      step,
    );
}

function publishAndDeploy(script: Script, tag: string): Script {
  for (const image of ['api', 'worker']) {
    const step = `publish:${image}`;
    script
      .at(22)
      .start(step)
      .at(22.4)
      .say(
        {
          type: 'image.published',
          image,
          repository: `registry.example/shop-${image}`,
          digest: digest(image === 'api' ? 'a' : 'b'),
          tags: [tag, 'dev'],
          platforms: ['linux/amd64', 'linux/arm64'],
        },
        step,
      )
      .end(step, 22, `Published as ${tag} and dev`);
  }
  return script
    .at(22.5)
    .start('check:dev')
    .at(22.9)
    .end('check:dev', 22.5, 'Both images exist for linux/amd64; the namespace exists')
    .at(23)
    .start('deploy:dev')
    .at(24.8)
    .say(
      {
        type: 'deploy.applied',
        environment: 'dev',
        deployer: 'helm',
        objects: [
          { apiVersion: 'apps/v1', kind: 'Deployment', name: 'shop-api', namespace: 'shop' },
          { apiVersion: 'apps/v1', kind: 'Deployment', name: 'shop-worker', namespace: 'shop' },
        ],
        revision: '7',
        previous: '6',
        images: {
          api: `registry.example/shop-api:${tag}@${digest('a')}`,
          worker: `registry.example/shop-worker:${tag}@${digest('b')}`,
        },
      },
      'deploy:dev',
    )
    .end('deploy:dev', 23, 'Helm release shop, revision 7');
}

const apiPods = (ready: number) => [
  pod('shop-api-6d9f7c5b8-2xk4q', {
    isReady: ready > 0,
    ...(ready === 0 && { phase: 'Pending', reason: 'ContainerCreating' }),
  }),
  pod('shop-api-6d9f7c5b8-h7m2v', { isReady: ready > 1 }),
];
const oldPod = pod('shop-api-5c4b9d7f6-qq8zt', {
  isNew: false,
  image: `registry.example/shop-api@${digest('9')}`,
  createdAt: '2026-11-20T15:02:11Z',
});
const workerPods = [pod('shop-worker-7f8b6c9d4-lp9wd', { image: `registry.example/shop-worker@${digest('b')}` })];

const buildLog = (count: number): readonly string[] =>
  Array.from({ length: count }, (_, line) =>
    line % 97 === 0
      ? `#${line % 31} [linux/arm64 ${line % 7}/7] RUN pip install --no-cache-dir -r requirements.txt`
      : `#${line % 31} ${(line * 0.013).toFixed(3)} Collecting package-${line} (from -r requirements.txt (line ${line}))`,
  );

const logs = (lines: number): ReadonlyMap<string, readonly string[]> =>
  new Map([
    ['build:api', buildLog(lines)],
    [
      'test:unit',
      [
        'Found 42 test(s).',
        'System check identified no issues (0 silenced).',
        '.'.repeat(42),
        'Ran 42 tests in 3.114s',
        'OK',
      ],
    ],
    ['deploy:dev', ['Release "shop" has been upgraded. Happy Helming!', 'STATUS: deployed', 'REVISION: 7']],
  ]);

export function succeededRun(
  id = '20261121T093040Z-4f2a9c',
  start = '2026-11-21T09:30:40.000Z',
  logLines = 400,
): SampleRun {
  const tag = 'main-4f2a9c1';
  const script = testAndBuild(begin(id, start, tag));
  scan(script, 'worker', 'linux/amd64', 9.5, 11.2).end(
    'scan:worker:linux/amd64',
    9.5,
    'No HIGH or CRITICAL finding with a fix',
  );
  script.at(9.5).skip('scan:worker:linux/arm64', 'Unchanged since run 20261121T081502Z-11aa22');
  scan(script, 'api', 'linux/amd64', 18.7, 21.3).end(
    'scan:api:linux/amd64',
    18.7,
    'No HIGH or CRITICAL finding with a fix',
  );
  scan(script, 'api', 'linux/arm64', 18.7, 21.9).end(
    'scan:api:linux/arm64',
    18.7,
    'No HIGH or CRITICAL finding with a fix',
  );
  publishAndDeploy(script, tag)
    .at(24.9)
    .start('rollout:dev')
    .at(26)
    .say(
      { type: 'rollout.contact', state: 'connected', since: new Date(Date.parse(start) + 26_000).toISOString() },
      'rollout:dev',
    )
    .say(
      {
        type: 'rollout.progress',
        workloads: [
          workload('shop-api', [...apiPods(0), oldPod], {
            state: 'progressing',
            message: '0 of 2 updated pods are available',
            desired: 2,
            ready: 1,
            available: 1,
          }),
          workload('shop-worker', workerPods),
        ],
      },
      'rollout:dev',
    )
    .at(31.2)
    .say(
      {
        type: 'rollout.verdict',
        state: 'ready',
        message: 'All pods of the new version are available',
        causes: [],
        elapsedMs: 6300,
        workloads: [workload('shop-api', apiPods(2)), workload('shop-worker', workerPods)],
      },
      'rollout:dev',
    )
    .end('rollout:dev', 24.9, 'All pods of the new version are available')
    .at(31.3)
    .start('smoke:dev')
    .at(31.7)
    .say(
      {
        type: 'smoke.result',
        check: 'GET service/shop-api:http/healthz',
        isOk: true,
        attempts: 1,
        durationMs: 41,
        message: '200, body contains "ok"',
        url: 'http://10.244.0.1:30080/healthz',
      },
      'smoke:dev',
    )
    .at(32.1)
    .say(
      {
        type: 'smoke.result',
        check: 'GET service/shop-api:http/compute/prime?n=100',
        isOk: true,
        attempts: 2,
        durationMs: 388,
        message: '200, JSON prime = 541',
      },
      'smoke:dev',
    )
    .end('smoke:dev', 31.3, '2 checks passed')
    .say({ type: 'endpoint', title: 'shop-api', url: 'http://10.244.0.1:30080/' })
    .at(32.2)
    .say({ type: 'run.finished', outcome: 'succeeded', exitCode: 0, durationMs: 32_200 });
  return { id, events: script.events, logs: logs(logLines) };
}

export const missingTag: CauseView = {
  code: 'image.missing',
  object: { apiVersion: 'v1', kind: 'Pod', name: 'shop-api-6d9f7c5b8-2xk4q', namespace: 'shop' },
  container: 'api',
  message:
    'The image registry.example/shop-api:main-4f2a9c1 does not exist in the registry. It was there when the deploy began.',
  fix: 'Publish the tag again, or deploy a tag that exists.',
  evidence: [
    'Failed to pull image "registry.example/shop-api:main-4f2a9c1": rpc error: code = NotFound desc = failed to pull and unpack image: registry.example/shop-api:main-4f2a9c1: not found',
    'Back-off pulling image "registry.example/shop-api:main-4f2a9c1"',
  ],
  firstSeen: '2026-11-21T09:31:09.100Z',
  namedAt: '2026-11-21T09:31:09.480Z',
};

export function rolledBackRun(
  id = '20261121T094512Z-77be01',
  start = '2026-11-21T09:45:12.000Z',
  logLines = 400,
): SampleRun {
  const tag = 'main-4f2a9c1';
  const failing = [
    pod('shop-api-6d9f7c5b8-2xk4q', {
      isReady: false,
      phase: 'Pending',
      reason: 'ErrImagePull',
      message: missingTag.evidence[0] ?? '',
    }),
    oldPod,
  ];
  const failed = [
    workload('shop-api', failing, {
      state: 'failed',
      message: 'The image of 1 updated pod cannot be pulled',
      desired: 2,
      updated: 1,
      ready: 1,
      available: 1,
    }),
    workload('shop-worker', workerPods),
  ];
  const script = testAndBuild(begin(id, start, tag));
  for (const image of ['api', 'worker']) {
    for (const platform of ['linux/amd64', 'linux/arm64']) {
      scan(script, image, platform, 18.7, 21).end(
        `scan:${image}:${platform}`,
        18.7,
        'No HIGH or CRITICAL finding with a fix',
      );
    }
  }
  const failure = {
    reason: 'rollout' as const,
    code: missingTag.code,
    message: missingTag.message,
    fix: missingTag.fix,
    evidence: missingTag.evidence,
  };
  publishAndDeploy(script, tag)
    .at(24.9)
    .start('rollout:dev')
    .at(26.3)
    .say({ type: 'rollout.progress', workloads: failed }, 'rollout:dev')
    .at(26.7)
    .say(
      {
        type: 'rollout.verdict',
        state: 'failed',
        message: 'The new version cannot start',
        causes: [missingTag],
        elapsedMs: 1800,
        workloads: failed,
      },
      'rollout:dev',
    )
    .say({ type: 'step.finished', outcome: 'failed', durationMs: 1800, failure }, 'rollout:dev')
    .start('rollback:dev')
    .say(
      { type: 'rollback.started', environment: 'dev', why: missingTag.message, target: 'revision 6' },
      'rollback:dev',
    )
    .at(30.9)
    .say(
      {
        type: 'rollout.progress',
        workloads: [
          workload(
            'shop-api',
            [oldPod, pod('shop-api-5c4b9d7f6-zz1aa', { isNew: false, createdAt: '2026-11-20T15:02:11Z' })],
            { revision: '8' },
          ),
          workload('shop-worker', workerPods),
        ],
      },
      'rollback:dev',
    )
    .say(
      {
        type: 'rollback.finished',
        environment: 'dev',
        outcome: 'restored',
        target: 'revision 6',
        message: 'Revision 6 serves again, alone',
        sinceDeployMs: 7900,
      },
      'rollback:dev',
    )
    .end('rollback:dev', 26.7, 'Revision 6 serves again, alone')
    .say({ type: 'report', title: 'Diagnosis', path: 'reports/diagnostics/report.md' })
    .at(31)
    .say({ type: 'run.finished', outcome: 'failed', exitCode: 1, durationMs: 31_000, failure, rolledBack: true });
  return { id, events: script.events, logs: logs(logLines) };
}

const findings: readonly FindingView[] = [
  {
    id: 'CVE-2020-14343',
    package: 'PyYAML',
    installed: '5.3.1',
    fixed: '5.4',
    severity: 'CRITICAL',
    title: 'Arbitrary code execution in PyYAML full_load',
    url: 'https://avd.aquasec.com/nvd/cve-2020-14343',
    origin: 'own',
    path: 'usr/lib/python3/dist-packages/PyYAML-5.3.1.dist-info/METADATA',
    dockerfileLine: 3,
    isNew: true,
  },
  {
    id: 'CVE-2019-10906',
    package: 'Jinja2',
    installed: '2.10',
    fixed: '2.10.1',
    severity: 'HIGH',
    title: 'Sandbox escape through str.format_map',
    url: 'https://avd.aquasec.com/nvd/cve-2019-10906',
    origin: 'own',
    dockerfileLine: 3,
  },
  {
    id: 'CVE-2022-37434',
    package: 'zlib1g',
    installed: '1:1.2.11',
    fixed: '1:1.2.13',
    severity: 'HIGH',
    title: 'Heap over-read in inflate',
    url: 'https://avd.aquasec.com/nvd/cve-2022-37434',
    origin: 'base',
  },
];

/** Stopped at the gate: nothing was published. */
export function gatedRun(id = '20261121T095000Z-0b0b0b', start = '2026-11-21T09:50:00.000Z'): SampleRun {
  const script = testAndBuild(begin(id, start, 'main-4f2a9c1'));
  scan(script, 'worker', 'linux/amd64', 9.5, 11.2).end(
    'scan:worker:linux/amd64',
    9.5,
    'No HIGH or CRITICAL finding with a fix',
  );
  scan(script, 'worker', 'linux/arm64', 9.5, 11.4).end(
    'scan:worker:linux/arm64',
    9.5,
    'No HIGH or CRITICAL finding with a fix',
  );
  const failure = {
    reason: 'gate' as const,
    code: 'gate.findings',
    message: 'Image api for linux/amd64 has 1 CRITICAL and 2 HIGH findings with a fix, so nothing was published.',
    fix: 'Update PyYAML to 5.4, Jinja2 to 2.10.1 and zlib1g to 1:1.2.13.',
    place: {
      file: '/work/shop/docker/api.Dockerfile',
      range: { start: { line: 3, character: 0 }, end: { line: 3, character: 20 } },
    },
    evidence: findings.map(
      ({ id: cve, package: name, installed, fixed }) => `${cve} ${name} ${installed}, fixed in ${fixed}`,
    ),
  };
  for (const platform of ['linux/amd64', 'linux/arm64']) {
    scan(script, 'api', platform, 18.7, 21.3, findings).say(
      { type: 'step.finished', outcome: 'failed', durationMs: 2600, failure },
      `scan:api:${platform}`,
    );
  }
  for (const step of ['publish:api', 'publish:worker', 'check:dev', 'deploy:dev', 'rollout:dev', 'smoke:dev']) {
    script.say({ type: 'step.finished', outcome: 'cancelled', durationMs: 0, message: 'The gate failed' }, step);
  }
  script.at(21.4).say({ type: 'run.finished', outcome: 'failed', exitCode: 1, durationMs: 21_400, failure });
  return { id, events: script.events, logs: logs(50) };
}

/** In the middle of a rollout. */
export function runningRun(
  id = '20261121T100003Z-a1b2c3',
  start = new Date(Date.now() - 27_000).toISOString(),
  logLines = 400,
): SampleRun {
  const tag = 'main-4f2a9c1';
  const script = testAndBuild(begin(id, start, tag));
  for (const image of ['api', 'worker']) {
    for (const platform of ['linux/amd64', 'linux/arm64']) {
      scan(script, image, platform, 18.7, 21).end(
        `scan:${image}:${platform}`,
        18.7,
        'No HIGH or CRITICAL finding with a fix',
      );
    }
  }
  publishAndDeploy(script, tag)
    .at(24.9)
    .start('rollout:dev')
    .at(26)
    .say({ type: 'rollout.contact', state: 'connected', since: start }, 'rollout:dev')
    .say(
      {
        type: 'step.progress',
        message: '1 of 2 updated pods of shop-api are available',
        done: 1,
        total: 2,
        unit: 'pods',
      },
      'rollout:dev',
    )
    .say(
      {
        type: 'rollout.warning',
        warning: {
          code: 'probe.failing',
          object: { apiVersion: 'v1', kind: 'Pod', name: 'shop-api-6d9f7c5b8-h7m2v', namespace: 'shop' },
          container: 'api',
          message: 'The readiness probe of api answers 503.',
          fix: 'Look at its log if it stays so.',
          evidence: ['Readiness probe failed: HTTP probe failed with statuscode: 503'],
        },
      },
      'rollout:dev',
    )
    .say(
      {
        type: 'rollout.progress',
        workloads: [
          workload('shop-api', [...apiPods(1), oldPod], {
            state: 'progressing',
            message: '1 of 2 updated pods are available',
            desired: 2,
            updated: 2,
            ready: 2,
            available: 1,
          }),
          workload('shop-worker', workerPods),
        ],
      },
      'rollout:dev',
    );
  return { id, events: script.events, logs: logs(logLines) };
}

/** Ended by the person in the middle of its rollout. */
export function cancelledRun(id = '20261121T100503Z-ca5ce1', start?: string): SampleRun {
  const { events, logs: written } = runningRun(id, start, 20);
  const last = events.at(-1);
  const seq = last?.seq ?? 0;
  const time = last?.time ?? '';
  const said = (more: number) => ({ v: 1 as const, run: id, seq: seq + more, time });
  const ended = { type: 'step.finished' as const, outcome: 'cancelled' as const };
  return {
    id,
    logs: written,
    events: [
      ...events,
      { ...said(1), ...ended, step: 'rollout:dev', durationMs: 3_000 },
      { ...said(2), ...ended, step: 'smoke:dev', durationMs: 0, message: 'Not started' },
      { ...said(3), type: 'run.finished', outcome: 'cancelled', exitCode: 130, durationMs: 28_000 },
    ],
  };
}

/** Nobody could see how its rollout ended: the cluster did not answer any more. */
export function unknownRun(id = '20261121T100603Z-10575e', start?: string): SampleRun {
  const { events, logs: written } = runningRun(id, start, 20);
  const last = events.at(-1);
  const at = Date.parse(last?.time ?? '');
  const said = (more: number, seconds: number) => ({
    v: 1 as const,
    run: id,
    seq: (last?.seq ?? 0) + more,
    time: new Date(at + seconds * 1000).toISOString(),
  });
  const seen = events.flatMap((event) => (event.type === 'rollout.progress' ? [event.workloads] : [])).at(-1) ?? [];
  const failure = {
    reason: 'cluster' as const,
    code: 'rollout.unknown',
    message: 'The rollout cannot be watched: connect ECONNREFUSED 10.244.0.1:6443',
    fix: 'Nothing was rolled back. When the cluster answers again, resume the run: it watches on. Or look: slipway status.',
  };
  return {
    id,
    logs: written,
    events: [
      ...events,
      { ...said(1, 120), type: 'rollout.contact', step: 'rollout:dev', state: 'lost', since: said(0, 0).time },
      {
        ...said(2, 120),
        type: 'rollout.verdict',
        step: 'rollout:dev',
        state: 'unknown',
        message: failure.message,
        causes: [],
        elapsedMs: 121_000,
        workloads: seen,
      },
      {
        ...said(3, 120),
        type: 'step.finished',
        step: 'rollout:dev',
        outcome: 'failed',
        durationMs: 121_000,
        failure,
      },
      { ...said(4, 120), type: 'run.finished', outcome: 'failed', exitCode: 3, durationMs: 147_000, failure },
    ],
  };
}

/** Writes the run into a workspace's journal, as the CLI would have. */
export function writeRun(root: string, run: SampleRun): void {
  const file = eventsFile(root, run.id);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, run.events.map((event) => `${JSON.stringify(event)}\n`).join(''));
  for (const [step, lines] of run.logs) {
    const log = logFile(root, run.id, step);
    mkdirSync(dirname(log), { recursive: true });
    const time = run.events[0]?.time ?? '';
    writeFileSync(
      log,
      lines
        .map(
          (text, index) =>
            `${JSON.stringify({ v: 1, run: run.id, seq: index + 1, time, step, type: 'log', stream: 'out', text })}\n`,
        )
        .join(''),
    );
  }
}
