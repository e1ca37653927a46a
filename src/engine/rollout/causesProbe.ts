// Probes: a kill by a liveness or startup probe that repeats is proof; a readiness probe that fails is never proof early.
import { at, fieldsOf, isFields, listOf, numberOf, textOf } from '../cluster/object.ts';
import { asWarning, type ContainerScene, cleanText, type Finding, type Scene } from './causes.ts';
import { exitFacts, isProbeKill, probeKillCount } from './causesCrash.ts';
import { conditionOf, isPodReady } from './readiness.ts';

const KILLS = 3;

export function probeFindings(scene: Scene, containers: readonly ContainerScene[]): readonly Finding[] {
  const found: Finding[] = [];
  for (const container of containers) {
    const kill = killFinding(scene, container);
    if (kill !== undefined) found.push(kill);
    else if (container.kind === 'init') found.push(...initFinding(scene, container));
    else if (container.isRunning && !container.isReady) found.push(...readyFinding(scene, container));
  }
  for (const pod of scene.target.newPods) found.push(...gateFindings(scene, pod));
  return found;
}

function killFinding(scene: Scene, container: ContainerScene): Finding | undefined {
  const { exits } = exitFacts(scene, container);
  const kills = probeKillCount(scene, container, exits);
  if (kills === 0 || !isProbeKill(scene, container, exits)) return undefined;
  const uid = container.pod.metadata.uid ?? '';
  const key = `kill ${uid}/${container.name}`;
  const sighting = scene.draft.see(key, '');
  const kind = container.spec.startupProbe === undefined ? 'liveness' : 'startup';
  const probe = fieldsOf(container.spec[`${kind}Probe`]);
  const answer = lastProbeAnswer(scene, container, kind);
  const isReadyNow = isPodReady(container.pod);
  return {
    code: 'probe.kill',
    scope: 'pod',
    pod: uid,
    ref: container.podRef,
    container: container.name,
    // A pod that was ready in between is judged by its stability, not here.
    strength:
      kills >= KILLS && !isReadyNow && scene.target.newPods.every((pod) => !isPodReady(pod)) ? 'proven' : 'warning',
    firstSeen: sighting.first,
    message: `The kubelet has restarted container ${container.name} ${kills === 1 ? 'once' : `${kills} times`}: its ${kind} probe (${describeProbe(probe)}) fails${answer === '' ? '' : ` with ${answer}`}.`,
    fix:
      kind === 'liveness'
        ? 'Correct path and port of the livenessProbe; if the program starts slowly, give it a startupProbe.'
        : 'Correct path and port of the startupProbe, or raise its failureThreshold so that the program has time to start.',
    evidence: answer === '' ? [] : [answer],
  };
}

function readyFinding(scene: Scene, container: ContainerScene): readonly Finding[] {
  const probe = container.spec.readinessProbe ?? container.spec.startupProbe;
  if (!isFields(probe)) return [];
  const kind = container.spec.readinessProbe === undefined ? 'startup' : 'readiness';
  const uid = container.pod.metadata.uid ?? '';
  const sighting = scene.draft.see(`unready ${uid}/${container.name}`, '');
  const delay = numberOf(probe.initialDelaySeconds) ?? 0;
  const span = (numberOf(probe.failureThreshold) ?? 3) * (numberOf(probe.periodSeconds) ?? 10);
  const answer = lastProbeAnswer(scene, container, kind);
  const port = portHint(container, probe, answer);
  return [
    {
      code: 'probe.ready',
      scope: 'pod',
      pod: uid,
      ref: container.podRef,
      container: container.name,
      ...asWarning(sighting),
      warnAt: sighting.first + (delay + span) * 1000,
      message: `Container ${container.name} runs and is not ready: its ${kind} probe (${describeProbe(probe)}) fails${answer === '' ? '' : ` with ${answer}`}.`,
      fix: port ?? 'Look at path and port of the probe, and at the log of the container.',
      evidence: answer === '' ? [] : [answer],
    },
  ];
}

