// Which objects a person means: by name, by environment, or all of a chain.
import type { KubeObject } from '../cluster/index.ts';
import { SlipwayError } from '../problems/index.ts';
import { automationsFor } from './chain.ts';
import {
  dependenciesOf,
  fluxKinds,
  inventoryOf,
  keyOf,
  keyOfObject,
  namespaceOf,
  referenceAt,
  sourceOf,
} from './kinds.ts';

const shortNames: Readonly<Record<string, string>> = {
  repository: 'ImageRepository',
  policy: 'ImagePolicy',
  update: 'ImageUpdateAutomation',
  automation: 'ImageUpdateAutomation',
  git: 'GitRepository',
  oci: 'OCIRepository',
  helm: 'HelmRelease',
  ks: 'Kustomization',
  hr: 'HelmRelease',
};

/**
 * `kustomization/apps`, `policy/flux-system/api`, `flux-system/api`, `api`: kind and namespace may be left out while the
 * name is the only one. Of several the only one in `near` is meant, the chain of the environment at hand: a cluster of many
 * teams has many objects named `apps`. Throws SlipwayError `usage` for a name that is not there or means several.
 */
export function chooseObject(
  objects: readonly KubeObject[],
  text: string,
  near: readonly KubeObject[] = [],
): KubeObject {
  const parts = text.split('/');
  const name = parts.at(-1) ?? '';
  const rest = parts.slice(0, -1);
  const kind = rest[0] === undefined ? undefined : kindNamed(rest[0]);
  const namespace = kind === undefined ? rest[0] : rest[1];
  const found = objects.filter(
    (object) =>
      object.metadata.name === name &&
      (kind === undefined || object.kind === kind) &&
      (namespace === undefined || namespaceOf(object) === namespace),
  );
  const nearby = found.filter((object) => near.includes(object));
  for (const meant of [found, nearby]) {
    const [only] = meant;
    if (only !== undefined && meant.length === 1) return only;
  }
  const listed = (found.length > 0 ? found : objects).map(title).slice(0, 12).join(', ');
  throw new SlipwayError({
    reason: 'usage',
    code: found.length > 1 ? 'flux.ambiguous' : 'flux.unknown',
    message: found.length > 1 ? `"${text}" means ${found.length} objects.` : `There is no Flux object "${text}".`,
    fix: found.length > 1 ? `Name one of ${listed}.` : `There is ${listed || 'none'}.`,
  });
}

function kindNamed(text: string): string | undefined {
  const lower = text.toLowerCase();
  return shortNames[lower] ?? fluxKinds.find(({ kind }) => kind.toLowerCase() === lower)?.kind;
}

export const title = (object: KubeObject): string =>
  `${object.kind.toLowerCase()}/${namespaceOf(object)}/${object.metadata.name}`;

/** Everything a change of one object passes through, in both directions: what feeds it and what it feeds. */
export function chainAround(objects: readonly KubeObject[], start: readonly KubeObject[]): readonly KubeObject[] {
  const byKey = new Map(objects.map((object) => [keyOfObject(object), object]));
  const edges = objects.flatMap((object) => edgesOf(object, objects));
  const chosen = new Map(start.map((object) => [keyOfObject(object), object]));
  const follow = (isForward: boolean): void => {
    const queue = start.map(keyOfObject);
    const seen = new Set(queue);
    for (let key = queue.shift(); key !== undefined; key = queue.shift()) {
      for (const [from, to] of edges) {
        const [here, next] = isForward ? [from, to] : [to, from];
        const object = byKey.get(next);
        if (here !== key || seen.has(next) || object === undefined) continue;
        seen.add(next);
        chosen.set(next, object);
        queue.push(next);
      }
    }
  };
  follow(true);
  follow(false);
  return [...chosen.values()];
}

/** `from` feeds `to`. */
function edgesOf(object: KubeObject, objects: readonly KubeObject[]): readonly (readonly [string, string])[] {
  const key = keyOfObject(object);
  const source = sourceOf(object);
  switch (object.kind) {
    case 'ImagePolicy': {
      const repository = referenceAt(object, ['spec', 'imageRepositoryRef'], 'ImageRepository');
      const automations = automationsFor(
        object,
        objects.filter(({ kind }) => kind === 'ImageUpdateAutomation'),
      );
      return [
        ...(repository === undefined ? [] : [[keyOf(repository), key] as const]),
        ...automations.map((automation) => [key, keyOfObject(automation)] as const),
      ];
    }
    case 'ImageUpdateAutomation':
      return source === undefined ? [] : [[key, keyOf(source)]];
    default:
      return [
        ...(source === undefined ? [] : [[keyOf(source), key] as const]),
        ...dependenciesOf(object).map((dependency) => [keyOf(dependency), key] as const),
        ...inventoryOf(object).flatMap((entry) => (entry.kind === 'HelmRelease' ? [[key, keyOf(entry)] as const] : [])),
      ];
  }
}
