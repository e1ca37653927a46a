// slipway.yaml as editors need it. Apart from the engine's facade, so that its parts load when a file is first looked at.
import { loadKubeconfig } from './cluster/kubeconfig.ts';
import { type Candidates, candidatesOf, findEverything } from './project/index.ts';
import type { System } from './system/index.ts';

export {
  type Candidates,
  type CompletionItem,
  checkConfig,
  complete,
  definitionAt,
  describeSpot,
  type OutlineItem,
  outlineOf,
  type Spot,
  spotAt,
} from './project/index.ts';

/** What the workspace offers for values. Files only; the kubeconfig is left out where it is not to be read. */
export async function gatherCandidates(
  system: System,
  root: string,
  kubeconfig: 'read' | 'leave',
): Promise<Candidates> {
  const [findings, contexts] = await Promise.all([
    findEverything(system, root),
    kubeconfig === 'read' ? contextsOf(system) : [],
  ]);
  return candidatesOf(findings, contexts);
}

async function contextsOf(system: System) {
  try {
    const config = await loadKubeconfig(system, {});
    return config.contexts.map(({ name, cluster }) => ({
      text: name,
      detail: `${name === config.getCurrentContext() ? 'current context, ' : ''}cluster ${cluster}`,
    }));
  } catch {
    // No kubeconfig, or one without a current context: there is nothing to offer, and nobody asked for a cluster.
    return [];
  }
}
