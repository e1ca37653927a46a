import { at, type Cluster, type Contact, type KubeObject, type ListQuery, WatchCache } from '../cluster/index.ts';
import type { CauseView, Emit, ObjectRef, VerdictState, WorkloadView } from '../events/index.ts';
import type { Registry } from '../images/index.ts';
import { CancelledError } from '../problems/index.ts';
import type { System } from '../system/index.ts';
import { Answerer } from './answers.ts';
import { type Answer, type Baseline, keyOf, type Question, type Snapshot } from './snapshot.ts';
import { evaluate, type Memory, noMemory, type Verdict } from './verdict.ts';

export interface WatchRolloutOptions {
  readonly system: System;
  readonly registry: Registry;
  readonly baseline: Baseline;
  readonly signal: AbortSignal;
  readonly emit: Emit;
  /** ms since the epoch: just before the first write. */
  readonly startedAt: number;
  readonly stabilityMs: number;
  readonly timeoutMs?: number;
}

export interface RolloutResult {
  readonly state: Exclude<VerdictState, 'cancelled'>;
  readonly message: string;
  readonly causes: readonly CauseView[];
  readonly warnings: readonly CauseView[];
  readonly workloads: readonly WorkloadView[];
  readonly elapsedMs: number;
}

/** The most that a view can use; a burst of pod changes is one picture. */
const PROGRESS_MS = 200;
/** An answer "unknown" is asked for again after so long: the registry may have been restarting. */
const ASK_AGAIN_MS = 5_000;
/** Without contact for so long the rollout has no verdict. */
const LOST_MS = 600_000;

/**
 * Watches until there is a verdict. One list and watch per kind and namespace; every change is judged at once, and
 * again when a state has lasted its time. Emits rollout.progress, rollout.warning, rollout.contact and rollout.verdict.
 * Throws CancelledError, and SlipwayError `cluster` when the rights to watch are missing.
 */
export async function watchRollout(
  cluster: Cluster,
  targets: readonly ObjectRef[],
  options: WatchRolloutOptions,
): Promise<RolloutResult> {
  const stop = new AbortController();
  const onAbort = (): void => stop.abort();
  options.signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await new Watch(cluster, targets, options, stop.signal).verdict();
  } finally {
    options.signal.removeEventListener('abort', onAbort);
    stop.abort();
  }
}

class Watch {
  readonly #cluster: Cluster;
  readonly #targets: readonly ObjectRef[];
  readonly #options: WatchRolloutOptions;
  readonly #signal: AbortSignal;
  readonly #answerer: Answerer;
  readonly #caches = new Map<string, WatchCache>();
  readonly #answers = new Map<string, Answer>();
  readonly #asking = new Set<string>();
  readonly #warned = new Set<string>();
  #memory: Memory = noMemory;
  #nodes: readonly KubeObject[] = [];
  #lastProgress = 0;
  #lastText = '';
  #progressTimer: NodeJS.Timeout | undefined;
  #wakeTimer: NodeJS.Timeout | undefined;
  #contact: 'connected' | 'reconnecting' | 'lost' = 'connected';
  #lostSince = 0;
  #settle: { resolve: (result: RolloutResult) => void; reject: (error: unknown) => void } | undefined;

  constructor(cluster: Cluster, targets: readonly ObjectRef[], options: WatchRolloutOptions, signal: AbortSignal) {
    this.#cluster = cluster;
    this.#targets = targets.map((target) => ({ ...target, namespace: target.namespace ?? cluster.namespace }));
    this.#options = options;
    this.#signal = signal;
    this.#answerer = new Answerer({ system: options.system, cluster, registry: options.registry, signal });
  }

