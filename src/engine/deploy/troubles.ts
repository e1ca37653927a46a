// The troubles everybody meets, recognised in what was collected, each with something the person can do.

import { at, fieldsOf, type KubeObject, listOf, textOf } from '../cluster/index.ts';
import type { Failure } from '../problems/index.ts';
import type { ContainerState, EventLine, LogText, PodState } from './diagnoseFacts.ts';

export interface Trouble {
  readonly title: string;
  /** What it was recognised by. */
  readonly evidence: string;
  readonly fix: string;
}

export interface Facts {
  readonly pods: readonly KubeObject[];
  readonly states: readonly PodState[];
  readonly events: readonly EventLine[];
  readonly nodes: readonly KubeObject[];
  readonly logs: readonly LogText[];
  readonly failure?: Failure;
  readonly services?: readonly KubeObject[];
  readonly ingresses?: readonly KubeObject[];
  /** Names of the IngressClasses; absent when they may not be read. */
  readonly ingressClasses?: readonly string[];
  /** One sentence on a Helm record that is pending. */
  readonly lock?: string;
}

interface Entry {
  readonly title: string;
  readonly fix: string;
  /** Text that shows it, or undefined. */
  find(facts: Facts): string | undefined;
}

/** First text that fits: states of containers, events, then logs. */
const texts = (facts: Facts): readonly string[] => [
  ...facts.states.flatMap(({ name, containers }) =>
    containers.map(({ name: container, state, message }) => `${name}/${container}: ${state} ${message}`),
  ),
  ...facts.states.flatMap(({ name, unschedulable }) =>
    unschedulable === undefined ? [] : [`${name}: ${unschedulable}`],
  ),
  ...facts.events
    .filter(({ type }) => type !== 'Normal')
    .map(({ object, reason, message }) => `${object}: ${reason} ${message}`),
];

const inTexts =
  (pattern: RegExp) =>
  (facts: Facts): string | undefined =>
    texts(facts).find((text) => pattern.test(text));

const inLogs =
  (pattern: RegExp) =>
  ({ logs }: Facts): string | undefined => {
    for (const { name, text } of logs) {
      const line = text.split('\n').findLast((candidate) => pattern.test(candidate));
      if (line !== undefined) return `${name}: ${line.trim()}`;
    }
    return undefined;
  };

const inContainers =
  (isIt: (container: ContainerState) => boolean) =>
  ({ states }: Facts): string | undefined => {
    for (const { name, containers } of states) {
      const found = containers.find(isIt);
      if (found === undefined) continue;
      const code = found.exitCode ?? found.lastExitCode;
      return `${name}/${found.name}: ${found.lastReason ?? found.state}${code === undefined ? '' : `, exit code ${code}`}, ${found.restarts} restarts`;
    }
    return undefined;
  };

const failed =
  (pattern: RegExp) =>
  ({ failure }: Facts): string | undefined =>
    failure !== undefined && pattern.test(`${failure.code ?? ''} ${failure.message}`) ? failure.message : undefined;

const either =
  (...ways: readonly Entry['find'][]): Entry['find'] =>
  (facts) => {
    for (const way of ways) {
      const found = way(facts);
      if (found !== undefined) return found;
    }
    return undefined;
  };

