import { at, textOf } from '../cluster/index.ts';
import type { Secrets } from '../events/secrets.ts';
import {
  isHelperTag,
  parseReference,
  platformsOf,
  type Reference,
  Registry as RegistryClient,
} from '../images/index.ts';
import { SlipwayError } from '../problems/index.ts';
import type { System } from '../system/index.ts';
import { nearMatches } from './answers.ts';
import type { LookUp, Registry } from './checkImages.ts';

/** The registries themselves, asked with docker's credentials of this machine. Never throws but when the signal aborts. */
export function registryLookUp(system: System, secrets: Secrets): Registry {
  const client = new RegistryClient(system, secrets);
  return {
    async lookUp(text, signal) {
      let reference: Reference;
      try {
        reference = parseReference(text);
      } catch (error) {
        if (!SlipwayError.is(error)) throw error;
        return { state: 'invalid', why: error.message };
      }
      try {
        return await ask(client, reference, signal);
      } catch (error) {
        if (signal.aborted) throw error;
        return { state: 'unknown', why: error instanceof Error ? error.message : String(error) };
      }
    },
  };
}

async function ask(client: RegistryClient, reference: Reference, signal: AbortSignal): Promise<LookUp> {
  const manifest = await client.manifest(reference, signal);
  if (manifest === undefined) {
    const tags = (await client.tags(reference.registry, reference.repository, signal).catch(() => undefined)) ?? [];
    return {
      state: 'absent',
      nearestTags: nearestTags(
        reference.tag,
        tags.filter((tag) => !isHelperTag(tag)),
      ),
    };
  }
  const platforms = Object.keys(platformsOf(manifest));
  if (platforms.length > 0 || manifest.config === undefined)
    return { state: 'present', digest: manifest.digest, platforms };
  const config = await client.blob(reference.registry, reference.repository, manifest.config.digest, signal);
  const os = textOf(at(config, 'os'));
  const architecture = textOf(at(config, 'architecture'));
  const platform = os === undefined || architecture === undefined ? [] : [`${os}/${architecture}`];
  return { state: 'present', digest: manifest.digest, platforms: platform };
}

/** Tags that are likely meant; without a likely one, the last ones, so that the person sees what there is. */
function nearestTags(wanted: string | undefined, tags: readonly string[]): readonly string[] {
  const likely = wanted === undefined ? [] : nearMatches(wanted, tags);
  return likely.length > 0 ? likely : tags.slice(-3).reverse();
}
