import type { Secrets } from '../events/secrets.ts';
import { isHelperTag, parseReference, Registry } from '../images/index.ts';
import { isCancelled, SlipwayError } from '../problems/index.ts';
import type { System } from '../system/index.ts';
import { closest } from './closest.ts';

/** What a registry said of an image. `denied`: it wants another login. `unknown`: it could not be asked. */
export interface RegistryAnswer {
  readonly state: 'present' | 'absent' | 'denied' | 'unknown';
  /** Tags that look alike, when it is absent. */
  readonly nearest?: readonly string[];
}

/**
 * Asks for an image. `login` is the content of a docker-registry secret (`.dockerconfigjson`), or `anonymous`; absent =
 * with this machine's own credentials. Never throws but for cancellation.
 */
export type AskRegistry = (
  ref: string,
  options: { readonly signal: AbortSignal; readonly login?: string },
) => Promise<RegistryAnswer>;

const LIMIT_MS = 4000;
const TAGS_MS = 500;

export function registryAsker(system: System, secrets: Secrets): AskRegistry {
  const own = new Registry(system, secrets);
  return async (ref, { signal, login }) => {
    const limited = AbortSignal.any([signal, AbortSignal.timeout(LIMIT_MS)]);
    const registry = login === undefined ? own : new Registry(withLogin(system, login), secrets);
    try {
      if ((await registry.digestOf(ref, limited)) !== undefined) return { state: 'present' };
      return { state: 'absent', nearest: login === undefined ? await nearestTags(registry, ref, signal) : [] };
    } catch (error) {
      if (signal.aborted && isCancelled(error)) throw error;
      if (SlipwayError.is(error) && error.code === 'registry.denied') return { state: 'denied' };
      if (SlipwayError.is(error) && error.code === 'registry.not-found') return { state: 'absent' };
      return { state: 'unknown' };
    }
  };
}

/** A system whose only registry login is the given one: what the kubelet would have. */
function withLogin(system: System, login: string): System {
  const { DOCKER_AUTH_CONFIG: _, REGISTRY_AUTH_FILE: __, XDG_RUNTIME_DIR: ___, ...env } = system.env;
  const nowhere = '/nonexistent/slipway';
  return {
    ...system,
    env: {
      ...env,
      HOME: nowhere,
      USERPROFILE: nowhere,
      DOCKER_CONFIG: nowhere,
      ...(login !== 'anonymous' && { DOCKER_AUTH_CONFIG: login }),
    },
  };
}

async function nearestTags(registry: Registry, ref: string, signal: AbortSignal): Promise<readonly string[]> {
  try {
    const { registry: host, repository, tag } = parseReference(ref);
    if (tag === undefined) return [];
    const tags = await registry.tags(host, repository, AbortSignal.any([signal, AbortSignal.timeout(TAGS_MS)]));
    return closest(
      tag,
      (tags ?? []).filter((name) => !isHelperTag(name)),
      3,
    );
  } catch {
    return [];
  }
}