/** In the order of how surely they are a cause and not a consequence. */
const entries: readonly Entry[] = [
  {
    title: 'The image is not in the registry',
    fix: 'Check repository and tag (`slipway tags`), push it, or deploy a tag that exists.',
    find: inTexts(
      /(ErrImagePull|ImagePullBackOff|Failed to pull).*(not found|manifest unknown|NotFound|name unknown)/i,
    ),
  },
  {
    title: 'The registry refuses the node',
    fix: 'Give the pod a pull secret of this namespace for that registry host (imagePullSecrets, or on its service account), or renew an expired one.',
    find: inTexts(
      /(ErrImagePull|ImagePullBackOff|Failed to pull|FailedToRetrieveImagePullSecret).*(unauthorized|denied|authorization failed|401|403|pull secret)/i,
    ),
  },
  {
    title: 'The registry limits pulls',
    fix: 'Log in to the registry, use a mirror, or pull by digest from your own registry.',
    find: inTexts(/toomanyrequests|429 Too Many Requests|rate limit/i),
  },
  {
    title: 'The node does not reach the registry',
    fix: "Check the node's DNS, proxy and CA certificates for that host; a plain-http registry must be allowed on each node.",
    find: inTexts(
      /(ErrImagePull|ImagePullBackOff|Failed to pull).*(no such host|i\/o timeout|connection refused|x509|server gave HTTP response)/i,
    ),
  },
  {
    title: 'The image is for another processor',
    fix: 'Build it for the platform of the nodes (`platforms:` of the image), or pin the pods with a nodeSelector on kubernetes.io/arch.',
    find: either(inTexts(/no match for platform|exec format error/i), inLogs(/exec format error/i)),
  },
  {
    title: 'A ConfigMap, Secret or key is missing',
    fix: 'Create it in this namespace, or correct the name or key that the pod refers to.',
    find: inTexts(
      /CreateContainerConfigError|(configmap|secret) "[^"]*" not found|couldn't find key|references non-existent/i,
    ),
  },
  {
    title: 'The program cannot be started',
    fix: 'Compare `command` and `args` with the image: the file must exist, be executable and be built for this system (a script needs its interpreter).',
    find: either(
      inTexts(
        /RunContainerError|StartError|ContainerCannotRun|executable file not found|no such file or directory: unknown/i,
      ),
      inContainers(({ exitCode, lastExitCode }) => [126, 127].includes(exitCode ?? lastExitCode ?? 0)),
    ),
  },
  {
    title: 'Out of memory',
    fix: "Raise the container's memory limit, or find what takes more than before; compare with the revision that served.",
    find: inContainers(({ state, lastReason }) => state === 'OOMKilled' || lastReason === 'OOMKilled'),
  },
  {
    title: 'The port is taken',
    fix: 'Two containers of a pod share one network: give each its own port; a hostPort must be free on the node.',
    find: inLogs(/EADDRINUSE|address already in use/i),
  },
  {
    title: 'A name does not resolve',
    fix: 'Check the service name and its namespace (`<service>.<namespace>`), that the service exists, and that the cluster DNS runs.',
    find: inLogs(
      /no such host|ENOTFOUND|EAI_AGAIN|Name or service not known|could not translate host name|Temporary failure in name resolution/i,
    ),
  },
  {
    title: 'Something it depends on does not answer',
    fix: 'Look whether the database, queue or API it names is up and reachable from this namespace (NetworkPolicy).',
    find: inLogs(/ECONNREFUSED|connection refused|could not connect to server|Connection timed out/i),
  },
  {
    title: 'Nothing listens on the port that is asked',
    fix: 'Compare the port of the probe and `containerPort` with what the program listens on, and on which address: 127.0.0.1 is not reached from outside of the container.',
    find: inTexts(/Unhealthy .*probe failed.*connection refused/i),
  },
  {
    title: 'The health probe fails',
    fix: 'Ask the path and port by hand (`slipway exec` or port-forward); a slow start wants a startupProbe or a higher failureThreshold.',
    find: inTexts(/Unhealthy .*(Readiness|Liveness|Startup) probe failed/i),
  },
  {
    title: 'The container ends again and again',
    fix: 'Read its last words in the log of the previous container; exit code 0 means that the program has nothing that keeps it running.',
    find: inContainers(({ state, restarts }) => state === 'CrashLoopBackOff' || restarts >= 2),
  },
  {
    title: 'No node has room',
    fix: "Lower the pod's requests, add a node, or remove what blocks it (selector, taint, affinity) as the scheduler's words say.",
    find: ({ states }) => {
      const pending = states.find(({ unschedulable }) => unschedulable !== undefined);
      return pending === undefined ? undefined : `${pending.name}: ${pending.unschedulable}`;
    },
  },
  {
    title: 'The namespace has used up its quota',
    fix: 'Lower requests or replicas, set maxSurge to 0, or raise the quota.',
    find: inTexts(/exceeded quota/i),
  },
  {
    title: 'Admission refuses the pods',
    fix: 'Change the field that the rule names, or ask who runs the policy.',
    // A quota speaks of forbidden pods as well; it has its own entry.
    find: inTexts(/violates PodSecurity|admission webhook .* denied|FailedCreate (?!.*exceeded quota).*forbidden/i),
  },
  {
    title: 'A volume is not there yet',
    fix: 'Look at its claim: the storage class, and whether another node still holds a ReadWriteOnce volume.',
    // The kubelet's own token volume fails now and then for a moment, and is mounted by itself.
    find: inTexts(
      /(FailedMount|FailedAttachVolume) (?!.*(kube-api-access|failed to sync))|unbound immediate PersistentVolumeClaims|Multi-Attach/i,
    ),
  },
  {
    title: 'A node is under pressure',
    fix: 'Free disk or memory on the node, or drain it; pods are evicted from it.',
    find: ({ nodes }) => {
      for (const node of nodes) {
        const pressed = listOf(at(node, 'status', 'conditions')).find(
          ({ type, status }) => /Pressure$/.test(String(type)) && status === 'True',
        );
        if (pressed !== undefined) return `${node.metadata.name}: ${String(pressed.type)} ${String(pressed.message)}`;
      }
      return undefined;
    },
  },
  {
    title: 'The Helm release is locked',
    fix: 'When no helm works on it any more, unlock it: `slipway unlock`.',
    find: either(({ lock }) => lock, failed(/helm\.pending|another operation .* in progress/)),
  },
  {
    title: 'The ingress does not lead to the app',
    fix: 'Check its class, host and service name, and that an ingress controller of that class runs.',
    find: either(ingressTrouble, failed(/ingress/i)),
  },
];

