// What is here: slipway.yaml or what discovery finds, and what git knows, each with its place. Reads the workspace only.
export { CONFIG_FILES, readConfig } from './config.ts';
export { type ContextFacts, hashContext, readContexts } from './contexts.ts';
export { imagesOfValues } from './discovery/chart.ts';
export type { Findings, PipelineFinding } from './discovery/findings.ts';
export { findEverything } from './discovery.ts';
export { type GitFacts, readGitFacts, type TrackedFile } from './gitFacts.ts';
export { type InitProposal, lineDiff, proposeConfig, writeProposal } from './init.ts';
export { type CiKind, proposeCi } from './initCi.ts';
export { type DeliveryKind, type DeliveryProposal, proposeDelivery, writeDelivery } from './initDelivery.ts';
export { type MigrationReport, migrateWorkflow } from './initMigrate.ts';
export { type Candidate, type Candidates, candidatesOf } from './language/candidates.ts';
export { type CompletionItem, complete } from './language/complete.ts';
export { definitionAt } from './language/definition.ts';
export { describeSpot, type OutlineItem, outlineOf, type Spot, spotAt } from './language/outline.ts';
export { checkConfig, loadProject } from './load.ts';
export { readTarget } from './smokeTargets.ts';
export { suggest } from './suggest.ts';
