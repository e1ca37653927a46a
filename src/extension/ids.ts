// Every id the manifest also holds; a unit test compares the two.
import { actionCommandIds } from './actions/ids.ts';
import { ciCommandIds, ciViewId } from './ci/ids.ts';
import { deliveryCommandIds } from './delivery/ids.ts';
import { imagesViewId, markerCommandIds } from './markers/ids.ts';
import { workloadCommandIds } from './workloads/ids.ts';

export const commandIds = [
  'slipway.run',
  'slipway.cancel',
  'slipway.resume',
  'slipway.showRollout',
  'slipway.openLog',
  'slipway.openReport',
  ...markerCommandIds,
  ...actionCommandIds,
  ...workloadCommandIds,
  ...deliveryCommandIds,
  ...ciCommandIds,
  'slipway.openEndpoint',
  'slipway.openConfiguration',
  'slipway.init',
  'slipway.refresh',
  'slipway.showOutput',
  'slipway.reportIssue',
] as const;

export type CommandId = (typeof commandIds)[number];

export const viewIds = {
  container: 'slipway',
  pipelines: 'slipway.pipelines',
  runs: 'slipway.runs',
  workloads: 'slipway.workloads',
  images: imagesViewId,
  ci: ciViewId,
} as const;

export const rolloutViewType = 'slipway.rollout';

/** Keys of `when` clauses that the extension sets. */
export const contextKeys = { state: 'slipway.state', running: 'slipway.running' } as const;

/** What the Pipelines view has to show; `viewsWelcome` teaches for the rest. */
export type ViewState = 'loading' | 'no-folder' | 'no-project' | 'ready';
