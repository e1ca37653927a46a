import { type KubeObject, nameOf } from '../cluster/index.ts';
import { isCancelled, SlipwayError } from '../problems/index.ts';
import type { ClusterAccess } from './access.ts';
import type { Answer } from './answers.ts';
import { checkAdmission } from './checkAdmission.ts';
import { checkImages, checkPullSecrets, type Registry } from './checkImages.ts';
import { checkLive } from './checkLive.ts';
import { checkPlacement } from './checkPlacement.ts';
import type { Deployer, DeployRequest } from './deployer.ts';
import type { PlacedObject } from './objects.ts';
import { refuseObstacles } from './ownership.ts';
import { inParallel } from './parallel.ts';
import { checkPorts } from './ports.ts';
import { checkReferences } from './references.ts';

export interface Preflight {
  /** Proven ones first. */
  readonly answers: readonly Answer[];
  /** What could not be looked at, and why; for the log only. */
  readonly unchecked: readonly string[];
}

/** A look that hangs is no answer; the deploy does not wait for it. */
const LIMIT_MS = 10_000;

/**
 * Looks at everything that would make this deploy fail, at the same time and without writing. Throws only what the
 * deployer's own rendering throws, `refused` when GitOps or another release owns the objects, and CancelledError.
 */
export async function preflight(options: {
  readonly deployer: Deployer;
  readonly request: DeployRequest;
  readonly access: ClusterAccess;
  readonly registry: Registry;
  readonly signal: AbortSignal;
}): Promise<Preflight> {
  const { deployer, request, access, registry, signal } = options;
  const namespace = request.environment.namespace;
  const rendered = await deployer.render(signal);
  const { objects } = rendered;
  const hooks: readonly PlacedObject[] = rendered.hooks.flatMap(({ object }) => {
    if (object === undefined) return [];
    const inPlace: KubeObject = { ...object, metadata: { namespace, ...object.metadata } };
    return [{ object: inPlace }];
  });
  const all = [...objects, ...hooks];
  const unchecked: string[] = [];
  const limit = AbortSignal.any([signal, AbortSignal.timeout(LIMIT_MS)]);
  const look = async (what: string, work: () => Promise<readonly Answer[]>): Promise<readonly Answer[]> => {
    try {
      return await work();
    } catch (error) {
      if (signal.aborted) throw error;
      const why = error instanceof Error ? error.message : String(error);
      unchecked.push(`${what}: ${isCancelled(error) || limit.aborted ? `no answer within ${LIMIT_MS / 1000} s` : why}`);
      return [];
    }
  };
  refuseObstacles(await deployer.owners(signal));
  const found = await Promise.all([
    look('images', () => checkImages(all, request.images, registry, access, limit)),
    look('pull secrets', () => checkPullSecrets(all, access, namespace, limit)),
    look('references', () => checkReferences(all, hooks.length > 0, access, namespace, limit)),
    look('admission', () => checkAdmission(objects, access, namespace, limit)),
    look('live state', async () => {
      const live = await inParallel(deployer.targets(rendered), (ref) => access.get(ref, limit));
      return checkLive(live.filter((object) => object !== undefined));
    }),
    look('delivery', async () => (await deployer.concerns?.(limit)) ?? []),
    look('ports', async () => checkPorts(objects)),
    look('placement', () => checkPlacement(objects, access, namespace, limit)),
  ]);
  const order = { wrong: 0, suspicious: 1 } as const;
  const answers = found.flat().sort((a, b) => order[a.certainty] - order[b.certainty]);
  return { answers, unchecked };
}

/** The failure that a proven answer is; undefined when nothing was proven. */
export function failureOf(answers: readonly Answer[], environment: string): SlipwayError | undefined {
  const wrong = answers.filter(({ certainty }) => certainty === 'wrong');
  const [first] = wrong;
  if (first === undefined) return undefined;
  const more = wrong.length > 1 ? ` (and ${wrong.length - 1} more)` : '';
  return new SlipwayError({
    reason: 'rollout',
    code: first.code,
    message: `Nothing was deployed to ${environment}: ${first.message}${more}`,
    fix: first.fix,
    evidence: [
      ...(first.evidence ?? []),
      ...wrong.slice(1).map((answer) => `${answer.code}: ${nameOf(answer.object)}: ${answer.message}`),
    ],
    ...(first.place !== undefined && { place: first.place }),
  });
}
