/**
 * GitOps without a cluster: what Flux (and Argo CD Image Updater) would choose and write, the smallest edits that do the
 * same, why a marker, a policy or a whole file is ignored, and rollbacks that stay. Pure: texts in, data out.
 */
export {
  ignoreTagEdits,
  readSourceOverride,
  type SourceOverride,
  setOverride,
  shadowingParameters,
  sourceFileName,
  writtenFile,
} from './argocd.ts';
export {
  type ArgoCdRecipe,
  type ArgoCdWay,
  allowTagsKey,
  argocdRecipes,
  holdEdits,
  ignoreTagsKey,
  pinPattern,
} from './argocdRollback.ts';
export { type Constraint, type ConstraintError, parseConstraint, satisfies, whyNot } from './constraint.ts';
export {
  type AppliedPolicies,
  applyEdits,
  applyPolicies,
  applyPoliciesToBytes,
  type PolicyRefs,
  replaceValue,
  type TextEdit,
  type ValueChange,
} from './edit.ts';
export { hasMarkerToken, isScannedName, PieceCache, type SkippedFile } from './file.ts';
export {
  type ImagePlace,
  type ImageVersion,
  readImageAt,
  runsImage,
  versionText,
  writeImageAt,
} from './imagePlaces.ts';
export {
  annotationPrefix,
  chooseTag,
  type DatedTag,
  imagesOfApplication,
  referencesOf,
  splitImage,
  takesApplication,
  type UpdaterChoice,
  type UpdaterImage,
  type UpdaterOfApplication,
  updaterOf,
  type WriteBack,
  writeBackOfApplication,
} from './imageUpdater.ts';
export {
  type BotCommit,
  ignoreFolderFix,
  judgeLoop,
  type LoopFix,
  type LoopVerdict,
  readJobConditions,
  readPushTrigger,
  skipCiFix,
  type WorkflowFacts,
} from './loops.ts';
export type { DeadMarker, Marker, Span } from './marker.ts';
export type { LinkedMarker } from './markerDiagnostics.ts';
export { MarkerIndex } from './markerIndex.ts';
export { type FileMarkers, findMarkers, valueFor } from './markers.ts';
export {
  type ApplicationObject,
  type AutomationObject,
  cleanPath,
  coversFile,
  type GitOpsObject,
  type ImagePolicyObject,
  type ImageRepositoryObject,
  type ImageUpdaterObject,
  mayHoldObjects,
  readObjects,
  selectsLabels,
} from './objects.ts';
export {
  CompiledPolicy,
  compareRules,
  compilePolicy,
  defaultExclusionList,
  type PolicyRules,
  selectTag,
  type TagReason,
} from './policy.ts';
export { Lines } from './positions.ts';
export {
  type Answer,
  type CiHost,
  compileFilter,
  compileGitLabGlob,
  type GitLabPush,
  type GitLabRule,
  gitlabJobRuns,
  type Push,
  type PushTrigger,
  pushStartsWorkflow,
  skipMarker,
} from './pushFilters.ts';
export { formatReference, type ImageRef, splitReference, whyInvalidReference } from './reference.ts';
export { markerEdits, repairMarker } from './repair.ts';
export { type FileEdit, type Recipe, type RollbackRequest, rollbackRecipes, whoUndoes } from './rollback.ts';
export type { PolicyError, Selection } from './selection.ts';
export type { MarkerPart, Setter } from './setter.ts';
export { compareVersions, parseVersion, type Version } from './version.ts';
export {
  formatScalar,
  nodeAt,
  placeAt,
  readYamlObjects,
  removeKey,
  setValue,
  textAt,
  type YamlObject,
} from './yaml.ts';
