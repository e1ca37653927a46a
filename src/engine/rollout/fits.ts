// Could a pod run on an empty node of this cluster at all: the scheduler's filters that no waiting changes.
import { at, type Fields, fieldsOf, isFields, type KubeObject, listOf, textOf } from '../cluster/object.ts';

/** Why a pod can never run on a node, in words; undefined when it could. */
export function obstacle(pod: KubeObject, node: KubeObject): string | undefined {
  return (
    selectorObstacle(pod, node) ?? affinityObstacle(pod, node) ?? taintObstacle(pod, node) ?? sizeObstacle(pod, node)
  );
}

function selectorObstacle(pod: KubeObject, node: KubeObject): string | undefined {
  const labels = node.metadata.labels ?? {};
  const wrong = Object.entries(fieldsOf(at(pod, 'spec', 'nodeSelector'))).find(([key, value]) => labels[key] !== value);
  return wrong === undefined ? undefined : `it lacks the label ${wrong[0]}=${String(wrong[1])}`;
}

function affinityObstacle(pod: KubeObject, node: KubeObject): string | undefined {
  const terms = listOf(
    at(pod, 'spec', 'affinity', 'nodeAffinity', 'requiredDuringSchedulingIgnoredDuringExecution', 'nodeSelectorTerms'),
  );
  if (terms.length === 0) return undefined;
  const isMatched = terms.some(
    (term) =>
      listOf(term.matchExpressions).every((expression) => matches(expression, node.metadata.labels ?? {})) &&
      listOf(term.matchFields).every((expression) => matches(expression, { 'metadata.name': node.metadata.name })),
  );
  return isMatched ? undefined : 'it does not match the required node affinity';
}

function matches(expression: Fields, labels: Readonly<Record<string, string>>): boolean {
  const value = labels[textOf(expression.key) ?? ''];
  const values = Array.isArray(expression.values) ? expression.values.map(String) : [];
  switch (expression.operator) {
    case 'In':
      return value !== undefined && values.includes(value);
    case 'NotIn':
      return value === undefined || !values.includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
    case 'Gt':
      return Number(value) > Number(values[0]);
    case 'Lt':
      return Number(value) < Number(values[0]);
    default:
      return true;
  }
}

function taintObstacle(pod: KubeObject, node: KubeObject): string | undefined {
  const tolerations = listOf(at(pod, 'spec', 'tolerations'));
  const taint = listOf(at(node, 'spec', 'taints')).find(
    (one) =>
      (one.effect === 'NoSchedule' || one.effect === 'NoExecute') &&
      // Set by the node's controller and gone with the trouble behind it.
      !String(one.key).startsWith('node.kubernetes.io/') &&
      !tolerations.some((toleration) => tolerates(toleration, one)),
  );
  if (taint === undefined) return undefined;
  const value = textOf(taint.value);
  return `its taint ${String(taint.key)}${value === undefined || value === '' ? '' : `=${value}`}:${String(taint.effect)} is not tolerated`;
}

function tolerates(toleration: Fields, taint: Fields): boolean {
  const effect = textOf(toleration.effect) ?? '';
  if (effect !== '' && effect !== taint.effect) return false;
  const key = textOf(toleration.key) ?? '';
  if (toleration.operator === 'Exists') return key === '' || key === taint.key;
  return key === taint.key && (textOf(toleration.value) ?? '') === (textOf(taint.value) ?? '');
}

function sizeObstacle(pod: KubeObject, node: KubeObject): string | undefined {
  const allocatable = fieldsOf(at(node, 'status', 'allocatable'));
  for (const [resource, wanted] of requestsOf(pod)) {
    const there = parseQuantity(allocatable[resource]) ?? 0;
    if (wanted > there)
      return `the pod asks for ${showQuantity(resource, wanted)} ${resource}, and it has ${showQuantity(resource, there)} in all`;
  }
  return undefined;
}

/** Sum over containers, or the largest init container where that is more, plus overhead: as the scheduler counts. */
export function requestsOf(pod: KubeObject): ReadonlyMap<string, number> {
  const sum = new Map<string, number>();
  const add = (requests: unknown): void => {
    for (const [name, value] of Object.entries(fieldsOf(requests)))
      sum.set(name, (sum.get(name) ?? 0) + (parseQuantity(value) ?? 0));
  };
  for (const container of listOf(at(pod, 'spec', 'containers'))) add(at(container, 'resources', 'requests'));
  for (const init of listOf(at(pod, 'spec', 'initContainers'))) {
    if (init.restartPolicy === 'Always') add(at(init, 'resources', 'requests'));
  }
  for (const init of listOf(at(pod, 'spec', 'initContainers'))) {
    if (init.restartPolicy === 'Always') continue;
    for (const [name, value] of Object.entries(fieldsOf(at(init, 'resources', 'requests'))))
      sum.set(name, Math.max(sum.get(name) ?? 0, parseQuantity(value) ?? 0));
  }
  const overhead = at(pod, 'spec', 'overhead');
  if (isFields(overhead)) add(overhead);
  return sum;
}

const FACTORS: Readonly<Record<string, number>> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};

/** A Kubernetes quantity as a number: `500m` is 0.5, `1Gi` is 1073741824. */
export function parseQuantity(value: unknown): number | undefined {
  if (typeof value === 'number') return value;
  const match = /^([+-]?[0-9.]+(?:[eE][+-]?\d+)?)([numkMGTPE]i?|Ki)?$/.exec(typeof value === 'string' ? value : '');
  if (match === null) return undefined;
  const factor = FACTORS[match[2] ?? ''];
  const number = Number(match[1]);
  return factor === undefined || Number.isNaN(number) ? undefined : number * factor;
}

function showQuantity(resource: string, value: number): string {
  if (resource === 'memory' || resource === 'ephemeral-storage') return `${Math.round(value / 2 ** 20)}Mi`;
  return String(Math.round(value * 1000) / 1000);
}
