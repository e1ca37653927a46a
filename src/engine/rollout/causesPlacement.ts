import { at, type KubeObject, listOf, refOf, textOf } from '../cluster/object.ts';
import { after, type Candidate, never } from './causes.ts';
import { conditionOf, eventCount, isTrue, keyOf, type Question, type Snapshot } from './snapshot.ts';

/** Pods that cannot be created: refused by admission, quota, or a missing reference. From the creator's events. */
export function creationCandidate(owner: KubeObject, events: readonly KubeObject[]): Candidate | undefined {
  const event = events
    .filter((item) => item.reason === 'FailedCreate')
    .toSorted((a, b) =>
      String(a.lastTimestamp ?? a.eventTime ?? '') < String(b.lastTimestamp ?? b.eventTime ?? '') ? 1 : -1,
    )[0];
  if (event === undefined) return undefined;
  const message = textOf(event.message) ?? '';
  const base = { object: refOf(owner), evidence: [message] };
  const isRepeated = eventCount(event) >= 2 || events.filter((item) => item.reason === 'FailedCreate').length >= 2;
  if (/exceeded quota/i.test(message)) {
    return {
      ...base,
      code: 'quota',
      message: `The namespace's quota leaves no room for a new pod: ${shorten(message)}`,
      fix: 'Lower the requests, raise the quota, or set maxSurge to 0 so that an old pod goes first.',
      proof: after(120_000),
    };
  }
  if (/admission webhook .* denied the request/i.test(message)) {
    return {
      ...base,
      code: 'admission.denied',
      message: `An admission webhook refuses the pods: ${shorten(message)}`,
      fix: 'Change what the webhook names.',
      proof: after(15_000),
    };
  }
  if (/failed calling webhook|no endpoints available for service|context deadline exceeded/i.test(message)) {
    return {
      ...base,
      code: 'admission.down',
      message: `An admission webhook does not answer: ${shorten(message)}`,
      fix: "Look at the webhook's own pods.",
      proof: after(120_000),
    };
  }
  if (/serviceaccount .*not found|error looking up service account|no PriorityClass with name/i.test(message)) {
    return {
      ...base,
      code: 'ref.missing',
      message: `Pods cannot be created: ${shorten(message)}`,
      fix: 'Create what the message names, or correct its name.',
      proof: after(60_000),
    };
  }
  if (
    /violates PodSecurity|forbidden: (maximum|minimum)|unable to validate against any security context constraint|is invalid|must be|RuntimeClass .* not found|is forbidden/i.test(
      message,
    )
  ) {
    return {
      ...base,
      code: 'admission.policy',
      message: `The cluster's rules refuse the pods: ${shorten(message)}`,
      fix: 'Change the fields that the message names.',
      proof: isRepeated ? after(5_000) : after(10_000),
    };
  }
  return {
    ...base,
    code: 'admission.policy',
    message: `Pods cannot be created: ${shorten(message)}`,
    fix: 'See the message.',
    proof: never,
  };
}

function shorten(message: string): string {
  return message.replace(/^Error creating: (pods "[^"]+" is forbidden: )?/, '').slice(0, 400);
}

/** A pod that no node takes, or whose claim is not bound. */
export function schedulingCandidate(
  pod: KubeObject,
  events: readonly KubeObject[],
  snapshot: Snapshot,
): Candidate | undefined {
  const condition = conditionOf(pod, 'PodScheduled');
  if (condition === undefined || isTrue(condition)) return undefined;
  const message = textOf(condition.message) ?? '';
  const base = { object: refOf(pod), evidence: [message] };
  if (condition.reason === 'SchedulingGated') {
    return {
      ...base,
      code: 'sched.gate',
      message: `Scheduling is held back by a gate: ${message}`,
      fix: 'Whoever set the gate has to lift it.',
      proof: never,
    };
  }
  if (condition.reason !== 'Unschedulable') return undefined;
  const scaling = events.some((event) => ['TriggeredScaleUp', 'Nominated', 'Preempted'].includes(String(event.reason)));
  if (/persistentvolumeclaim "([^"]+)" not found/i.test(message)) {
    return {
      ...base,
      code: 'ref.missing',
      message: `The pod waits for a claim that does not exist: ${message}`,
      fix: 'Create the PersistentVolumeClaim.',
      proof: after(60_000),
    };
  }
  if (/unbound immediate PersistentVolumeClaims/i.test(message)) {
    const claim = events
      .map((event) => textOf(event.message) ?? '')
      .find((text) => /storageclass\S* "?([^" ]+)"? not found|no persistent volumes available/i.test(text));
    return {
      ...base,
      code: claim === undefined ? 'pvc.provision' : 'pvc.class',
      message: `The pod waits for storage: ${claim ?? message}`,
      fix: 'kubectl get storageclass shows the classes there are; correct storageClassName, or create a volume.',
      proof: claim === undefined ? after(90_000) : after(60_000),
      warnAfterMs: 10_000,
    };
  }
  const question: Question = { kind: 'autoscaler' };
  const autoscaler = snapshot.answers.get(keyOf(question));
  const impossible = scaling ? undefined : whyImpossible(pod, snapshot.nodes);
  if (impossible !== undefined) {
    return {
      ...base,
      code: 'sched.impossible',
      message: `No node of this cluster can ever take the pod: ${impossible}.`,
      fix: 'Lower the request, correct nodeSelector or tolerations, or add such a node.',
      proof: autoscaler?.value === 'no' ? after(30_000) : autoscaler?.value === 'yes' ? after(120_000) : never,
      ask: [question],
      warnAfterMs: 10_000,
    };
  }
  return {
    ...base,
    code: 'sched',
    message: `No node has room for the pod: ${message}`,
    fix: 'Free room, add a node, or lower the requests.',
    proof: never,
    ask: snapshot.nodes.length === 0 ? [{ kind: 'nodes' }, question] : [question],
    warnAfterMs: 10_000,
  };
}