/** Migrations may take long: only a hint, after a minute. */
function initFinding(scene: Scene, container: ContainerScene): readonly Finding[] {
  if (!container.isRunning) return [];
  const uid = container.pod.metadata.uid ?? '';
  const sighting = scene.draft.see(`init ${uid}/${container.name}`, '');
  return [
    {
      code: 'init.slow',
      scope: 'pod',
      pod: uid,
      ref: container.podRef,
      container: container.name,
      ...asWarning(sighting),
      warnAt: sighting.first + 60_000,
      message: `Init container ${container.name} still runs; the containers after it wait.`,
      fix: 'Look at its log if this takes longer than usual.',
      evidence: [],
    },
  ];
}

function gateFindings(scene: Scene, pod: ContainerScene['pod']): readonly Finding[] {
  if (conditionOf(pod, 'ContainersReady')?.status !== 'True' || isPodReady(pod)) return [];
  const open = listOf(at(pod, 'spec', 'readinessGates'))
    .map((gate) => textOf(gate.conditionType) ?? '')
    .filter((type) => conditionOf(pod, type)?.status !== 'True');
  const [gate] = open;
  if (gate === undefined) return [];
  const uid = pod.metadata.uid ?? '';
  const sighting = scene.draft.see(`gate ${uid} ${gate}`, '');
  return [
    {
      code: 'gate',
      scope: 'pod',
      pod: uid,
      ref: {
        apiVersion: 'v1',
        kind: 'Pod',
        name: pod.metadata.name,
        ...(pod.metadata.namespace !== undefined && { namespace: pod.metadata.namespace }),
      },
      ...asWarning(sighting),
      warnAt: sighting.first + 15_000,
      message: `All containers are ready; the pod waits for its readiness gate ${gate}.`,
      fix: 'Look at the controller that opens this gate, usually a load balancer controller.',
      evidence: [],
    },
  ];
}

/** `GET :8080/healthz every 10 s`: a probe in words. */
export function describeProbe(probe: unknown): string {
  const http = at(probe, 'httpGet');
  const period = `every ${numberOf(at(probe, 'periodSeconds')) ?? 10} s`;
  if (isFields(http)) return `GET :${String(http.port)}${textOf(http.path) ?? '/'} ${period}`;
  const tcp = at(probe, 'tcpSocket');
  if (isFields(tcp)) return `TCP :${String(tcp.port)} ${period}`;
  const grpc = at(probe, 'grpc');
  if (isFields(grpc)) return `gRPC :${String(grpc.port)} ${period}`;
  const command = at(probe, 'exec', 'command');
  return Array.isArray(command) ? `${command.join(' ')} ${period}` : period;
}

function lastProbeAnswer(scene: Scene, container: ContainerScene, kind: string): string {
  const events = (scene.index.events.get(container.pod.metadata.uid ?? '') ?? []).filter(
    (event) => event.reason === 'Unhealthy' && event.message.toLowerCase().startsWith(kind),
  );
  const last = [...events].sort((a, b) => (a.lastAt < b.lastAt ? 1 : -1))[0];
  return last === undefined
    ? ''
    : cleanText(last.message.replace(/^\w+ probe (failed|errored)( and resulted in .*?)?: */i, ''));
}

/** A port that no container declares and nothing listens on is the commonest mistake. */
function portHint(container: ContainerScene, probe: unknown, answer: string): string | undefined {
  if (!/connection refused/i.test(answer)) return undefined;
  const port = at(probe, 'httpGet', 'port') ?? at(probe, 'tcpSocket', 'port') ?? at(probe, 'grpc', 'port');
  const declared = listOf(container.spec.ports).map(
    (item) => `${String(item.containerPort)}${textOf(item.name) === undefined ? '' : ` (${textOf(item.name)})`}`,
  );
  const isDeclared = listOf(container.spec.ports).some((item) => item.containerPort === port || item.name === port);
  if (isDeclared)
    return `Nothing listens on port ${String(port)}: does the program listen on another one, or only on 127.0.0.1?`;
  return `Nothing listens on port ${String(port)}; the container declares ${declared.length === 0 ? 'no ports' : declared.join(', ')}.`;
}
