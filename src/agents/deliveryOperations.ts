// Flux and Argo CD for agents: where a delivery stands, look again now, switch off with a note, switch on, sync.
import { randomUUID } from 'node:crypto';
import * as v from 'valibot';
import { SlipwayError } from '../engine/problems/index.ts';
import type { EnvironmentConfig } from '../engine/project/model.ts';
import { type AgentContext, operation } from './operation.ts';
import { asked } from './runOperations.ts';
import { cut, environmentName } from './shapes.ts';

const MOST = 40;

const fluxObject = v.pipe(
  v.string(),
  v.minLength(1),
  v.description('Object of Flux as kind/name or kind/namespace/name, for example kustomization/apps.'),
);
const application = v.optional(
  v.pipe(v.string(), v.description('Application as [namespace/]name. Default: the one of the environment.')),
);

export const reconcile = operation({
  name: 'reconcile',
  title: 'Reconcile a delivery',
  description:
    'Lets Flux or Argo CD look again now instead of at its next interval, in the order of the delivery, and waits for each answer. Applies what git and registry already say.',
  effect: 'change',
  input: v.object({
    environment: environmentName,
    objects: v.optional(v.pipe(v.array(fluxObject), v.description('Flux: only these. Default: the whole delivery.'))),
  }),
  output: v.object({
    controller: v.picklist(['flux', 'argocd']),
    objects: v.array(
      v.object({ object: v.string(), outcome: v.string(), message: v.string(), fix: v.optional(v.string()) }),
    ),
  }),
  confirmation: async ({ environment, objects }, context) => {
    await delivered(environment, context);
    return asked(`Reconcile ${objects?.join(', ') ?? environment}`, environment, context);
  },
  run: async ({ environment, objects }, context) => {
    const { engine, signal, report } = context;
    if ((await delivered(environment, context)) === 'argocd') {
      const { refreshApplication } = await applications();
      const view = await refreshApplication(await requestFor(environment, undefined, context), 'normal');
      const object = `Application ${view.namespace}/${view.name}`;
      return { controller: 'argocd' as const, objects: [{ object, outcome: view.state, message: cut(view.summary) }] };
    }
    const flux = await engine.flux();
    const results = await flux.reconcile(
      { environment, ...(objects !== undefined && { names: objects }) },
      { signal, onProgress: ({ kind, name }, message) => report(`${kind} ${name}: ${message}`) },
    );
    return {
      controller: 'flux' as const,
      objects: results.slice(0, MOST).map(({ object, outcome, message, cause }) => ({
        object: nameOf(object),
        outcome,
        message: cut(cause?.message ?? message),
        fix: cause?.fix,
      })),
    };
  },
});

export const suspend = operation({
  name: 'suspend',
  title: 'Suspend a delivery',
  description:
    'Switches one object of Flux off, so that it changes nothing until it is resumed, with a note on it of who did it and why.',
  effect: 'change',
  input: v.object({
    environment: environmentName,
    object: fluxObject,
    why: v.pipe(v.string(), v.minLength(1), v.description('Why, for the people who find it suspended.')),
  }),
  output: v.object({ object: v.string(), outcome: v.picklist(['suspended', 'already']) }),
  confirmation: async ({ environment, object, why }, context) => {
    await delivered(environment, context, 'flux');
    const confirmation = await asked(`Suspend ${object}`, environment, context);
    return { ...confirmation, details: [...confirmation.details, `Why: ${why}`] };
  },
  run: async ({ environment, object: name, why }, context) => {
    await delivered(environment, context, 'flux');
    const flux = await context.engine.flux();
    const { object, outcome } = await flux.suspend({ environment, name, why }, context.signal);
    return { object: nameOf(object), outcome };
  },
});

