import type { Answer, DeployRequest, ObjectDiff } from './deploy/index.ts';
import { checkWith, deploySpec, openedFor } from './environments.ts';
import type { Secrets } from './events/secrets.ts';
import type { DeployedImage, Plan, PublishOutputs } from './plan/step.ts';
import type { System } from './system/index.ts';

/** An image as the run would deploy it. */
export interface DryRunImage {
  readonly name: string;
  /** `repository:tag`, with the digest where it is known before the run. */
  readonly reference: string;
  /** `built`: the run makes it, so its digest is not known yet. `missing`: the registry has no such tag. */
  readonly state: 'present' | 'built' | 'missing' | 'unknown';
  /** What the tag points to in the registry now, where the reference does not hold it. */
  readonly digest?: string;
}

/** What a run would bring into the cluster. */
export interface DryRun {
  readonly environment: string;
  readonly deployer: string;
  readonly context: string;
  readonly namespace: string;
  readonly images: readonly DryRunImage[];
  /** Every object of the set, unchanged ones too; values of Secrets are not shown. */
  readonly diffs: readonly ObjectDiff[];
  /** Helm hooks that the deploy would run: `Job migrate (pre-upgrade)`. */
  readonly hooks: readonly string[];
  readonly warnings: readonly string[];
  /** What would fail, proven ones first; refusals of the API server's dry run are among them. */
  readonly answers: readonly Answer[];
  readonly unchecked: readonly string[];
}

/**
 * Renders what the run would deploy (Helm: `--dry-run=server`), has the API server dry-run each object, and compares
 * with what is live. Writes nothing to cluster, registry, journal or lock. Throws SlipwayError `usage` when the plan
 * deploys nothing, and what rendering and ownership throw.
 */
export async function dryRunOf(
  plan: Plan,
  asking: { readonly system: System; readonly secrets: Secrets; readonly signal: AbortSignal },
): Promise<DryRun> {
  const { system, secrets, signal } = asking;
  const spec = deploySpec(plan);
  const { environment } = spec;
  const { deploy, access } = await openedFor(environment, asking);
  const registry = deploy.registryLookUp(system, secrets);
  const images = await Promise.all(
    spec.images.map(async (deployed): Promise<Looked> => {
      const { image, tag } = deployed;
      const known = publishedDigest(plan, deployed);
      const own = { name: image.name, repository: image.repository, tag };
      if (known === 'later') return { own, state: 'built' };
      if (known !== undefined) return { own: { ...own, digest: known }, state: 'present' };
      const found = await registry.lookUp(`${image.repository}:${tag}`, signal);
      // A tag that exists is deployed as the tag it is; its digest is only said.
      if (found.state === 'present') return { own, now: found.digest, state: 'present' };
      return { own, state: found.state === 'absent' ? 'missing' : 'unknown' };
    }),
  );
  const request = { environment, images: images.map(({ own }) => own) };
  const deployer = deploy.createDeployer({ system, secrets, access, request });
  const rendered = await deployer.render(signal);
  const [{ answers, unchecked }, diffs] = await Promise.all([
    checkWith(plan, { deploy, access, deployer, request }, asking),
    deployer.diff(signal),
  ]);
  const isFirst = !diffs.some(({ action }) => action === 'change' || action === 'none');
  const events = isFirst ? ['pre-install', 'post-install'] : ['pre-upgrade', 'post-upgrade'];
  return secrets.maskAll({
    environment: environment.name,
    deployer: deployer.kind,
    context: access.context,
    namespace: environment.namespace,
    images: images.map(({ own, state, now }) => ({
      name: own.name,
      reference: `${own.repository}:${own.tag}${own.digest === undefined ? '' : `@${own.digest}`}`,
      state,
      ...(now !== undefined && { digest: now }),
    })),
    diffs,
    hooks: rendered.hooks.flatMap((hook) => {
      const when = hook.events.filter((event) => events.includes(event));
      return when.length === 0 ? [] : [`${hook.kind} ${hook.name} (${when.join(', ')})`];
    }),
    warnings: rendered.warnings,
    answers,
    unchecked,
  } as unknown as DryRun);
}

interface Looked {
  readonly own: DeployRequest['images'][number];
  readonly state: DryRunImage['state'];
  readonly now?: string;
}

/** What the publish step of the plan gives: a digest when it is skipped as unchanged, `later` when it runs. */
function publishedDigest(plan: Plan, { publish }: DeployedImage): string | undefined {
  const step = plan.steps.find(({ id }) => id === publish);
  if (step === undefined) return undefined;
  if (step.decision.action === 'run' || step.outputs === undefined) return 'later';
  return (step.outputs as PublishOutputs).digest;
}
