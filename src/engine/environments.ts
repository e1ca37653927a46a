import { join } from 'node:path';
import type {
  Answer,
  ClusterAccess,
  Deployer,
  DeployRequest,
  Diagnosis,
  ObjectDiff,
  RevisionView,
  RollbackChoice,
} from './deploy/index.ts';
import type { Secrets } from './events/secrets.ts';
import type { DeployedImage, Plan } from './plan/step.ts';
import { SlipwayError } from './problems/index.ts';
import type { EnvironmentConfig, Project, RollbackWay } from './project/model.ts';
import { refuseErrors } from './refuseErrors.ts';
import type { LiveState } from './rollout/index.ts';
import type { System } from './system/index.ts';

/** What is asked of an environment outside of a run. Nothing here writes but {@link unlockEnvironment}. */
interface Asking {
  readonly system: System;
  readonly secrets: Secrets;
  readonly signal: AbortSignal;
}

export interface CheckResult {
  /** Proven ones first. */
  readonly answers: readonly Answer[];
  readonly unchecked: readonly string[];
}

/** Throws SlipwayError `usage` naming those there are, or `config` where slipway.yaml has mistakes. */
export function environmentOf(project: Project, name: string): EnvironmentConfig {
  const found = project.environments.find((environment) => environment.name === name);
  if (found !== undefined) return found;
  // It may be there and not be read: a mistake in it is what the person has to know.
  refuseErrors(project);
  const known = project.environments.map((environment) => environment.name).join(', ');
  throw new SlipwayError({
    reason: 'usage',
    code: 'environment.unknown',
    message: `There is no environment ${name}${known === '' ? ', nor any other' : `; there is ${known}`}.`,
    fix: known === '' ? 'Define it under "environments" in slipway.yaml.' : 'Name one of them.',
  });
}

/** Looks at what would make the planned deploy fail. Images that the plan has yet to build are not asked for. */
export async function checkEnvironment(plan: Plan, asking: Asking): Promise<CheckResult> {
  const { deploy, access } = await opened(plan, asking);
  const request = requestOf(deploySpec(plan));
  const deployer = deploy.createDeployer({ ...asking, access, request });
  return checkWith(plan, { deploy, access, deployer, request }, asking);
}

/** The same with a deployer that is there already, so that nothing is rendered twice. */
export async function checkWith(
  plan: Plan,
  made: {
    readonly deploy: typeof import('./deploy/index.ts');
    readonly access: ClusterAccess;
    readonly deployer: Deployer;
    readonly request: DeployRequest;
  },
  asking: Asking,
): Promise<CheckResult> {
  const { deploy, access, deployer, request } = made;
  const spec = deploySpec(plan);
  const real = deploy.registryLookUp(asking.system, asking.secrets);
  const toBuild = new Set(
    spec.images.flatMap(({ image, publish }) => (publish === undefined ? [] : [image.repository])),
  );
  const { registryOf } = await import('./images/index.ts');
  const existing = spec.images.filter(({ publish }) => publish === undefined);
  const looking = {
    system: asking.system,
    folder: join(plan.root, '.slipway', 'keys'),
    object: deploy.namespaceRef(spec.environment.namespace),
    signal: asking.signal,
  };
  const [found, signatures, sboms] = await Promise.all([
    deploy.preflight({
      deployer,
      request,
      access,
      registry: {
        lookUp: async (reference, signal) =>
          [...toBuild].some((repository) => reference.startsWith(`${repository}:`))
            ? { state: 'unknown', why: 'it is built by the run' }
            : real.lookUp(reference, signal),
      },
      signal: asking.signal,
    }),
    deploy.checkSignatures(existing, { ...looking, registry: real }),
    deploy.checkSboms(existing, { ...looking, client: registryOf(asking) }),
  ]);
  return {
    answers: [...found.answers, ...signatures.answers, ...sboms.answers],
    unchecked: [...found.unchecked, ...signatures.unchecked, ...sboms.unchecked],
  };
}

/** What the planned deploy would change in the cluster, secrets masked. */
export async function diffEnvironment(plan: Plan, asking: Asking): Promise<readonly ObjectDiff[]> {
  const { deploy, access } = await opened(plan, asking);
  const spec = deploySpec(plan);
  const request = requestOf(spec);
  const registry = deploy.registryLookUp(asking.system, asking.secrets);
  // What a run publishes is deployed with its digest, so it is compared with it; an existing tag is deployed as it is.
  const images = await Promise.all(
    request.images.map(async (image, index) => {
      if (spec.images[index]?.publish === undefined) return image;
      const found = await registry.lookUp(`${image.repository}:${image.tag}`, asking.signal);
      return found.state === 'present' ? { ...image, digest: found.digest } : image;
    }),
  );
  return deploy.createDeployer({ ...asking, access, request: { ...request, images } }).diff(asking.signal);
}

/** The deployer's history, newest first. */
export async function revisionsOf(environment: EnvironmentConfig, asking: Asking): Promise<readonly RevisionView[]> {
  return (await deployerOf(environment, asking)).history(asking.signal);
}

/**
 * Under Flux: the version that a rollback would go to, and every way there with what each controller would do next.
 * Undefined for environments that do not deploy with Flux. Throws SlipwayError `refused` when there is none to go to.
 */
