// Brings a version into a cluster: one Deployer contract over Helm, plain manifests and Kustomize, with what would go wrong found before the first write and the way back known.

export type { KubeObject } from '../cluster/index.ts';
export type { ClusterAccess, FieldConflict, ListQuery, PatchOperation, WriteOptions } from './access.ts';
export { ApplyConflict, conflictsFrom, FIELD_MANAGER } from './access.ts';
export type { Answer } from './answers.ts';
export { ArgoCdHistory } from './argocdHistory.ts';
export { liveUpdater, updaterImage } from './argocdPlaces.ts';
export { checkSboms } from './checkSboms.ts';
export { checkSignatures } from './checkSignatures.ts';
export { type CheckStepOptions, checkStep, namespaceRef } from './checkStep.ts';
export { createDeployer, type DeployerOptions } from './createDeployer.ts';
export type {
  Applied,
  ApplyOptions,
  Deployer,
  DeployRequest,
  Rendered,
  RevisionView,
  WayBack,
  WayBackOptions,
} from './deployer.ts';
export { type DeployStepOptions, deployStep } from './deployStep.ts';
export { type DiagnoseOptions, type Diagnosis, diagnose } from './diagnose.ts';
export { type ContainerState, type EventLine, eventLines, type PodState, podStates } from './diagnoseFacts.ts';
export type { FieldChange, ObjectDiff } from './diff.ts';
export { FluxDeployer } from './flux.ts';
export type { RollbackChoice } from './fluxWays.ts';
export type { Detector } from './helm.ts';
export { type ImageToDeploy, splitReference } from './images.ts';
export { liveDifferences } from './liveDifferences.ts';
export type { PlacedObject } from './objects.ts';
export { type Owner, ownersOf } from './ownership.ts';
export { type Preflight, preflight } from './preflight.ts';
export { registryLookUp } from './registryLookUp.ts';
export { type RollbackOptions, rollBack } from './rollback.ts';
export { type RollbackStepOptions, rollbackStep } from './rollbackStep.ts';
export { type RunRollbackOptions, runDiagnosis, runRollback, runVerified } from './runRollback.ts';
export type { OpenCluster, OpenRegistry } from './stepRequest.ts';
export { recognise as troublesOf, type Trouble } from './troubles.ts';
