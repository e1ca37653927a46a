import {
  ApiError,
  at,
  type Cluster,
  connectPod,
  execInPod,
  listOf,
  openCluster,
  readPodLog,
  textOf,
} from '../cluster/index.ts';
import { ApplyConflict, type ClusterAccess, conflictsFrom } from '../deploy/index.ts';
import type { Secrets } from '../events/secrets.ts';
import type { EnvironmentConfig } from '../project/model.ts';
import { registryAsker, watchRollout } from '../rollout/index.ts';
import type { SmokeAccess } from '../smoke/index.ts';
import type { System } from '../system/index.ts';

/** Opens the cluster of an environment. Nothing is contacted before it is asked something. */
export function clusterOf(environment: EnvironmentConfig, system: System, secrets?: Secrets): Promise<Cluster> {
  return openCluster(
    system,
    {
      ...(environment.kubeconfig !== undefined && { kubeconfig: environment.kubeconfig }),
      ...(environment.context !== undefined && { context: environment.context }),
    },
    secrets,
  );
}

/** The cluster as deployers ask for it: a conflict of field owners is an answer of its own. */
export function deployAccess(cluster: Cluster): ClusterAccess {
  return {
    context: cluster.context,
    ...(cluster.kubeconfig !== undefined && { kubeconfig: cluster.kubeconfig }),
    kubeconfigForTool: (forMs) => cluster.kubeconfigForTool(forMs),
    get: (ref, signal) => cluster.get(ref, signal),
    list: (query, signal) => cluster.list(query, signal),
    create: (object, options) => cluster.create(object as never, options),
    merge: (ref, patch, options) => cluster.merge(ref, patch, options),
    patch: (ref, operations, options) => cluster.patch(ref, operations, options),
    remove: (ref, options) => cluster.remove(ref, options),
    readLog: (request, signal) => readPodLog(cluster, request, signal),
    isNamespaced: (apiVersion, kind, signal) => cluster.isNamespaced(apiVersion, kind, signal),
    watch: (targets, { system, secrets, signal, emit, baseline, startedAt, phase }) =>
      watchRollout(cluster, targets, baseline, {
        clock: system.clock,
        askRegistry: registryAsker(system, secrets),
        secrets,
        signal,
        emit,
        since: startedAt,
        stabilityMs: 0,
        ...(phase !== undefined && { phase }),
      }),
    async apply(object, options) {
      try {
        return await cluster.apply(object as never, options);
      } catch (error) {
        const conflicts = error instanceof ApiError && error.status === 409 ? conflictsFrom(error.body) : [];
        if (conflicts.length > 0) throw new ApplyConflict((error as ApiError).message, conflicts);
        throw error;
      }
    },
  };
}

/** The cluster as smoke checks ask for it. */
export function smokeAccess(cluster: Cluster): SmokeAccess {
  return {
    get: (ref, signal) => cluster.get(ref, signal),
    list: (query, signal) => cluster.list(query, signal),
    connect: (pod, port, signal) => connectPod(cluster, pod, port, signal),
    async exec(pod, container, command, signal) {
      const where = container ?? (await firstContainer(cluster, pod, signal));
      return execInPod(cluster, { ...pod, pod: pod.name, container: where }, command, signal);
    },
  };
}

/** As kubectl: the annotated default container, else the first. */
async function firstContainer(
  cluster: Cluster,
  pod: { readonly namespace: string; readonly name: string },
  signal: AbortSignal,
): Promise<string> {
  const found = await cluster.get({ apiVersion: 'v1', kind: 'Pod', ...pod }, signal);
  const annotated = found?.metadata.annotations?.['kubectl.kubernetes.io/default-container'];
  return annotated ?? textOf(listOf(at(found, 'spec', 'containers'))[0]?.name) ?? '';
}
