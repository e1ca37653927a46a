// What we are going to do: a pure function from project, facts and request to a DAG of steps with content keys.
export { hashOf } from './hash.ts';
export { makePlan } from './makePlan.ts';
export type { PlanFacts, PlanRequest } from './request.ts';
export { expandTags, sanitiseBranch, sanitiseTag } from './tags.ts';