export const resumeDelivery = operation({
  name: 'resume_delivery',
  title: 'Resume a delivery',
  description:
    'Switches a suspended object of Flux on again and gives the note that lay on it; or the automatic sync of Argo CD that a rollback had paused.',
  effect: 'change',
  input: v.object({ environment: environmentName, object: v.optional(fluxObject) }),
  output: v.object({
    object: v.string(),
    outcome: v.picklist(['resumed', 'was-not-paused']),
    note: v.optional(v.object({ why: v.string(), by: v.string(), at: v.string() })),
  }),
  confirmation: async ({ environment, object }, context) => {
    const controller = await delivered(environment, context);
    if (controller === 'flux') named(object);
    return asked(`Resume ${object ?? `automatic sync of ${environment}`}`, environment, context);
  },
  run: async ({ environment, object: given }, context) => {
    if ((await delivered(environment, context)) === 'argocd') {
      const { resumeApplication } = await applications();
      const isResumed = await resumeApplication(await requestFor(environment, undefined, context));
      const outcome: 'resumed' | 'was-not-paused' = isResumed ? 'resumed' : 'was-not-paused';
      return { object: `Automatic sync of ${environment}`, outcome };
    }
    const flux = await context.engine.flux();
    const { object, reminder } = await flux.resume({ environment, name: named(given) }, context.signal);
    const note = reminder === undefined ? undefined : { why: cut(reminder.why), by: reminder.by, at: reminder.at };
    return { object: nameOf(object), outcome: 'resumed' as const, note };
  },
});

const applicationView = v.object({
  application: v.string(),
  state: v.string(),
  summary: v.string(),
  sync: v.string(),
  health: v.string(),
  waitsFor: v.optional(v.string()),
  automation: v.string(),
  paused: v.optional(v.string()),
  revisions: v.array(v.string()),
  images: v.array(v.string()),
  problems: v.array(v.object({ message: v.string(), fix: v.optional(v.string()) })),
});

interface SeenApplication {
  readonly name: string;
  readonly namespace: string;
  readonly state: string;
  readonly summary: string;
  readonly sync: string;
  readonly health: string;
  readonly waitsFor?: string;
  readonly automation: string;
  readonly reminder?: string;
  readonly revisions: readonly string[];
  readonly images: readonly string[];
  readonly problems: readonly { readonly message: string; readonly fix?: string }[];
}

const shown = (view: SeenApplication): v.InferInput<typeof applicationView> => ({
  application: `${view.namespace}/${view.name}`,
  state: view.state,
  summary: cut(view.summary),
  sync: view.sync,
  health: view.health,
  waitsFor: view.waitsFor,
  automation: view.automation,
  paused: view.reminder,
  revisions: view.revisions.map((revision) => revision.slice(0, 12)),
  images: view.images.slice(0, MOST),
  problems: view.problems.slice(0, 10).map(({ message, fix }) => ({ message: cut(message), fix })),
});

export const argocdStatus = operation({
  name: 'argocd_status',
  title: 'Show Argo CD applications',
  description:
    'Sync, health, running operation and problems of an Application of Argo CD, what it waits for, and what mends it. Without an environment or application: all of the current cluster. Changes nothing.',
  effect: 'read',
  input: v.object({ environment: v.optional(environmentName), application }),
  output: v.object({ applications: v.array(applicationView), more: v.number() }),
  run: async ({ environment, application: name }, context) => {
    const { applicationStatus, applicationStatuses } = await applications();
    const request = await requestFor(environment, name, context);
    const views =
      environment === undefined && name === undefined
        ? await applicationStatuses(request)
        : [await applicationStatus(request)];
    return { applications: views.slice(0, MOST).map(shown), more: Math.max(0, views.length - MOST) };
  },
});

export const argocdHistory = operation({
  name: 'argocd_history',
  title: 'Show the history of an Argo CD application',
  description: 'What an Application of Argo CD deployed before: revision, time, by whom, and the images of each.',
  effect: 'read',
  input: v.object({ environment: environmentName, application }),
  output: v.object({
    entries: v.array(
      v.object({
        id: v.number(),
        revisions: v.array(v.string()),
        at: v.optional(v.string()),
        by: v.string(),
        isLive: v.boolean(),
        images: v.array(v.string()),
      }),
    ),
  }),
  run: async ({ environment, application: name }, context) => {
    const { applicationHistory } = await applications();
    const entries = await applicationHistory(await requestFor(environment, name, context));
    return {
      entries: entries.slice(0, MOST).map(({ id, revisions, at, by, isLive, images }) => ({
        id,
        revisions: revisions.map((revision) => revision.slice(0, 12)),
        at,
        by,
        isLive,
        images: [...images],
      })),
    };
  },
});