export async function waysOf(
  environment: EnvironmentConfig,
  to: string | undefined,
  asking: Asking,
): Promise<RollbackWays | undefined> {
  if (environment.deploy.kind !== 'flux') return undefined;
  const { deploy, access } = await openedFor(environment, asking);
  const request = { environment, images: [] };
  const deployer = new deploy.FluxDeployer({ ...asking, access, request, config: environment.deploy });
  const { signal } = asking;
  const way = await deployer.wayBack({ from: null, previous: null, signal, ...(to !== undefined && { wanted: to }) });
  if (way.kind === 'none') {
    throw new SlipwayError({
      reason: 'refused',
      code: 'rollback.none',
      message: way.why,
      fix: 'Name a version with --to; what git has held: slipway rollback --list.',
    });
  }
  return { to: way.revision, trust: way.trust, choices: await deployer.ways(way.revision, signal) };
}

export interface RollbackWays {
  readonly to: string;
  readonly trust: 'verified' | 'served';
  /** Best first. */
  readonly choices: readonly RollbackChoice[];
}

/** One sentence on what was unlocked; undefined when nothing was locked. */
export async function unlockEnvironment(environment: EnvironmentConfig, asking: Asking): Promise<string | undefined> {
  return (await deployerOf(environment, asking)).unlock(asking.signal);
}

/** Collects what there is to see now into `folder`. */
export async function diagnoseEnvironment(
  environment: EnvironmentConfig,
  folder: string,
  asking: Asking,
): Promise<Diagnosis> {
  const { deploy, access } = await openedFor(environment, asking);
  const deployer = deploy.createDeployer({ ...asking, access, request: { environment, images: [] } });
  return deploy.diagnose({
    ...asking,
    access,
    environment: environment.name,
    namespace: environment.namespace,
    ...(environment.deploy.kind === 'helm' && { release: environment.deploy.release }),
    targets: await deployer.liveTargets(asking.signal),
    folder,
  });
}

/**
 * Follows what runs of an environment until the signal aborts. Resolves when all has been seen once; throws SlipwayError
 * when the cluster cannot be asked.
 */
export async function watchEnvironment(
  environment: EnvironmentConfig,
  onChange: (state: LiveState) => void,
  asking: Asking,
): Promise<void> {
  const [deploy, { clusterOf, deployAccess }, { watchLive }] = await Promise.all([
    import('./deploy/index.ts'),
    import('./run/clusterAccess.ts'),
    import('./rollout/index.ts'),
  ]);
  const cluster = await clusterOf(environment, asking.system, asking.secrets);
  const request = { environment, images: [] };
  const deployer = deploy.createDeployer({ ...asking, access: deployAccess(cluster), request });
  const targets = await deployer.liveTargets(asking.signal);
  await watchLive(cluster, targets, { clock: asking.system.clock, signal: asking.signal, onChange });
}

/** Where a diagnosis outside of a run goes. */
export const diagnosisFolder = (root: string, environment: string): string =>
  join(root, '.slipway', 'diagnostics', environment.replace(/[^A-Za-z0-9._-]/g, '-'));

/** A run of one step: the rollback by command has a journal and takes the environment's lock as every other run. */
export function rollbackPlan(
  root: string,
  environment: EnvironmentConfig,
  to: string | undefined,
  how?: RollbackWay,
): Plan {
  const id = `rollback:${environment.name}`;
  return {
    root,
    environment,
    steps: [
      {
        id,
        kind: 'rollback',
        title: `Roll back ${environment.name}${to === undefined ? '' : ` to ${to}`}`,
        needs: [],
        spec: { kind: 'rollback', environment, ...(to !== undefined && { to }), ...(how !== undefined && { how }) },
        key: null,
        inputs: [],
        decision: { action: 'run', why: 'by command' },
      },
    ],
    isDirty: false,
    tags: [],
  };
}

async function deployerOf(environment: EnvironmentConfig, asking: Asking): Promise<Deployer> {
  const { deploy, access } = await openedFor(environment, asking);
  return deploy.createDeployer({ ...asking, access, request: { environment, images: [] } });
}

async function opened(plan: Plan, asking: Asking) {
  return openedFor(deploySpec(plan).environment, asking);
}

/** Loaded on first use: planning and reading journals load no cluster client. */
export async function openedFor(environment: EnvironmentConfig, { system, secrets }: Asking) {
  const [deploy, { clusterOf, deployAccess }] = await Promise.all([
    import('./deploy/index.ts'),
    import('./run/clusterAccess.ts'),
  ]);
  return { deploy, access: deployAccess(await clusterOf(environment, system, secrets)) };
}

interface DeploySpec {
  readonly environment: EnvironmentConfig;
  readonly images: readonly DeployedImage[];
}

/** Throws SlipwayError `usage` when the plan deploys nothing. */
export function deploySpec(plan: Plan): DeploySpec {
  for (const { spec } of plan.steps) if (spec.kind === 'deploy') return spec;
  throw new SlipwayError({
    reason: 'usage',
    code: 'plan.no-deploy',
    message: 'Nothing is deployed by this plan.',
    fix: 'Name an environment with --env.',
  });
}

function requestOf({ environment, images }: DeploySpec): DeployRequest {
  return {
    environment,
    images: images.map(({ image, tag }) => ({ name: image.name, repository: image.repository, tag })),
  };
}
