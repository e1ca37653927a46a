// What we are going to do: a pure function from project, facts and request to a DAG of steps with content keys.
export { hashOf, makePlan, type PlanFacts, type PlanRequest } from './makePlan.ts';
export { expandTags, sanitiseBranch, sanitiseTag } from './tags.ts';