/** Why even an empty node would not do; undefined when one would, or when the nodes are not known. */
function whyImpossible(pod: KubeObject, nodes: readonly KubeObject[]): string | undefined {
  if (nodes.length === 0) return undefined;
  const selector = Object.entries((at(pod, 'spec', 'nodeSelector') ?? {}) as Record<string, string>);
  const matching = nodes.filter((node) => selector.every(([key, value]) => node.metadata.labels?.[key] === value));
  if (matching.length === 0)
    return `no node has the labels ${selector.map(([key, value]) => `${key}=${value}`).join(', ')}`;
  const requests = { cpu: 0, memory: 0 };
  for (const container of listOf(at(pod, 'spec', 'containers'))) {
    requests.cpu += quantity(textOf(at(container, 'resources', 'requests', 'cpu')));
    requests.memory += quantity(textOf(at(container, 'resources', 'requests', 'memory')));
  }
  for (const resource of ['cpu', 'memory'] as const) {
    const largest = Math.max(...matching.map((node) => quantity(textOf(at(node, 'status', 'allocatable', resource)))));
    if (requests[resource] > largest) {
      return resource === 'cpu'
        ? `it asks for ${requests.cpu} CPUs, the largest node has ${largest}`
        : `it asks for ${Math.round(requests.memory / 2 ** 20)} MiB of memory, the largest node has ${Math.round(largest / 2 ** 20)} MiB`;
    }
  }
  return undefined;
}

const UNITS: Readonly<Record<string, number>> = {
  m: 1e-3,
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
};

/** A Kubernetes quantity as a number: CPUs or bytes. 0 for nothing. */
export function quantity(text: string | undefined): number {
  const match = /^(\d+(?:\.\d+)?)(m|k|M|G|T|Ki|Mi|Gi|Ti)?$/.exec(text ?? '');
  return match === null ? 0 : Number(match[1]) * (UNITS[match[2] ?? ''] ?? 1);
}

/** Readiness probes only ever warn: a slow start and a wrong path look the same until the deadline. */
export function probeCandidate(pod: KubeObject, events: readonly KubeObject[]): Candidate | undefined {
  const event = events
    .filter((item) => item.reason === 'Unhealthy' && /^Readiness probe/i.test(textOf(item.message) ?? ''))
    .at(-1);
  if (event === undefined) return undefined;
  const message = textOf(event.message) ?? '';
  const probe = listOf(at(pod, 'spec', 'containers'))
    .map((container) => at(container, 'readinessProbe'))
    .find((found) => found !== undefined);
  const number = (field: string, fallback: number): number => Number(at(probe, field) ?? fallback);
  return {
    object: refOf(pod),
    code: 'probe.ready',
    message: `Not ready: ${message}`,
    fix: 'Check path and port of the readiness probe, and what the app answers there.',
    evidence: [message],
    proof: never,
    warnAfterMs:
      (number('initialDelaySeconds', 0) + number('failureThreshold', 3) * number('periodSeconds', 10)) * 1000,
  };
}
