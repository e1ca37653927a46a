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

/** Steps of one kind with the same answer, beyond which they are one line. */
const FEW = 5;

/** The plan for people. Many alike are one line, unless all are asked for: twenty images are sixty steps. */
export function planLines(plan: Plan, project: Project, detail: 'grouped' | 'all' = 'grouped'): readonly string[] {
  const where = plan.environment === null ? 'no environment (up to publish)' : `environment ${plan.environment.name}`;
  const rows: { title: string; readonly decision: Plan['steps'][number]['decision'] }[] = [];
  for (const steps of detail === 'all' ? plan.steps.map((step) => [step]) : alike(plan.steps)) {
    const [first] = steps;
    if (first === undefined) continue;
    const last = steps.at(-1)?.title.replace(/^\S+ /, '');
    if (steps.length > FEW)
      rows.push({ title: `${first.title} … ${last} (${steps.length})`, decision: first.decision });
    else rows.push(...steps);
  }
  const width = Math.max(...rows.map(({ title }) => title.length), 0);
  const runs = plan.steps.filter(({ decision }) => decision.action === 'run').length;
  return [
    `${project.name}: ${where}, tags ${plan.tags.join(', ')}${plan.isDirty ? ', with uncommitted changes' : ''}`,
    ...rows.map(
      ({ title, decision }) =>
        `  ${decision.action === 'run' ? 'run ' : 'skip'}  ${title.padEnd(width)}  ${decision.why}`,
    ),
    ...(rows.length === plan.steps.length
      ? []
      : [`${runs} of ${plan.steps.length} steps would run; --verbose lists each.`]),
    ...project.diagnostics.map(
      (diagnostic) => `${diagnostic.severity}: ${diagnostic.message} (${placeText(diagnostic.place)})`,
    ),
  ];
}

/** Neighbours of the same kind with the same answer. */
function alike(steps: Plan['steps']): readonly (readonly Plan['steps'][number][])[] {
  const groups: Plan['steps'][number][][] = [];
  for (const step of steps) {
    const group = groups.at(-1);
    const [first] = group ?? [];
    const isSame =
      first?.kind === step.kind &&
      first.decision.action === step.decision.action &&
      first.decision.why === step.decision.why;
    if (isSame && group !== undefined) group.push(step);
    else groups.push([step]);
  }
  return groups;
}
