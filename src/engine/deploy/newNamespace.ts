import { SlipwayError } from '../problems/index.ts';
import type { ClusterAccess } from './access.ts';
import type { ObjectDiff } from './diff.ts';
import type { PlacedObject } from './objects.ts';

/** The namespace of an environment as part of what a deploy would change: it is made when it is not there. */
export async function newNamespace(
  access: ClusterAccess,
  name: string,
  objects: readonly PlacedObject[],
  signal: AbortSignal,
): Promise<readonly ObjectDiff[]> {
  if (objects.some(({ object }) => object.kind === 'Namespace' && object.metadata.name === name)) return [];
  const object = { apiVersion: 'v1', kind: 'Namespace', name };
  try {
    return (await access.get(object, signal)) === undefined ? [{ object, action: 'create', changes: [] }] : [];
  } catch (error) {
    // Many may deploy into a namespace they cannot look at.
    if (SlipwayError.is(error) && error.code === 'api.Forbidden') return [];
    throw error;
  }
}
