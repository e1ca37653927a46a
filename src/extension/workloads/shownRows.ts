// Which rows of an environment must be drawn anew. VS Code asks for every row below an element that is refreshed; with a
// thousand workloads that is too much for one pod that became ready.
import type { LiveWorkloadView } from '../../engine/main.ts';
import type { Item } from '../views/pipelineItems.ts';
import { podItem } from './workloadItems.ts';

/** What is on screen of one environment, as texts to compare. */
export interface ShownRows {
  readonly environment: string;
  /** Row id → everything that its row and the rows below it say, in the order of the list. */
  readonly workloads: ReadonlyMap<string, string>;
}

export function shownRows(
  environment: Item,
  workloads: readonly LiveWorkloadView[],
  of: {
    readonly idOf: (workload: LiveWorkloadView) => string;
    readonly rowOf: (workload: LiveWorkloadView) => Item;
    readonly now: number;
  },
): ShownRows {
  return {
    environment: JSON.stringify(environment),
    workloads: new Map(
      workloads.map((workload) => [
        of.idOf(workload),
        JSON.stringify([of.rowOf(workload), workload.pods.map((pod) => podItem(pod, of.now))]),
      ]),
    ),
  };
}

/** Ids of the rows that changed; `all` when the environment's own row did, or rows came, went or moved. */
export function changedRows(before: ShownRows | undefined, after: ShownRows): 'all' | readonly string[] {
  if (before === undefined || before.environment !== after.environment) return 'all';
  const ids = [...after.workloads.keys()];
  if (before.workloads.size !== ids.length) return 'all';
  const order = before.workloads.keys();
  if (ids.some((id) => order.next().value !== id)) return 'all';
  return ids.filter((id) => before.workloads.get(id) !== after.workloads.get(id));
}
