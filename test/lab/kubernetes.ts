// etcd and Kubernetes with a real kubelet, each program a part of its own so that tests can stop just one.
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { certificate, hasCertificates, key, makeCertificates, nodeName } from './certificates.ts';
import { attempt } from './command.ts';
import { isOutdated, pidOf, startDaemon, stopDaemon } from './daemon.ts';
import { answers } from './docker.ts';
import { build, fetchModules, type GoProgram, isBuilt } from './gobuild.ts';
import { unmountBelow } from './network.ts';
import type { Part } from './part.ts';
import { addresses, kubeconfigPath, paths } from './paths.ts';
import { LabError } from './problem.ts';

const version = '1.35.4';
const variable = (name: string) => `k8s.io/component-base/version.${name}`;
const kubernetes: GoProgram = {
  name: 'kubernetes',
  module: 'kubernetes',
  target: '.',
  variables: { [variable('gitVersion')]: `v${version}`, [variable('gitMajor')]: '1', [variable('gitMinor')]: '35' },
  links: ['kubectl', 'kubelet', 'kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'kube-proxy'],
};

/** The person's cluster, when one is named: then none of these parts is ours. */
const externalCluster =
  process.env.SLIPWAY_LAB_KUBECONFIG ??
  (process.env.SLIPWAY_LAB_CONTEXT === undefined ? undefined : (process.env.KUBECONFIG ?? '~/.kube/config'));
const external = externalCluster === undefined ? {} : { external: externalCluster };

/** Kubeconfig and context of the cluster the lab uses. */
export const cluster = {
  kubeconfig: externalCluster ?? kubeconfigPath,
  context: process.env.SLIPWAY_LAB_CONTEXT ?? (externalCluster === undefined ? 'slipway-lab' : undefined),
} as const;

export const kubectl = (args: readonly string[], stdin?: string) =>
  attempt(
    'kubectl',
    [
      `--kubeconfig=${cluster.kubeconfig}`,
      ...(cluster.context === undefined ? [] : [`--context=${cluster.context}`]),
      ...args,
    ],
    { timeoutMs: 60_000, ...(stdin !== undefined && { stdin }) },
  );

/** As {@link kubectl}, and throws LabError with its words. */
export async function kubectlCheck(args: readonly string[], stdin?: string): Promise<string> {
  const result = await kubectl(args, stdin);
  if (result.code !== 0)
    throw new LabError(`kubectl ${args.join(' ')}: ${result.stderr.trim() || result.stdout.trim()}`);
  return result.stdout;
}

const folder = (name: string) => join(paths.state, name);
const userConfig = (name: string) => join(paths.certs, `${name}.kubeconfig`);

interface Program {
  readonly name: string;
  readonly what: string;
  readonly version?: string;
  readonly needs: readonly string[];
  readonly argv: readonly [string, ...string[]];
  /** Quick proof that it serves. */
  readonly isReady: () => Promise<boolean>;
  /** Stronger proof, asked only while starting. */
  readonly isStarted?: () => Promise<boolean>;
  readonly before?: () => Promise<void>;
  readonly after?: () => Promise<void>;
  readonly data?: string;
  /** Milliseconds for a polite end. Default 10 000. */
  readonly graceMs?: number;
}

function part(program: Program): Part {
  const isOurBinary = program.argv[0].startsWith(paths.bin);
  return {
    name: program.name,
    what: program.what,
    version: program.version ?? version,
    group: 'core',
    needs: program.needs,
    ...external,
    isPrepared: () => !isOurBinary || isBuilt(kubernetes),
    fetch: async () => {
      if (isOurBinary) await fetchModules(kubernetes);
    },
    prepare: async (report) => {
      if (isOurBinary) await build(kubernetes, report);
    },
    service: {
      isReady: async () => pidOf(program.name) !== undefined && (await program.isReady()),
      pid: () => pidOf(program.name),
      start: async () => {
        await makeCertificates();
        await program.before?.();
        if (isOutdated(program.name, program.argv)) await stopDaemon(program.name);
        await startDaemon({
          name: program.name,
          argv: program.argv,
          isReady: program.isStarted ?? program.isReady,
        });
      },
      stop: async () => {
        await stopDaemon(program.name, program.graceMs);
        await program.after?.();
      },
      wipe: async () => {
        if (program.data !== undefined) rmSync(program.data, { recursive: true, force: true });
      },
    },
  };
}

const binary = (name: string) => join(paths.bin, name);
const healthz = (port: number) => () => answers(`http://127.0.0.1:${port}/healthz`);

/** An https endpoint of ours answers at all: its certificate is not this process's to check. */
async function isServing(port: number): Promise<boolean> {
  const { createConnection } = await import('node:net');
  return new Promise((resolve) => {
    const socket = createConnection({ host: '127.0.0.1', port });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

const controllerFlags = (name: string) => [
  `--kubeconfig=${userConfig(name)}`,
  `--authentication-kubeconfig=${userConfig(name)}`,
  `--authorization-kubeconfig=${userConfig(name)}`,
  '--leader-elect=false',
  '--bind-address=127.0.0.1',
];

const kubeletConfig = {
  apiVersion: 'kubelet.config.k8s.io/v1beta1',
  kind: 'KubeletConfiguration',
  address: addresses.node,
  authentication: {
    anonymous: { enabled: false },
    webhook: { enabled: true },
    x509: { clientCAFile: certificate('ca') },
  },
  authorization: { mode: 'Webhook' },
  tlsCertFile: certificate('kubelet'),
  tlsPrivateKeyFile: key('kubelet'),
  containerRuntimeEndpoint: `unix://${addresses.containerdSocket}`,
  // The lab runs on machines with the old control groups too, and owns no slice of them.
  failCgroupV1: false,
  cgroupDriver: 'cgroupfs',
  cgroupsPerQOS: false,
  enforceNodeAllocatable: [],
  failSwapOn: false,
  // A developer's disk may be nearly full; pods must not be thrown out for that.
  evictionHard: { 'memory.available': '50Mi', 'nodefs.available': '1%', 'imagefs.available': '1%' },
  imageGCHighThresholdPercent: 100,
  imageGCLowThresholdPercent: 99,
  clusterDNS: [addresses.node],
  clusterDomain: 'cluster.local',
  resolvConf: '/etc/resolv.conf',
  healthzBindAddress: '127.0.0.1',
  maxPods: 110,
  serializeImagePulls: false,
  registryPullQPS: 0,
  // Zero is no "unlimited": the kubelet (1.35) hands it to client-go, which takes it for its default of five a second, and events of
  // many pods then come minutes late.
  eventRecordQPS: 500,
  eventBurst: 1000,
};

const proxyConfig = {
  apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
  kind: 'KubeProxyConfiguration',
  mode: 'iptables',
  hostnameOverride: nodeName,
  clientConnection: { kubeconfig: userConfig('proxy') },
  clusterCIDR: addresses.podRange,
  healthzBindAddress: '127.0.0.1:10256',
  metricsBindAddress: '127.0.0.1:10249',
  iptables: { syncPeriod: '30s', minSyncPeriod: '0.1s', localhostNodePorts: false },
  // Zero leaves the kernel's own limits alone: they are not ours to change.
  conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: '0s', tcpCloseWaitTimeout: '0s' },
};

const programs: readonly Program[] = [
  {
    name: 'etcd',
    what: "the cluster's database",
    version: '3.4',
    needs: ['packages'],
    argv: [
      '/usr/bin/etcd',
      `--data-dir=${folder('etcd')}`,
      '--listen-client-urls=http://127.0.0.1:2379',
      '--advertise-client-urls=http://127.0.0.1:2379',
      '--listen-peer-urls=http://127.0.0.1:2380',
      // A lab's cluster may be lost with the machine: no waiting for the disk.
      '--unsafe-no-fsync',
      '--log-level=warn',
    ],
    isReady: () => answers('http://127.0.0.1:2379/health'),
    before: async () => void mkdirSync(folder('etcd'), { recursive: true, mode: 0o700 }),
    data: folder('etcd'),
  },
  {
    name: 'kube-apiserver',
    what: 'Kubernetes API on 127.0.0.1:6443',
    needs: ['etcd', 'network'],
    argv: [
      binary('kube-apiserver'),
      '--etcd-servers=http://127.0.0.1:2379',
      '--bind-address=0.0.0.0',
      `--advertise-address=${addresses.node}`,
      '--secure-port=6443',
      `--tls-cert-file=${certificate('apiserver')}`,
      `--tls-private-key-file=${key('apiserver')}`,
      `--client-ca-file=${certificate('ca')}`,
      `--service-account-key-file=${key('service-account')}`,
      `--service-account-signing-key-file=${key('service-account')}`,
      '--service-account-issuer=https://kubernetes.default.svc',
      '--authorization-mode=Node,RBAC',
      '--enable-admission-plugins=NodeRestriction',
      `--service-cluster-ip-range=${addresses.serviceRange}`,
      '--allow-privileged=true',
      '--kubelet-preferred-address-types=InternalIP',
      `--kubelet-certificate-authority=${certificate('ca')}`,
      `--kubelet-client-certificate=${certificate('apiserver-kubelet-client')}`,
      `--kubelet-client-key=${key('apiserver-kubelet-client')}`,
      '--shutdown-delay-duration=0s',
    ],
    isReady: () => isServing(6443),
    // It would wait for its watchers, a minute if need be; what it knows is safe in etcd at any time.
    graceMs: 1_500,
    isStarted: async () => (await kubectl(['get', '--raw', '/readyz'])).code === 0,
  },
  {
    name: 'kube-controller-manager',
    what: 'controllers of Deployments, Jobs, endpoints …',
    needs: ['kube-apiserver'],
    argv: [
      binary('kube-controller-manager'),
      ...controllerFlags('controller-manager'),
      '--use-service-account-credentials=true',
      `--service-account-private-key-file=${key('service-account')}`,
      `--root-ca-file=${certificate('ca')}`,
      `--cluster-signing-cert-file=${certificate('ca')}`,
      `--cluster-signing-key-file=${key('ca')}`,
    ],
    isReady: () => isServing(10257),
  },
  {
    name: 'kube-scheduler',
    what: 'places pods',
    needs: ['kube-apiserver'],
    argv: [binary('kube-scheduler'), ...controllerFlags('scheduler')],
    isReady: () => isServing(10259),
  },
  {
    name: 'kubelet',
    what: `runs pods on node "${nodeName}"`,
    needs: ['kube-apiserver', 'containerd', 'network', 'registry'],
    argv: [
      binary('kubelet'),
      `--config=${folder('kubelet.json')}`,
      `--kubeconfig=${userConfig('kubelet')}`,
      `--root-dir=${folder('kubelet')}`,
      `--hostname-override=${nodeName}`,
      `--node-ip=${addresses.node}`,
    ],
    isReady: healthz(10248),
    isStarted: async () => {
      const query = '{.status.conditions[?(@.type=="Ready")].status}';
      return (await kubectl(['get', 'node', nodeName, '-o', `jsonpath=${query}`])).stdout === 'True';
    },
    before: async () => {
      mkdirSync(folder('kubelet'), { recursive: true });
      writeFileSync(folder('kubelet.json'), JSON.stringify(kubeletConfig, null, 2));
    },
    after: () => unmountBelow(folder('kubelet')),
    data: folder('kubelet'),
  },
  {
    name: 'kube-proxy',
    what: 'service addresses and node ports',
    needs: ['kube-apiserver', 'network', 'docker'],
    argv: [binary('kube-proxy'), `--config=${folder('kube-proxy.json')}`],
    isReady: healthz(10256),
    before: async () => writeFileSync(folder('kube-proxy.json'), JSON.stringify(proxyConfig, null, 2)),
  },
];

export const kubernetesParts: readonly Part[] = programs.map(part);

const coredns: GoProgram = { name: 'coredns', module: 'coredns', target: 'github.com/coredns/coredns' };
// No cache and a lifetime of 1 s: a rollout's tests want to see endpoints change.
const corefile = `.:53 {
  bind ${addresses.node}
  errors
  health 127.0.0.1:8190
  ready 127.0.0.1:8191
  kubernetes cluster.local in-addr.arpa ip6.arpa {
    endpoint https://${addresses.node}:6443
    tls ${certificate('coredns')} ${key('coredns')} ${certificate('ca')}
    pods insecure
    ttl 1
    fallthrough in-addr.arpa ip6.arpa
  }
  forward . /etc/resolv.conf
}
`;

export const corednsPart: Part = {
  name: 'coredns',
  what: `names of services, on ${addresses.node}:53`,
  version: '1.15.0',
  group: 'core',
  needs: ['kube-apiserver', 'network'],
  ...external,
  isPrepared: () => isBuilt(coredns),
  fetch: () => fetchModules(coredns),
  prepare: (report) => build(coredns, report),
  service: {
    isReady: async () => pidOf('coredns') !== undefined && (await answers('http://127.0.0.1:8191/ready')),
    pid: () => pidOf('coredns'),
    start: async () => {
      writeFileSync(folder('Corefile'), corefile);
      await startDaemon({
        name: 'coredns',
        argv: [binary('coredns'), '-conf', folder('Corefile')],
        isReady: () => answers('http://127.0.0.1:8191/ready'),
      });
    },
    stop: async () => {
      await stopDaemon('coredns', 3_000);
    },
  },
};

/** True when the cluster can be asked: its kubeconfig is there, ours or the person's. */
export const hasKubeconfig = () => (externalCluster === undefined ? hasCertificates() : existsSync(externalCluster));
