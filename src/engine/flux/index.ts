// Flux in a cluster: where a version is on its way from a tag to running pods and why it stops there, "look again now"
// with an answer, and suspending with a reminder. Pure functions over objects, and a thin reader beside them.
export { type Cause, causeOf } from './causes.ts';
export {
  automationsFor,
  type Chain,
  type ChainOptions,
  type Delivery,
  deliveryOf,
  type FluxSnapshot,
  fluxChains,
  runs,
  stepWords,
  workloadsOf,
} from './chain.ts';
export { chainAround, chooseObject, title } from './choose.ts';
export {
  commitOf,
  type FluxKind,
  inventoryOf,
  keyOf,
  keyOfObject,
  namespaceOf,
  type Reference,
  referenceAt,
  revisionText,
  sourceOf,
} from './kinds.ts';
export type { ChainLink, ChainStep } from './link.ts';
export {
  artifactRevision,
  chosenLink,
  healthLimitMs,
  type ImageChoice,
  isSameRevision,
  latestOf,
  rulesOf,
} from './links.ts';
export { type FluxAccess, type FluxReader, readFlux, servedVersion } from './read.ts';
export { type Reconciled, type ReconcileOptions, reconcile, reconcileAll, reconcileOrder } from './reconcile.ts';
export { type Reminder, reminderOf } from './reminder.ts';
export { ago, conditionOf, isSuspended, type Standing, standingOf } from './standing.ts';
export { resume, suspend } from './suspend.ts';
export { referencesOf, tagOf } from './workloads.ts';
