// What a watch of 1,000 workloads with 5,000 pods costs: memory after the list, and processor time for each change that
// comes in. The objects are real ones in the lab's API server (no pod is scheduled); the watcher is a process of its own.
//
//   npm run bench -- watch [--workloads 1000] [--pods 5] [--changes 3000]
import { spawn } from 'node:child_process';
import { loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { ApiError, type Cluster, type KubeObject, openCluster } from '../../src/engine/cluster/index.ts';
import type { ObjectRef } from '../../src/engine/events/index.ts';
import { emptyBaseline, watchRollout } from '../../src/engine/rollout/index.ts';
import { RolloutWatches } from '../../src/engine/rollout/watches.ts';
import { realClock } from '../../src/engine/system/clock.ts';
import { createSystem } from '../../src/engine/system/index.ts';
import { labEnv } from '../lab/lab.ts';

const { values } = parseArgs({
  args: process.argv.slice(3),
  options: {
    workloads: { type: 'string', default: '1000' },
    pods: { type: 'string', default: '5' },
    changes: { type: 'string', default: '3000' },
    role: { type: 'string', default: 'parent' },
  },
});
const workloads = Number(values.workloads);
const podsEach = Number(values.pods);
const changes = Number(values.changes);
const namespace = 'cluster-watch-load';
const signal = new AbortController().signal;

const lab = await labEnv();
const system = createSystem({ env: { ...process.env, ...lab.env } });
const cluster = await openCluster(system, {
  kubeconfig: lab.kubeconfig,
  ...(lab.context !== undefined && { context: lab.context }),
});
const targets: readonly ObjectRef[] = Array.from({ length: workloads }, (_, index) => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  name: `web-${index}`,
  namespace,
}));

if (values.role === 'watches') await measure(holdWatches);
else if (values.role === 'judge') await measure(judgeRollout);
else await parent();
system.processes.dispose();

async function holdWatches(onChange: () => void): Promise<() => number> {
  const watches = new RolloutWatches(cluster, targets, { clock: realClock, signal, onChange });
  await watches.ready();
  return () => watches.objects().pods.length;
}

async function judgeRollout(): Promise<() => number> {
  let size = 0;
  void watchRollout(cluster, targets, emptyBaseline, {
    signal,
    clock: realClock,
    askRegistry: async () => ({ state: 'unknown' }),
    emit: () => {},
    onSnapshot: (snapshot) => {
      size = snapshot.pods.length;
    },
  });
  while (size < workloads * podsEach) await realClock.sleep(200, signal);
  return () => size;
}

/** Tells the parent what was used; the parent says when changes begin and end. */
async function measure(start: (onChange: () => void) => Promise<() => number>): Promise<void> {
  const before = used();
  const size = await start(() => {});
  await realClock.sleep(1500, signal);
  const after = used();
  process.send?.({ pods: size(), memory: after - before, rss: process.memoryUsage().rss, base: before });
  let cpu = process.cpuUsage();
  await new Promise<void>((resolve) => {
    process.on('message', (text) => {
      if (text === 'begin') cpu = process.cpuUsage();
      else {
        const spent = process.cpuUsage(cpu);
        process.send?.({
          cpuMs: (spent.user + spent.system) / 1000,
          memory: used() - before,
          rss: process.memoryUsage().rss,
        });
        setTimeout(resolve, 200);
      }
    });
  });
  process.exit(0);
}

function used(): number {
  globalThis.gc?.();
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

async function parent(): Promise<void> {
  console.log(`Making ${workloads} Deployments and ${workloads * podsEach} pods …`);
  await cluster.remove({ apiVersion: 'v1', kind: 'Namespace', name: namespace }, { signal });
  while ((await cluster.get({ apiVersion: 'v1', kind: 'Namespace', name: namespace }, signal)) !== undefined)
    await realClock.sleep(500, signal);
  await cluster.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } }, { signal });
  while (
    (await cluster.get({ apiVersion: 'v1', kind: 'ServiceAccount', name: 'default', namespace }, signal)) === undefined
  )
    await realClock.sleep(100, signal);
  try {
    await inParallel(targets, 24, (target, index) => makeWorkload(cluster, target, index));
    for (const role of ['watches', 'judge']) await measured(role);
  } finally {
    console.log('Cleaning up …');
    // Pods that were never scheduled go at once.
    await removePods();
    await cluster.remove({ apiVersion: 'v1', kind: 'Namespace', name: namespace }, { signal });
  }
}

