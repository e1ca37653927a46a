// Where live objects are not as rendered ones say, asked so that it may be asked often: lists instead of single reads where
// there are many of a kind, and the server's own judgement only for what looks different.
import { type KubeObject, refOf } from '../cluster/index.ts';
import { SlipwayError } from '../problems/index.ts';
import type { ClusterAccess } from './access.ts';
import { diffObject, type ObjectDiff } from './diff.ts';
import { SET_LABEL } from './objectSet.ts';
import { keyOf } from './objects.ts';
import { inParallel } from './parallel.ts';

/** From so many of a kind on, one list is less work for everybody. */
const MANY = 10;
/** Objects that look different and are judged by the server; a person who sees so many needs no more precision. */
const MOST_JUDGED = 100;

/** In the order of `objects`; those that are as they should be have the action `none`. Writes nothing. */
export async function liveDifferences(
  objects: readonly KubeObject[],
  access: ClusterAccess,
  signal: AbortSignal,
): Promise<readonly ObjectDiff[]> {
  const live = await liveOf(objects, access, signal);
  let judged = 0;
  return inParallel(objects, async (object): Promise<ObjectDiff> => {
    const current = live.get(keyOf(refOf(object)));
    const seen = diffObject(withoutSetLabel(object), current, { kind: 'subset' });
    if (seen.action !== 'change' || current === undefined || judged >= MOST_JUDGED) return seen;
    judged += 1;
    try {
      // `500m` and `0.5`, defaults and conversions: only the server knows that they are the same.
      const after = await access.apply(object, { signal, isDryRun: true, isForced: true });
      // Our mark on what we deployed says nothing about the files.
      const { changes } = diffObject(withoutSetLabel(after), withoutSetLabel(current), { kind: 'full' });
      return { object: seen.object, action: changes.length === 0 ? 'none' : 'change', changes };
    } catch (error) {
      // No right to write, or a webhook that refuses dry runs.
      if (!SlipwayError.is(error)) throw error;
      return seen;
    }
  });
}

async function liveOf(
  objects: readonly KubeObject[],
  access: ClusterAccess,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, KubeObject>> {
  const kinds = new Map<string, KubeObject[]>();
  for (const object of objects) {
    const kind = `${object.apiVersion} ${object.kind} ${object.metadata.namespace ?? ''}`;
    kinds.set(kind, [...(kinds.get(kind) ?? []), object]);
  }
  const found = await inParallel([...kinds.values()], async (some): Promise<readonly (KubeObject | undefined)[]> => {
    const [first] = some;
    if (first === undefined || some.length < MANY) {
      return inParallel(some, (object) => access.get(refOf(object), signal));
    }
    const { apiVersion, kind, metadata } = first;
    const { namespace } = metadata;
    const listed = await access.list({ apiVersion, kind, ...(namespace !== undefined && { namespace }) }, signal);
    // Items of a list come without their kind.
    return listed.map((object) => ({ ...object, apiVersion, kind }));
  });
  return new Map(found.flat().flatMap((object) => (object === undefined ? [] : [[keyOf(refOf(object)), object]])));
}

function withoutSetLabel(object: KubeObject): KubeObject {
  const { labels, ...metadata } = object.metadata;
  const { [SET_LABEL]: _, ...others } = labels ?? {};
  return { ...object, metadata: { ...metadata, ...(Object.keys(others).length > 0 && { labels: others }) } };
}