  async verdict(): Promise<RolloutResult> {
    if (this.#signal.aborted) throw new CancelledError();
    const result = new Promise<RolloutResult>((resolve, reject) => {
      this.#settle = { resolve, reject };
      this.#signal.addEventListener('abort', () => reject(new CancelledError()), { once: true });
    });
    // Nobody awaits it until the caches are ready.
    result.catch(() => {});
    this.#open();
    await Promise.all([...this.#caches.values()].map((cache) => cache.ready));
    this.#evaluate();
    try {
      return await result;
    } finally {
      clearTimeout(this.#wakeTimer);
      clearTimeout(this.#progressTimer);
    }
  }

  #open(): void {
    const kinds = new Set(this.#targets.map((target) => `${target.apiVersion} ${target.kind}`));
    for (const kind of ['v1 Pod', 'v1 Event']) kinds.add(kind);
    if ([...kinds].some((kind) => kind.endsWith(' Deployment'))) kinds.add('apps/v1 ReplicaSet');
    if ([...kinds].some((kind) => / (StatefulSet|DaemonSet)$/.test(kind))) kinds.add('apps/v1 ControllerRevision');
    for (const namespace of new Set(this.#targets.map((target) => target.namespace ?? ''))) {
      for (const kind of kinds) {
        const [apiVersion = '', name = ''] = kind.split(' ');
        const query: ListQuery = { apiVersion, kind: name, namespace };
        this.#caches.set(
          `${kind} ${namespace}`,
          new WatchCache(this.#cluster, query, {
            clock: this.#options.system.clock,
            signal: this.#signal,
            onChange: () => this.#evaluate(),
            onContact: (contact) => this.#onContact(name, contact),
            ...(name === 'Pod' && { project: slimPod }),
          }),
        );
      }
    }
  }

  #snapshot(): Snapshot {
    const of = (kind: string): readonly KubeObject[] =>
      [...this.#caches.values()].filter((cache) => cache.query.kind === kind).flatMap((cache) => [...cache.objects()]);
    const kinds = new Set(this.#targets.map((target) => target.kind));
    return {
      workloads: [...kinds].flatMap(of),
      replicaSets: of('ReplicaSet'),
      controllerRevisions: of('ControllerRevision'),
      pods: of('Pod'),
      events: of('Event'),
      nodes: this.#nodes,
      answers: this.#answers,
    };
  }

  #evaluate(): void {
    if (this.#signal.aborted || this.#settle === undefined) return;
    // A list that is not there yet would look like objects that were deleted.
    if ([...this.#caches.values()].some((cache) => cache.contact.state === 'connecting')) return;
    const now = this.#options.system.clock.now();
    const { startedAt, stabilityMs, timeoutMs, baseline } = this.#options;
    const { verdict, memory } = evaluate(
      this.#targets,
      this.#snapshot(),
      baseline,
      now,
      { startedAt, stabilityMs, ...(timeoutMs !== undefined && { timeoutMs }) },
      this.#memory,
    );
    this.#memory = memory;
    for (const question of verdict.questions) this.#ask(question);
    for (const warning of verdict.warnings) this.#tellWarning(warning);
    if (verdict.state !== 'progressing') {
      this.#finish(verdict.state, verdict);
      return;
    }
    this.#tellProgress(verdict.workloads);
    clearTimeout(this.#wakeTimer);
    if (verdict.wakeAt !== undefined) {
      this.#wakeTimer = setTimeout(() => this.#evaluate(), Math.max(10, verdict.wakeAt - now));
    }
  }

  #ask(question: Question): void {
    const key = keyOf(question);
    if (this.#answers.has(key) || this.#asking.has(key)) return;
    this.#asking.add(key);
    const answering = question.kind === 'nodes' ? this.#readNodes() : this.#answerer.ask(question);
    void answering.then(
      (answer) => {
        this.#asking.delete(key);
        this.#answers.set(key, answer);
        this.#evaluate();
        if (answer.value === 'unknown' && question.kind !== 'nodes') {
          const timer = setTimeout(() => {
            this.#answers.delete(key);
            this.#evaluate();
          }, ASK_AGAIN_MS);
          timer.unref();
        }
      },
      (error: unknown) => {
        this.#asking.delete(key);
        if (!this.#signal.aborted) this.#settle?.reject(error);
      },
    );
  }

  async #readNodes(): Promise<Answer> {
    this.#nodes = await this.#cluster.list({ apiVersion: 'v1', kind: 'Node' }, this.#signal).catch(() => []);
    return { value: this.#nodes.length > 0 ? 'yes' : 'unknown' };
  }

  #onContact(kind: string, contact: Contact): void {
    if (this.#signal.aborted) return;
    const { clock } = this.#options.system;
    if (contact.state === 'lost') {
      // Events only help with words; without the right to read them the verdict is the same.
      if (kind !== 'Event') this.#settle?.reject(contact.error);
      return;
    }
    if (contact.state === 'reconnecting' && kind === 'Event') return;
    const worst = [...this.#caches.values()].some((cache) => cache.contact.state === 'reconnecting')
      ? 'reconnecting'
      : 'connected';
    if (worst === this.#contact) return;
    this.#contact = worst;
    if (worst === 'reconnecting') this.#lostSince = clock.now();
    this.#options.emit({
      type: 'rollout.contact',
      state: worst,
      since: new Date(this.#lostSince || clock.now()).toISOString(),
      ...(contact.state === 'reconnecting' && { message: contact.why }),
      ...(worst === 'connected' &&
        this.#lostSince > 0 && {
          message: `contact was lost for ${Math.round((clock.now() - this.#lostSince) / 1000)} s`,
        }),
    });
    if (worst === 'reconnecting') {
      const timer = setTimeout(() => {
        if (this.#contact !== 'reconnecting' || clock.now() - this.#lostSince < LOST_MS) return;
        this.#finish('unknown', {
          message: `No contact to the cluster for ${LOST_MS / 60_000} minutes; what became of the rollout is not known.`,
          causes: [],
          warnings: [],
          workloads: [],
        });
      }, LOST_MS + 1_000);
      timer.unref();
    }
  }

  #tellWarning(warning: CauseView): void {
    const key = `${warning.code} ${warning.object.name} ${warning.container ?? ''} ${warning.message}`;
    if (this.#warned.has(key)) return;
    this.#warned.add(key);
    this.#options.emit({ type: 'rollout.warning', warning: this.#named(warning) });
  }

  #tellProgress(workloads: readonly WorkloadView[]): void {
    const text = JSON.stringify(workloads);
    if (text === this.#lastText) return;
    const { clock } = this.#options.system;
    const wait = this.#lastProgress + PROGRESS_MS - clock.now();
    clearTimeout(this.#progressTimer);
    const tell = (): void => {
      if (this.#signal.aborted) return;
      this.#lastProgress = clock.now();
      this.#lastText = text;
      this.#options.emit({ type: 'rollout.progress', workloads });
    };
    if (wait <= 0) tell();
    else this.#progressTimer = setTimeout(tell, wait);
  }

  #finish(
    state: RolloutResult['state'],
    verdict: Pick<Verdict, 'message' | 'causes' | 'warnings' | 'workloads'>,
  ): void {
    const settle = this.#settle;
    if (settle === undefined) return;
    this.#settle = undefined;
    const result: RolloutResult = {
      state,
      message: verdict.message,
      causes: verdict.causes.map((cause) => this.#named(cause)),
      warnings: verdict.warnings,
      workloads: verdict.workloads,
      elapsedMs: this.#options.system.clock.now() - this.#options.startedAt,
    };
    const { warnings: _warnings, ...told } = result;
    this.#options.emit({ type: 'rollout.verdict', ...told });
    settle.resolve(result);
  }

  #named(cause: CauseView): CauseView {
    return { ...cause, namedAt: new Date(this.#options.system.clock.now()).toISOString() };
  }
}

/** What the verdict reads of a pod; environment, volumes and annotations are most of its size. */
function slimPod(pod: KubeObject): KubeObject {
  const containers = (list: unknown): unknown =>
    Array.isArray(list)
      ? list.map((container) => ({
          name: at(container, 'name'),
          image: at(container, 'image'),
          ports: at(container, 'ports'),
          resources: at(container, 'resources'),
          readinessProbe: at(container, 'readinessProbe'),
          restartPolicy: at(container, 'restartPolicy'),
        }))
      : undefined;
  const { annotations: _annotations, ...metadata } = pod.metadata;
  return {
    apiVersion: pod.apiVersion,
    kind: pod.kind,
    metadata,
    spec: {
      nodeName: at(pod, 'spec', 'nodeName'),
      nodeSelector: at(pod, 'spec', 'nodeSelector'),
      serviceAccountName: at(pod, 'spec', 'serviceAccountName'),
      imagePullSecrets: at(pod, 'spec', 'imagePullSecrets'),
      containers: containers(at(pod, 'spec', 'containers')),
      initContainers: containers(at(pod, 'spec', 'initContainers')),
    },
    status: pod.status,
  };
}
