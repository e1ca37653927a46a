// Flux's controllers, run on the host with the admin's kubeconfig: the cluster sees them as if they were pods.
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { pidOf, startDaemon, stopDaemon } from './daemon.ts';
import { answers } from './docker.ts';
import { build, fetchModules, type GoProgram, isBuilt, moduleFolder } from './gobuild.ts';
import { cluster, kubectl, kubectlCheck } from './kubernetes.ts';
import type { Part } from './part.ts';
import { addresses, paths } from './paths.ts';

interface Controller {
  readonly name: string;
  readonly what: string;
  readonly version: string;
  /** Kinds it brings, as resource names: proof that its definitions are in the cluster. */
  readonly resources: readonly string[];
  readonly args?: readonly string[];
}

const storage = join(paths.state, 'flux');
const sourceAddress = `${addresses.node}:9790`;

const controllers: readonly Controller[] = [
  {
    name: 'source-controller',
    what: 'Flux: GitRepository, OCIRepository, HelmRepository …',
    version: '1.8.0',
    resources: ['gitrepositories.source.toolkit.fluxcd.io'],
    args: [
      `--storage-path=${join(storage, 'source')}`,
      `--storage-addr=${sourceAddress}`,
      `--storage-adv-addr=${sourceAddress}`,
    ],
  },
  {
    name: 'kustomize-controller',
    what: 'Flux: Kustomization',
    version: '1.7.3',
    resources: ['kustomizations.kustomize.toolkit.fluxcd.io'],
  },
  {
    name: 'image-reflector-controller',
    what: 'Flux: ImageRepository, ImagePolicy',
    version: '1.1.1',
    resources: ['imagerepositories.image.toolkit.fluxcd.io', 'imagepolicies.image.toolkit.fluxcd.io'],
    args: [`--storage-path=${join(storage, 'images')}`],
  },
  {
    name: 'image-automation-controller',
    what: 'Flux: ImageUpdateAutomation',
    version: '1.2.4',
    resources: ['imageupdateautomations.image.toolkit.fluxcd.io'],
  },
  {
    name: 'helm-controller',
    what: 'Flux: HelmRelease',
    version: '1.4.3',
    resources: ['helmreleases.helm.toolkit.fluxcd.io'],
  },
];

const moduleOf = (controller: Controller) => `github.com/fluxcd/${controller.name}`;
const program = (controller: Controller): GoProgram => ({
  name: controller.name,
  module: controller.name,
  target: moduleOf(controller),
});

const definitionsPart: Part = {
  name: 'flux-crds',
  what: "Flux's kinds, and the namespace flux-system",
  version: '2.7',
  group: 'flux',
  needs: ['kube-apiserver'],
  isPrepared: () => true,
  prepare: async () => {},
  service: {
    isReady: async () => {
      const names = controllers.flatMap(({ resources }) => resources);
      return (await kubectl(['get', 'crd', ...names, '-o', 'name'])).code === 0;
    },
    pid: () => undefined,
    start: async () => {
      for (const controller of controllers) {
        const folder = join(await moduleFolder(controller.name, moduleOf(controller)), 'config/crd/bases');
        await kubectlCheck(['apply', '--server-side', '--force-conflicts', '-f', folder]);
      }
      const names = controllers.flatMap(({ resources }) => resources.map((resource) => `crd/${resource}`));
      await kubectlCheck(['wait', '--for=condition=Established', '--timeout=30s', ...names]);
      const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'flux-system' } };
      await kubectlCheck(['apply', '-f', '-'], JSON.stringify(namespace));
    },
    // Definitions live in the cluster's database and go with it.
    stop: async () => {},
  },
};

function controllerPart(controller: Controller, index: number): Part {
  const { name } = controller;
  const isReady = () => answers(`http://127.0.0.1:${9820 + index}/readyz`);
  return {
    name,
    what: controller.what,
    version: controller.version,
    group: 'flux',
    needs: ['kube-apiserver', 'network', 'coredns', 'flux-crds'],
    isPrepared: () => isBuilt(program(controller)),
    fetch: () => fetchModules(program(controller)),
    prepare: (report) => build(program(controller), report),
    service: {
      isReady: async () => pidOf(name) !== undefined && (await isReady()),
      pid: () => pidOf(name),
      start: async () => {
        for (const folder of ['source', 'images']) mkdirSync(join(storage, folder), { recursive: true });
        await startDaemon({
          name,
          argv: [
            join(paths.bin, name),
            '--log-level=info',
            '--enable-leader-election=false',
            '--watch-all-namespaces=true',
            '--events-addr=',
            `--metrics-addr=127.0.0.1:${9800 + index}`,
            `--health-addr=127.0.0.1:${9820 + index}`,
            ...(controller.args ?? []),
          ],
          env: { KUBECONFIG: cluster.kubeconfig, RUNTIME_NAMESPACE: 'flux-system' },
          isReady,
        });
      },
      stop: async () => {
        await stopDaemon(name, 5_000);
      },
      wipe: async () => rmSync(storage, { recursive: true, force: true }),
    },
  };
}

export const fluxParts: readonly Part[] = [definitionsPart, ...controllers.map(controllerPart)];
