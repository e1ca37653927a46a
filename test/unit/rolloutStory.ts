// A cluster that a test plays: objects, a clock, answers; the verdict is taken at every change and every wake-up, as the
// watcher does it.
import type { KubeObject } from '../../src/engine/cluster/object.ts';
import type { ObjectRef } from '../../src/engine/events/index.ts';
import {
  type Answer,
  type Baseline,
  type EvaluateOptions,
  type Evaluation,
  emptyBaseline,
  emptyMemory,
  emptySnapshot,
  evaluate,
  type Question,
  questionKey,
  type Snapshot,
} from '../../src/engine/rollout/index.ts';

export const NAMESPACE = 'shop';
const FINAL = new Set(['ready', 'failed', 'stalled', 'superseded', 'unknown']);
const T0 = Date.parse('2026-11-21T10:00:00Z');

type Reply = (question: Question, now: number) => Answer | undefined;

export class Story {
  readonly objects = new Map<string, KubeObject>();
  readonly targets: ObjectRef[] = [];
  readonly warnings = new Set<string>();
  readonly asked = new Set<string>();
  now = T0;
  memory = emptyMemory(T0);
  baseline: Baseline = emptyBaseline;
  options: Omit<EvaluateOptions, 'targets' | 'phase'> & { readonly phase?: EvaluateOptions['phase'] } = {};
  reply: Reply = () => undefined;
  contact: Snapshot['contact'] = { state: 'connected' };
  last: Evaluation | undefined;
  readonly #answers = new Map<string, Answer>();

  put(...objects: readonly KubeObject[]): this {
    for (const object of objects) this.objects.set(`${object.kind}/${object.metadata.name}`, object);
    return this;
  }

  remove(key: string): this {
    this.objects.delete(key);
    return this;
  }

  target(object: KubeObject): this {
    this.targets.push({
      apiVersion: object.apiVersion,
      kind: object.kind,
      name: object.metadata.name,
      ...(object.metadata.namespace !== undefined && { namespace: object.metadata.namespace }),
    });
    return this.put(object);
  }

  /** Seconds since the start. */
  get seconds(): number {
    return (this.now - T0) / 1000;
  }

  look(): Evaluation {
    for (let round = 0; ; round += 1) {
      const of = (...kinds: readonly string[]): readonly KubeObject[] =>
        [...this.objects.values()].filter(({ kind }) => kinds.includes(kind));
      const names = new Set(this.targets.map(({ kind, name }) => `${kind}/${name}`));
      const snapshot: Snapshot = {
        ...emptySnapshot,
        workloads: [...this.objects.values()].filter((o) => names.has(`${o.kind}/${o.metadata.name}`)),
        pods: of('Pod'),
        replicaSets: of('ReplicaSet'),
        revisions: of('ControllerRevision'),
        jobs: of('Job'),
        claims: of('PersistentVolumeClaim'),
        events: of('Event'),
        nodes: of('Node'),
        contact: this.contact,
        answers: this.#answers,
        memory: this.memory,
      };
      const evaluation = evaluate(snapshot, this.baseline, this.now, {
        phase: 'applied',
        ...this.options,
        targets: this.targets,
      });
      // What is remembered is data: it survives being written down.
      this.memory = JSON.parse(JSON.stringify(evaluation.memory)) as typeof this.memory;
      this.last = evaluation;
      for (const { code } of evaluation.warnings) this.warnings.add(code);
      let isAnswered = false;
      for (const question of evaluation.questions) {
        this.asked.add(question.kind);
        const answer = this.reply(question, this.now);
        if (answer === undefined) continue;
        this.#answers.set(questionKey(question), answer);
        isAnswered = true;
      }
      if (!isAnswered || round > 5) return evaluation;
    }
  }

