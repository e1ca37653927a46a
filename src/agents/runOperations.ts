import * as v from 'valibot';
import type { RunId, RunView } from '../engine/main.ts';
import { SlipwayError } from '../engine/problems/index.ts';
import { type AgentContext, type Confirmation, operation } from './operation.ts';
import { viewOf } from './readOperations.ts';
import {
  environmentName,
  type PlanInput,
  planInput,
  runId,
  runOf,
  runOutput,
  toRequest,
  waitSeconds,
} from './shapes.ts';

export const run = operation({
  name: 'run',
  title: 'Run the pipeline',
  description:
    'Runs the pipeline: test, build, scan, publish and, with an environment, deploy, watch the rollout and smoke-test it; a failed rollout is rolled back. What is unchanged is skipped. A long run goes on after the answer.',
  effect: 'change',
  input: v.object({ ...planInput, waitSeconds }),
  output: runOutput,
  confirmation: async (input, context) => {
    const { plan } = await context.engine.plan(toRequest(input));
    const steps = plan.steps.filter(({ decision }) => decision.action === 'run').map(({ title }) => title);
    const confirmation = await asked(titleOf(input), input.environment, context);
    return {
      ...confirmation,
      details: [
        ...confirmation.details,
        `Tags: ${plan.tags.join(', ')}${plan.isDirty ? ', with uncommitted changes' : ''}`,
        `Steps: ${steps.join(', ') || 'none, all is unchanged'}`,
      ],
    };
  },
  run: async (input, context) => {
    const request = toRequest(input);
    return answer(
      await context.runs.start((host, options) => host.run(request, options), waitingOf(input, context)),
      context,
    );
  },
});

/** No more and no less than what was asked for. */
export function titleOf({ environment, until, only, tag }: PlanInput): string {
  const where = environment === undefined ? '' : ` for ${environment}`;
  if (only !== undefined) return `Run ${only.join(', ')}${where} and nothing else`;
  if (environment !== undefined && (until === undefined || until === 'deploy' || until === 'smoke'))
    return tag === undefined ? `Run the pipeline and deploy to ${environment}` : `Deploy ${tag} to ${environment}`;
  return `Run the pipeline up to ${until ?? 'publish'}${where}`;
}

export const resume = operation({
  name: 'resume',
  title: 'Resume a run',
  description: 'Goes on with a run that was killed, cancelled or failed; its finished steps are kept.',
  effect: 'change',
  input: v.object({ run: v.optional(runId), waitSeconds }),
  output: runOutput,
  confirmation: async (input, context) => {
    const view = await viewOf(input.run, context);
    if (view.state === 'succeeded') {
      throw new SlipwayError({
        reason: 'usage',
        code: 'resume.succeeded',
        message: `Run ${view.id} has succeeded; there is nothing to go on with.`,
        fix: 'run starts a new one.',
      });
    }
    return asked(`Resume run ${view.id}`, view.environment ?? undefined, context);
  },
  run: async (input, context) =>
    answer(
      await context.runs.start((host, options) => host.resume(input.run, options), waitingOf(input, context)),
      context,
    ),
});

export const rollback = operation({
  name: 'rollback',
  title: 'Roll back an environment',
  description: 'Goes back to the last verified version of an environment, or to a revision of the tool revisions.',
  effect: 'change',
  input: v.object({
    environment: environmentName,
    to: v.optional(v.pipe(v.string(), v.description('Revision to go back to. Default: the last other verified one.'))),
    waitSeconds,
  }),
  output: runOutput,
  confirmation: async ({ environment, to }, context) =>
    asked(`Roll back ${environment} to ${to ?? 'the last verified version'}`, environment, context),
  run: async ({ environment, to, ...input }, context) =>
    answer(
      await context.runs.start((host, options) => host.rollBack(environment, to, options), waitingOf(input, context)),
      context,
    ),
});

export const cancel = operation({
  name: 'cancel',
  title: 'Cancel a run',
  description: 'Cancels a run that these tools started, in order: builds are told, the journal is closed.',
  effect: 'read',
  input: v.object({ run: v.pipe(v.string(), v.minLength(1), v.description('Run id.')) }),
  output: runOutput,
  run: async ({ run: id }, context) => {
    const view = await viewOf(id, context);
    if ((await context.runs.cancel(id)) === 'not-ours') {
      throw new SlipwayError({
        reason: 'refused',
        code: 'cancel.not-ours',
        message:
          view.state === 'running' && (await context.isLive(view))
            ? `Run ${id} was not started by these tools.`
            : `Run ${id} does not run.`,
        fix: 'A run is cancelled where it was started.',
      });
    }
    return answer({ startedRun: id }, context);
  },
});

export const unlock = operation({
  name: 'unlock',
  title: 'Unlock a Helm release',
  description: 'Takes away the lock that a killed helm left on a release. Changes nothing that runs.',
  effect: 'change',
  input: v.object({ environment: environmentName }),
  output: v.object({ unlocked: v.nullable(v.string()) }),
  confirmation: async ({ environment }, context) =>
    asked(`Take away the lock of a killed helm from ${environment}`, environment, context),
  run: async ({ environment }, { engine, signal }) => ({
    unlocked: (await engine.unlock(environment, signal)) ?? null,
  }),
});

function waitingOf(input: { readonly waitSeconds: number }, { signal, report }: AgentContext) {
  return { waitMs: input.waitSeconds * 1000, signal, report };
}

async function answer(
  result: RunView | { readonly startedRun: RunId },
  context: AgentContext,
): Promise<v.InferInput<typeof runOutput>> {
  const view = 'startedRun' in result ? await viewOf(result.startedRun, context) : result;
  return runOf(view, view.state === 'running' && (await context.isLive(view)), context.engine.root);
}

/** Asks with where it happens; a protected environment is named to the host. */
export async function asked(title: string, name: string | undefined, { engine }: AgentContext): Promise<Confirmation> {
  const environment = (await engine.project()).environments.find((known) => known.name === name);
  if (environment === undefined) return { title, details: [] };
  return {
    title,
    details: [
      `Namespace: ${environment.namespace}`,
      `Context: ${environment.context ?? 'the current one of the kubeconfig'}`,
      `By: ${environment.deploy.kind}`,
    ],
    ...(environment.isProtected && { protectedEnvironment: environment.name }),
  };
}
