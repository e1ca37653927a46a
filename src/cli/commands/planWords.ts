import type { Plan, Project } from '../../engine/main.ts';
import { placeText } from '../words.ts';

/** A plan as JSON, with the mistakes of the configuration that do not stop it. */
export function planJson(plan: Plan, project: Project) {
  return {
    environment: plan.environment?.name ?? null,
    tags: plan.tags,
    commit: plan.commit ?? null,
    branch: plan.branch ?? null,
    isDirty: plan.isDirty,
    steps: plan.steps.map(({ id, kind, title, needs, key, inputs, decision }) => ({
      id,
      kind,
      title,
      needs,
      key,
      inputs,
      ...decision,
    })),
    diagnostics: project.diagnostics,
  };
}

export function planLines(plan: Plan, project: Project): readonly string[] {
  const where = plan.environment === null ? 'no environment (up to publish)' : `environment ${plan.environment.name}`;
  const width = Math.max(...plan.steps.map((step) => step.title.length), 0);
  return [
    `${project.name}: ${where}, tags ${plan.tags.join(', ')}${plan.isDirty ? ', with uncommitted changes' : ''}`,
    ...plan.steps.map(
      ({ title, decision }) =>
        `  ${decision.action === 'run' ? 'run ' : 'skip'}  ${title.padEnd(width)}  ${decision.why}`,
    ),
    ...project.diagnostics.map(
      (diagnostic) => `${diagnostic.severity}: ${diagnostic.message} (${placeText(diagnostic.place)})`,
    ),
  ];
}