/** The first way in which an ingress leads nowhere. */
function ingressTrouble({ ingresses = [], services = [], pods, ingressClasses }: Facts): string | undefined {
  for (const ingress of ingresses) {
    const name = `ingress ${ingress.metadata.name}`;
    const wanted = textOf(at(ingress, 'spec', 'ingressClassName'));
    if (wanted !== undefined && ingressClasses !== undefined && !ingressClasses.includes(wanted)) {
      return `${name}: there is no IngressClass ${wanted}; there is ${ingressClasses.join(', ') || 'none'}`;
    }
    const backends = [
      at(ingress, 'spec', 'defaultBackend', 'service'),
      ...listOf(at(ingress, 'spec', 'rules')).flatMap((rule) =>
        listOf(at(rule, 'http', 'paths')).map((path) => at(path, 'backend', 'service')),
      ),
    ].filter((backend) => backend !== undefined);
    for (const backend of backends) {
      const target = textOf(at(backend, 'name')) ?? '';
      const service = services.find(({ metadata }) => metadata.name === target);
      if (service === undefined) return `${name}: there is no service ${target}`;
      const ports = listOf(at(service, 'spec', 'ports'));
      const port = at(backend, 'port', 'number') ?? at(backend, 'port', 'name');
      if (!ports.some((one) => one.port === port || one.name === port)) {
        return `${name}: service ${target} has no port ${String(port)}`;
      }
      const selector = Object.entries(fieldsOf(at(service, 'spec', 'selector')));
      const isServed = pods.some(
        (pod) =>
          selector.every(([key, value]) => pod.metadata.labels?.[key] === value) &&
          listOf(at(pod, 'status', 'conditions')).some(({ type, status }) => type === 'Ready' && status === 'True'),
      );
      if (selector.length > 0 && !isServed) return `${name}: no ready pod is behind service ${target}`;
    }
    if (listOf(at(ingress, 'status', 'loadBalancer', 'ingress')).length === 0) {
      return `${name}: no controller has given it an address`;
    }
  }
  return undefined;
}

/** Every trouble that the facts show; the first one is the likeliest cause. */
export function recognise(facts: Facts): readonly Trouble[] {
  return entries.flatMap(({ title, fix, find }) => {
    const evidence = find(facts);
    return evidence === undefined ? [] : [{ title, fix, evidence: evidence.slice(0, 500) }];
  });
}
