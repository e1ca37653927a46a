import type { EventBody, RunEvent, RunId } from '../events/index.ts';
import type { Plan } from '../plan/step.ts';
import type { System } from '../system/index.ts';
import type { RunView } from './projection.ts';

/** The first event of a run, or of another try of it: what is going to be done, by whom, for which commit. */
export function opening(
  {
    plan,
    system,
    startedBy,
    resume,
  }: {
    readonly plan: Plan;
    readonly system: System;
    readonly startedBy: Extract<EventBody, { readonly type: 'run.started' }>['startedBy'];
    readonly resume?: { readonly run: RunId; readonly events: readonly RunEvent[] };
  },
  before: RunView | undefined,
): EventBody {
  if (resume !== undefined) {
    const after = before?.steps.findLast((step) => step.state !== 'waiting')?.id ?? 'the start';
    return { type: 'run.resumed', pid: system.pid, host: system.host, after };
  }
  return {
    type: 'run.started',
    environment: plan.environment?.name ?? null,
    root: plan.root,
    startedBy,
    pid: system.pid,
    host: system.host,
    steps: plan.steps.map(({ id, kind, title, needs, spec }) => ({
      id,
      kind,
      title,
      needs,
      ...('image' in spec && spec.image !== undefined && { image: spec.image.name }),
      ...('platform' in spec && { platform: spec.platform }),
      ...('environment' in spec && { environment: spec.environment.name }),
    })),
    ...(plan.commit !== undefined && { commit: plan.commit }),
    ...(plan.branch !== undefined && { branch: plan.branch }),
    isDirty: plan.isDirty,
    ...(plan.tags[0] !== undefined && { tag: plan.tags[0] }),
  };
}
