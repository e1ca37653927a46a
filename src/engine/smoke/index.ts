// Does the running app answer as it should: HTTP, TCP, exec and command checks with a deadline, asked of the new version only.
export type { ClusterObject, PodRef, SmokeAccess } from './access.ts';
export { runCheck } from './check.ts';
export { type Endpoint, findEndpoints } from './endpoints.ts';
export { type SmokeStepOptions, smokeStep } from './smokeStep.ts';