  /** Lets time pass with nothing changing; stops early at a verdict. */
  wait(seconds: number): Evaluation {
    const end = this.now + seconds * 1000;
    let evaluation = this.look();
    while (!FINAL.has(evaluation.state)) {
      const next = evaluation.wakeAt ?? end;
      if (next > end) break;
      if (next <= this.now) throw new Error('wakes up without moving on');
      this.now = next;
      evaluation = this.look();
      if (next === end) break;
    }
    if (!FINAL.has(evaluation.state)) {
      this.now = end;
      evaluation = this.look();
    }
    return evaluation;
  }
}

let counter = 0;
const uid = (name: string): string => `uid-${name}`;
const time = (story: Story | undefined, offset = 0): string =>
  new Date((story?.now ?? T0) + offset * 1000).toISOString();

interface DeploymentOptions {
  readonly image?: string;
  readonly replicas?: number;
  readonly generation?: number;
  readonly status?: object;
  readonly spec?: object;
  readonly pod?: object;
  readonly container?: object;
  readonly revision?: string;
}

const template = (options: DeploymentOptions): object => ({
  metadata: { labels: { app: 'web' } },
  spec: { containers: [{ name: 'app', image: options.image ?? 'reg.io/web:2', ...options.container }], ...options.pod },
});

export function deployment(options: DeploymentOptions = {}): KubeObject {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: {
      name: 'web',
      namespace: NAMESPACE,
      uid: uid('web'),
      generation: options.generation ?? 2,
      annotations: { 'deployment.kubernetes.io/revision': options.revision ?? '2' },
    },
    spec: { replicas: options.replicas ?? 1, template: template(options), ...options.spec },
    status: { observedGeneration: options.generation ?? 2, updatedReplicas: 1, replicas: 1, ...options.status },
  };
}

export function replicaSet(name: string, options: DeploymentOptions & { readonly owner?: string } = {}): KubeObject {
  const base = template(options) as { metadata: { labels: object } };
  return {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: {
      name,
      namespace: NAMESPACE,
      uid: uid(name),
      creationTimestamp: time(undefined),
      annotations: { 'deployment.kubernetes.io/revision': options.revision ?? '2' },
      ownerReferences: [
        { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web', uid: uid(options.owner ?? 'web'), controller: true },
      ],
    },
    spec: {
      template: {
        ...base,
        metadata: { labels: { ...base.metadata.labels, 'pod-template-hash': name.split('-').at(-1) } },
      },
    },
    status: options.status ?? {},
  };
}

export interface PodOptions {
  readonly owner?: string;
  readonly labels?: Record<string, string>;
  readonly state?: object;
  readonly lastState?: object;
  readonly restarts?: number;
  readonly isReady?: boolean;
  readonly phase?: string;
  readonly node?: string | null;
  readonly image?: string;
  readonly container?: object;
  readonly spec?: object;
  readonly status?: object;
  readonly init?: { readonly spec?: object; readonly status: object };
  readonly deleted?: boolean;
  readonly conditions?: readonly object[];
}

export function pod(name: string, options: PodOptions = {}): KubeObject {
  const image = options.image ?? 'reg.io/web:2';
  const isReady = options.isReady ?? false;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace: NAMESPACE,
      uid: uid(name),
      ...(options.labels !== undefined && { labels: options.labels }),
      ...(options.deleted === true && { deletionTimestamp: time(undefined) }),
      ownerReferences:
        options.owner === undefined
          ? []
          : [
              {
                apiVersion: 'apps/v1',
                kind: 'ReplicaSet',
                name: options.owner,
                uid: uid(options.owner),
                controller: true,
              },
            ],
    },
    spec: {
      ...(options.node !== null && { nodeName: options.node ?? 'node-1' }),
      restartPolicy: 'Always',
      containers: [{ name: 'app', image, ...options.container }],
      ...(options.init !== undefined && { initContainers: [{ name: 'init', image, ...options.init.spec }] }),
      ...options.spec,
    },
    status: {
      phase: options.phase ?? (isReady ? 'Running' : 'Pending'),
      conditions: options.conditions ?? [{ type: 'Ready', status: isReady ? 'True' : 'False' }],
      containerStatuses: [
        {
          name: 'app',
          ready: isReady,
          restartCount: options.restarts ?? 0,
          state: options.state ?? (isReady ? { running: {} } : { waiting: { reason: 'ContainerCreating' } }),
          ...(options.lastState !== undefined && { lastState: options.lastState }),
        },
      ],
      ...(options.init !== undefined && { initContainerStatuses: [{ name: 'init', ...options.init.status }] }),
      ...options.status,
    },
  };
}