/** The server gives up a request after a minute; what it has deleted by then stays deleted. */
async function removePods(): Promise<void> {
  for (;;) {
    try {
      await cluster.api.text({
        method: 'DELETE',
        path: `/api/v1/namespaces/${namespace}/pods`,
        body: { apiVersion: 'v1', kind: 'DeleteOptions', gracePeriodSeconds: 0 },
        timeoutMs: 120_000,
      });
      return;
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 504) throw error;
    }
  }
}

async function measured(role: string): Promise<void> {
  const child = spawn(
    process.execPath,
    [
      '--expose-gc',
      process.argv[1] ?? '',
      'watch',
      '--role',
      role,
      '--workloads',
      String(workloads),
      '--pods',
      String(podsEach),
    ],
    {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    },
  );
  const next = () =>
    new Promise<Record<string, number>>((resolve, reject) => {
      child.once('message', (message) => resolve(message as Record<string, number>));
      child.once('close', () => reject(new Error('the watcher ended')));
    });
  const ready = await next();
  const mib = (bytes = 0): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
  child.send('begin');
  const began = Date.now();
  await inParallel(
    Array.from({ length: changes }, (_, index) => index),
    24,
    (index) => {
      const name = `web-${index % workloads}-${Math.floor(index / workloads) % podsEach}`;
      const patch = { metadata: { labels: { change: String(index) } } };
      return cluster.merge({ apiVersion: 'v1', kind: 'Pod', name, namespace }, patch, { signal });
    },
  );
  const seconds = (Date.now() - began) / 1000;
  await realClock.sleep(1000, signal);
  const waiting = next();
  child.send('end');
  const end = await waiting;
  const what = role === 'watches' ? 'watches alone' : 'watches and verdicts on all workloads';
  console.log(`Load of the machine ${(loadavg()[0] ?? 0).toFixed(1)}.`);
  console.log(
    `${what}: ${ready.pods} pods held in ${mib(ready.memory)} (process ${mib(ready.rss)}, of which ${mib(ready.base)} before)`,
  );
  console.log(
    `  ${changes} changes in ${seconds.toFixed(1)} s: ${((end.cpuMs ?? 0) / changes).toFixed(3)} ms of processor time each; then ${mib(end.memory)}`,
  );
}

async function makeWorkload(on: Cluster, target: ObjectRef, index: number): Promise<void> {
  const { name } = target;
  const spec = podSpec(index);
  const deployment: KubeObject = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace, labels: { app: name } },
    // Paused and without replicas, so that no controller makes pods of its own.
    spec: {
      replicas: 0,
      paused: true,
      selector: { matchLabels: { app: name } },
      template: { metadata: { labels: { app: name } }, spec },
    },
  };
  await on.create(deployment, { signal });
  for (let pod = 0; pod < podsEach; pod += 1) {
    await on.create(
      {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: `${name}-${pod}`, namespace, labels: { load: name } },
        spec: { ...spec, schedulerName: 'nobody' },
      },
      { signal },
    );
  }
}

/** As large as pods are in practice: a dozen settings, probes, volumes. */
function podSpec(index: number): object {
  return {
    containers: [
      {
        name: 'app',
        image: `localhost:5000/corpus/actor:${index}`,
        env: Array.from({ length: 12 }, (_, key) => ({
          name: `SETTING_${key}`,
          value: `value ${key} of workload ${index}`,
        })),
        ports: [{ containerPort: 8080 }],
        readinessProbe: { httpGet: { path: '/ready', port: 8080 } },
        livenessProbe: { httpGet: { path: '/live', port: 8080 } },
        resources: { requests: { cpu: '100m', memory: '128Mi' }, limits: { memory: '256Mi' } },
        volumeMounts: [{ name: 'settings', mountPath: '/settings' }],
      },
    ],
    volumes: [{ name: 'settings', configMap: { name: 'settings', optional: true } }],
  };
}

async function inParallel<T>(
  items: readonly T[],
  width: number,
  work: (item: T, index: number) => Promise<unknown>,
): Promise<void> {
  let next = 0;
  await Promise.all(
    Array.from({ length: width }, async () => {
      for (let index = next++; index < items.length; index = next++) await work(items[index] as T, index);
    }),
  );
}
