/**
 * GitOps without a cluster: what Flux (and Argo CD Image Updater) would choose and write, the smallest edits that do the
 * same, and why a marker, a policy or a whole file is ignored. Pure: texts in, data out.
 */
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
export { hasMarkerToken, isScannedName, type SkippedFile } from './file.ts';
export { type DeadMarker, type FileMarkers, findMarkers, type Marker, type Span, valueFor } from './markers.ts';
export {
  CompiledPolicy,
  compareRules,
  compilePolicy,
  defaultExclusionList,
  type PolicyError,
  type PolicyRules,
  type Selection,
  selectTag,
  type TagReason,
} from './policy.ts';
export { Lines } from './positions.ts';
export { formatReference, type ImageRef, splitReference, whyInvalidReference } from './reference.ts';
export type { MarkerPart, Setter } from './setter.ts';
export { compareVersions, parseVersion, type Version } from './version.ts';
