// What the API server itself would say: dry runs of every object, and of a pod of every template.

import { fieldsOf, type KubeObject, nameOf, refOf } from '../cluster/index.ts';
import { SlipwayError } from '../problems/index.ts';
import type { ClusterAccess } from './access.ts';
import type { Answer } from './answers.ts';
import { type PlacedObject, podTemplateOf } from './objects.ts';
import { inParallel } from './parallel.ts';

/** Answers of the API server by their text (1.25 to 1.35). The first that fits counts. */
const refusals: readonly {
  readonly pattern: RegExp;
  readonly code: string;
  readonly certainty: Answer['certainty'] | 'none';
  readonly fix: string;
}[] = [
  // Nothing was learnt: the webhook has side effects, or is not up yet and may be part of this deploy.
  {
    pattern: /does not support dry run|failed calling webhook|no endpoints available/,
    code: '',
    certainty: 'none',
    fix: '',
  },
  {
    pattern: /violates PodSecurity/,
    code: 'admission.policy',
    certainty: 'wrong',
    fix: "Change the fields the message names, or the namespace's pod-security label.",
  },
  {
    pattern: /(maximum|minimum) .* usage per (Container|Pod)|limit to request ratio/,
    code: 'admission.policy',
    certainty: 'wrong',
    fix: "Bring the container's requests and limits into the namespace's LimitRange.",
  },
  {
    // Old pods go away while new ones come, so a full quota may still have room in time.
    pattern: /exceeded quota/,
    code: 'quota',
    certainty: 'suspicious',
    fix: 'Lower the requests, set maxSurge to 0, or raise the quota.',
  },
  {
    pattern: /must specify (limits|requests)/,
    code: 'quota',
    certainty: 'wrong',
    fix: "Give every container the requests and limits that the namespace's quota asks for.",
  },
  {
    pattern: /admission webhook .* denied the request|ValidatingAdmissionPolicy .* denied/,
    code: 'admission.denied',
    certainty: 'wrong',
    fix: 'Change what the message objects to.',
  },
  // Said by the look at references, with near matches.
  {
    pattern: /serviceaccount ".*" not found|no PriorityClass with name|RuntimeClass .* not found/i,
    code: '',
    certainty: 'none',
    fix: '',
  },
  {
    pattern: /field is immutable|updates to .* are forbidden|may not change once set/i,
    code: 'spec.immutable',
    certainty: 'wrong',
    fix: 'This field cannot change on an existing object: delete and re-create it, give it another name, or undo the change.',
  },
];

export async function checkAdmission(
  objects: readonly PlacedObject[],
  access: ClusterAccess,
  namespace: string,
  signal: AbortSignal,
): Promise<readonly Answer[]> {
  const present = new Set<string>();
  const names = new Set([namespace, ...objects.flatMap(({ object }) => object.metadata.namespace ?? [])]);
  await Promise.all(
    [...names].map(async (name) => {
      const found = await access.get({ apiVersion: 'v1', kind: 'Namespace', name }, signal).catch((error: unknown) => {
        // Many may deploy into a namespace they cannot look at.
        if (SlipwayError.is(error) && error.code === 'api.Forbidden') return 'hidden';
        throw error;
      });
      if (found !== undefined) present.add(name);
    }),
  );
  const defined = new Set(
    objects.filter(({ object }) => object.kind === 'CustomResourceDefinition').map(({ object }) => crdKind(object)),
  );
  const askable = objects.filter(({ object }) => {
    const place = object.metadata.namespace;
    return (place === undefined || present.has(place)) && !defined.has(object.kind);
  });
  const answers = await inParallel(askable, async (placed) => {
    const whole = await asked(placed, () => access.apply(placed.object, { signal, isDryRun: true, isForced: true }));
    if (whole !== undefined) return whole;
    const pod = podOf(placed.object);
    return pod === undefined ? undefined : asked(placed, () => access.create(pod, { signal, isDryRun: true }), true);
  });
  return answers.filter((answer) => answer !== undefined);
}

const crdKind = (object: KubeObject): string => String(fieldsOf(fieldsOf(object.spec).names).kind);

/** A pod as the template's controller would create it: admission speaks to pods, not to templates. */
function podOf(object: KubeObject): KubeObject | undefined {
  const template = podTemplateOf(object);
  const namespace = object.metadata.namespace;
  if (template === undefined || object.kind === 'Pod' || namespace === undefined) return undefined;
  const spec = { ...template.spec };
  const { labels, annotations } = template.metadata;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: `${object.metadata.name.slice(0, 40)}-slipway-check`,
      namespace,
      ...(labels !== undefined && { labels: labels as Readonly<Record<string, string>> }),
      ...(annotations !== undefined && { annotations: annotations as Readonly<Record<string, string>> }),
    },
    spec,
  };
}

async function asked(placed: PlacedObject, work: () => Promise<unknown>, isPod = false): Promise<Answer | undefined> {
  try {
    await work();
    return undefined;
  } catch (error) {
    if (!SlipwayError.is(error, 'cluster')) throw error;
    return refusal(placed, error, isPod);
  }
}

/** What a refusal proves; undefined when it proves nothing. */
export function refusal(placed: PlacedObject, error: SlipwayError, isPod: boolean): Answer | undefined {
  const text = (error.evidence ?? [error.message]).join(' ');
  const known = refusals.find(({ pattern }) => pattern.test(text));
  const object = refOf(placed.object);
  const what = isPod ? `A pod of ${nameOf(object)} would be refused` : `${nameOf(object)} would be refused`;
  const base = {
    object,
    evidence: [text],
    message: `${what}: ${text}`,
    ...(placed.place !== undefined && { place: placed.place }),
  };
  if (known !== undefined) {
    if (known.certainty === 'none') return undefined;
    return { ...base, certainty: known.certainty, code: known.code, fix: known.fix };
  }
  switch (error.code) {
    case 'api.NoKind':
      return {
        ...base,
        certainty: 'wrong',
        code: 'api.no-kind',
        message: `${nameOf(object)} cannot be written: the cluster has no kind ${object.kind} in ${object.apiVersion}.`,
        fix: 'Install the operator or CRD that defines this kind first, or add its CRD to the set.',
      };
    case 'api.Invalid':
      // Defaults that a workload's controller fills in are not in a bare pod, so only the object's own answer is proof.
      if (isPod) return undefined;
      return { ...base, certainty: 'wrong', code: 'spec.invalid', fix: 'Correct the field that the message names.' };
    case 'api.BadRequest':
      if (isPod) return undefined;
      return { ...base, certainty: 'wrong', code: 'spec.invalid', fix: 'Correct the manifest.' };
    case 'api.Forbidden':
      if (isPod || !/ cannot (patch|create|update) /.test(text)) return undefined;
      return {
        ...base,
        certainty: 'wrong',
        code: 'rbac.denied',
        fix: 'Use a context that may write it, or ask for a role binding in this namespace.',
      };
    default:
      return undefined;
  }
}
