// A copy of examples/shop as a repository with names of its own, so that nothing else on the lab is touched, and what a test
// asks about it: runs of the bundle that ships, journals, and what serves.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RunEvent } from '../../../src/engine/main.ts';
import { bundledCli } from '../../bundle.ts';
import { commit, edit, materialise } from '../../lab/examples.ts';
import { environment as labEnvironment } from '../../lab/lab.ts';

interface Pods {
  readonly items: readonly {
    readonly metadata: { readonly deletionTimestamp?: string };
    readonly spec: { readonly containers: readonly { readonly image: string }[] };
  }[];
}

export interface Shop {
  readonly env: NodeJS.ProcessEnv;
  /** The working folder of the repository. */
  readonly folder: string;
  /** The bundled command line. */
  readonly cli: string;
  /** Host and first part of the repositories' names. */
  readonly prefix: string;
  readonly registryHost: string;
  slipway(...args: readonly string[]): { readonly code: number | null; readonly out: string; readonly err: string };
  /** Events of a run as its journal has them. */
  events(run: string): readonly RunEvent[];
  newestRun(): string;
  runs(): readonly string[];
  /** The image that the API's Deployment asks for. */
  liveImage(): string;
  /** Images of the API's pods that are not on their way out. */
  servingPods(): readonly string[];
  remove(): void;
}

/** Names of its own come from `name`: the namespace, the folder, and with this process's number the repositories. */
export function openShop(name: string): Shop {
  const lab = labEnvironment();
  const env = { ...process.env, ...lab.env };
  const cli = bundledCli();
  const work = mkdtempSync(join(tmpdir(), `slipway-${name}-`));
  const prefix = `${lab.registry}/${name}-${process.pid}`;
  const folder = materialise('shop', join(work, 'shop'));
  edit(folder, 'slipway.yaml', (text) => text.replaceAll('localhost:5000/shop', prefix).replaceAll('shop-dev', name));
  edit(folder, 'charts/shop/values.yaml', (text) => text.replaceAll('localhost:5000/shop', prefix));
  commit(folder, 'Names of the test');
  const kubectl = (...args: readonly string[]): string =>
    spawnSync('kubectl', ['-n', name, ...args], { encoding: 'utf8', env }).stdout.trim();
  const runs = () => readdirSync(join(folder, '.slipway/runs')).sort();
  return {
    env,
    folder,
    cli,
    prefix,
    registryHost: lab.registry,
    slipway: (...args) => {
      const result = spawnSync(process.execPath, [cli, '-C', folder, ...args], {
        encoding: 'utf8',
        env,
        maxBuffer: 1e8,
      });
      return { code: result.status, out: result.stdout, err: result.stderr };
    },
    events: (run) =>
      readFileSync(join(folder, '.slipway/runs', run, 'events.jsonl'), 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line)),
    runs,
    newestRun: () => runs().at(-1) ?? '',
    liveImage: () =>
      kubectl('get', 'deployment', 'shop-api', '-o', 'jsonpath={.spec.template.spec.containers[0].image}'),
    servingPods: () =>
      (JSON.parse(kubectl('get', 'pods', '-l', 'app=shop-api', '-o', 'json')) as Pods).items
        .filter((pod) => pod.metadata.deletionTimestamp === undefined)
        .map((pod) => pod.spec.containers[0]?.image ?? ''),
    remove: () => {
      spawnSync('kubectl', ['delete', 'namespace', name, '--wait=false'], { env });
      rmSync(work, { recursive: true, force: true });
    },
  };
}
