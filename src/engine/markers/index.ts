// Markers with what is known of their tags: states, edits, earlier values. The registry is asked only by TagStore.fetch.
export {
  type ApplicationObject,
  applyEdits,
  CompiledPolicy,
  coversFile,
  type DeadMarker,
  findMarkers,
  type GitOpsObject,
  hasMarkerToken,
  type ImagePolicyObject,
  type ImageRepositoryObject,
  isScannedName,
  type LinkedMarker,
  type Marker,
  MarkerIndex,
  markerEdits,
  mayHoldObjects,
  placeAt,
  type Recipe,
  repairMarker,
  rollbackRecipes,
  setValue,
  type TagReason,
  type TextEdit,
  textAt,
  type UpdaterImage,
  valueFor,
  whoUndoes,
} from '../gitops/index.ts';
export { isHelperTag, newestByName } from '../images/index.ts';
/** Loads the cluster's client only when it is called. */
export const loadPrevious = async () => (await import('./clusterPrevious.ts')).previousInCluster;
export { addressOf, editsForValues, findAddressed, type MarkerAddress, type WantedValue } from './edits.ts';
export { type EarlierValue, earlierValues } from './history.ts';
export {
  type MarkerState,
  markerState,
  type PolicyState,
  policyState,
  shortDigest,
  shortNext,
  shortValue,
  type TagsOf,
  tagOf,
} from './states.ts';
export { type TagDetail, type TagList, TagStore, tagsFolder } from './tagStore.ts';
export {
  type FileChange,
  type UpdaterTarget,
  updaterChoice,
  updaterEdit,
  updaterTargets,
  writeTarget,
} from './updater.ts';
export { policyName, ruleWords } from './words.ts';