export const argocdSync = operation({
  name: 'argocd_sync',
  title: 'Sync an Argo CD application',
  description:
    'Lets Argo CD apply what git holds now, or one revision of it, and waits for the end of the operation. Deletes nothing unless prune is said.',
  effect: 'change',
  input: v.object({
    environment: environmentName,
    application,
    revision: v.optional(
      v.pipe(v.string(), v.description('Commit, tag or branch. Default: the target revision of the application.')),
    ),
    prune: v.optional(v.pipe(v.boolean(), v.description('Delete objects that git does not have any more.'))),
  }),
  output: applicationView,
  confirmation: async ({ environment, application: name, revision, prune }, context) => {
    const known = (await context.engine.project()).environments.find((one) => one.name === environment);
    if (known !== undefined && known.deploy.kind !== 'argocd' && name === undefined) {
      throw new SlipwayError({
        reason: 'usage',
        code: 'argocd.environment',
        message: `The environment ${environment} does not deploy with Argo CD, but by ${known.deploy.kind}.`,
        fix: 'Name the application, or an environment with Argo CD; project lists them.',
      });
    }
    const confirmation = await asked(`Sync ${name ?? environment} with Argo CD`, environment, context);
    return {
      ...confirmation,
      details: [
        ...confirmation.details,
        `Revision: ${revision ?? 'the target revision of the application'}`,
        ...(prune === true ? ['Objects that git does not have any more are deleted.'] : []),
      ],
    };
  },
  run: async ({ environment, application: name, revision, prune }, context) => {
    const { syncApplication } = await applications();
    const view = await syncApplication(await requestFor(environment, name, context), {
      user: 'slipway',
      run: randomUUID(),
      reason: 'asked by an agent',
      prune: prune === true ? 'yes' : 'no',
      ...(revision !== undefined && { revision }),
    });
    return shown(view);
  },
});

/** Loaded on first use, as everything that can reach a cluster. */
const applications = () => import('../engine/applications.ts');

async function requestFor(
  environment: string | undefined,
  name: string | undefined,
  { system, engine, signal, report }: AgentContext,
) {
  return {
    system,
    project: await engine.project(),
    signal,
    onWait: report,
    ...(environment !== undefined && { environment }),
    ...(name !== undefined && { application: name }),
  };
}

/** Who delivers an environment. Throws SlipwayError `usage` when nobody does, or somebody else. */
async function delivered(
  name: string,
  { engine }: AgentContext,
  only?: 'flux',
): Promise<Extract<EnvironmentConfig['deploy']['kind'], 'flux' | 'argocd'>> {
  const { environments } = await engine.project();
  const kind = environments.find((environment) => environment.name === name)?.deploy.kind;
  if ((kind === 'flux' || kind === 'argocd') && (only === undefined || kind === only)) return kind;
  const fit = environments.filter(
    ({ deploy }) => deploy.kind === 'flux' || (only === undefined && deploy.kind === 'argocd'),
  );
  throw new SlipwayError({
    reason: 'usage',
    code: 'delivery.none',
    message:
      kind === undefined
        ? `There is no environment ${name}.`
        : `${name} is deployed by ${kind}; this is for ${only === undefined ? 'Flux and Argo CD' : 'Flux'}.`,
    fix:
      fit.length === 0
        ? 'No environment of this project is.'
        : `Use one of ${fit.map((each) => each.name).join(', ')}.`,
  });
}

function named(object: string | undefined): string {
  if (object !== undefined) return object;
  throw new SlipwayError({
    reason: 'usage',
    code: 'delivery.unnamed',
    message: 'It is not said which object of Flux is meant.',
    fix: 'Name it as "object"; flux_status lists what is suspended.',
  });
}

const nameOf = ({
  kind,
  namespace,
  name,
}: {
  readonly kind: string;
  readonly namespace?: string;
  readonly name: string;
}) => `${kind} ${namespace === undefined ? '' : `${namespace}/`}${name}`;