export const waiting = (reason: string, message = ''): object => ({ waiting: { reason, message } });

export function ended(
  story: Story,
  code: number,
  run: number,
  options: { reason?: string; message?: string } = {},
): object {
  return {
    terminated: {
      exitCode: code,
      reason: options.reason ?? (code === 0 ? 'Completed' : 'Error'),
      containerID: `containerd://run-${run}`,
      startedAt: time(story, -1),
      finishedAt: time(story),
      ...(options.message !== undefined && { message: options.message }),
    },
  };
}

export function event(
  about: string,
  reason: string,
  message: string,
  options: { count?: number; type?: string; kind?: string; name?: string } = {},
): KubeObject {
  counter += 1;
  const name = options.name ?? `event-${counter}`;
  return {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { name, namespace: NAMESPACE, uid: uid(name) },
    type: options.type ?? 'Warning',
    reason,
    message,
    count: options.count ?? 1,
    lastTimestamp: time(undefined, counter),
    involvedObject: { kind: options.kind ?? 'Pod', uid: uid(about) },
  };
}

export function node(
  name: string,
  options: {
    readonly status?: object;
    readonly spec?: object;
    readonly labels?: Record<string, string>;
    readonly isReady?: boolean;
  } = {},
): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, uid: uid(name), labels: options.labels ?? {} },
    spec: options.spec ?? {},
    status: {
      allocatable: { cpu: '4', memory: '8Gi', pods: '110' },
      conditions: [
        {
          type: 'Ready',
          status: options.isReady === false ? 'Unknown' : 'True',
          reason: 'Kubelet',
          message: 'kubelet stopped posting status',
        },
      ],
      ...options.status,
    },
  };
}

/** A Deployment of one pod whose new version has just been written. */
export function deployed(options: DeploymentOptions = {}): Story {
  const story = new Story();
  return story.target(deployment(options)).put(replicaSet('web-new', options));
}

/** The pod of {@link deployed}, again and again in new states. */
export const webPod = (options: PodOptions = {}): KubeObject => pod('web-new-1', { owner: 'web-new', ...options });

/** All is well now. */
export function becomesReady(story: Story, options: DeploymentOptions = {}): Story {
  const replicas = options.replicas ?? 1;
  const status = { updatedReplicas: replicas, replicas, readyReplicas: replicas, availableReplicas: replicas };
  return story.put(deployment({ ...options, status })).put(replicaSet('web-new', { ...options, status }));
}

/** One more end of the app container, followed by the back-off. */
export function crash(
  story: Story,
  run: number,
  code = 1,
  options: { reason?: string; pod?: string; isInit?: boolean } = {},
): void {
  const name = options.pod ?? 'web-new-1';
  const state = ended(story, code, run, options);
  const base = { owner: 'web-new' };
  story.put(
    options.isInit === true
      ? pod(name, { ...base, init: { status: { restartCount: run, state } } })
      : pod(name, { ...base, phase: 'Running', restarts: run, state }),
  );
  story.look();
  const back = waiting('CrashLoopBackOff', `back-off restarting failed container`);
  story.put(
    options.isInit === true
      ? pod(name, { ...base, init: { status: { restartCount: run, state: back, lastState: state } } })
      : pod(name, { ...base, phase: 'Running', restarts: run, state: back, lastState: state }),
  );
  story.look();
}
