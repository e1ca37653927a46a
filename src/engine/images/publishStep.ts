import type { BuildOutputs, PublishOutputs, StepContext, StepKind } from '../plan/step.ts';
import { SlipwayError } from '../problems/index.ts';
import type { Manifest } from './manifest.ts';
import { parseReference, type Reference } from './reference.ts';
import { type Registry, registryOf } from './registry.ts';

/** Gives the gated digest its tags: the same bytes under another name, no layer moves. */
export const publishStep: StepKind<'publish'> = {
  kind: 'publish',
  async run({ image, tags, moving, build }, context) {
    const { digest, platforms } = context.outputs<BuildOutputs>(build);
    const registry = registryOf(context);
    const repository = parseReference(image.repository);
    const manifest = await registry.manifest({ ...repository, digest }, context.signal);
    if (manifest === undefined) {
      throw new SlipwayError({
        reason: 'registry',
        code: 'image.missing',
        message: `${image.repository}@${digest} has gone from the registry since it was built.`,
        fix: 'Run again; a clean-up job of the registry may have removed it because it had no tag yet.',
      });
    }
    const present = new Map<string, string | undefined>();
    // All tags are looked at before the first one is written: either all of them are allowed or none is set.
    for (const tag of tags) {
      const existing = await registry.digestOf({ ...repository, tag }, context.signal);
      present.set(tag, existing);
      if (existing !== undefined && existing !== digest && !moving.includes(tag)) {
        throw await immutable(registry, repository, tag, existing, digest, context);
      }
    }
    for (const tag of tags) {
      if (present.get(tag) === digest) continue;
      context.emit({ type: 'step.intent', effect: 'tag', subject: `${image.repository}:${tag}`, detail: { digest } });
      await registry.putManifest(repository.registry, repository.repository, tag, manifest, context.signal);
    }
    context.emit({
      type: 'image.published',
      image: image.name,
      repository: image.repository,
      digest,
      tags,
      platforms: Object.keys(platforms),
    });
    return { digest, repository: image.repository, tags, platforms } satisfies PublishOutputs;
  },

  async holds({ image, tags }, outputs, context) {
    const { digest } = outputs as PublishOutputs;
    const registry = registryOf(context);
    const repository = parseReference(image.repository);
    const found = await Promise.all(tags.map((tag) => registry.digestOf({ ...repository, tag }, context.signal)));
    return found.every((current) => current === digest);
  },
};

/** The refusal of a tag that names something else already, with what can be told about who put it there. */
async function immutable(
  registry: Registry,
  repository: Reference,
  tag: string,
  existing: string,
  digest: string,
  context: StepContext,
): Promise<SlipwayError> {
  const name = `${repository.registry}/${repository.repository}:${tag}`;
  const made = await describeImage(registry, repository, existing, context.signal).catch(() => ({}) as ImageFacts);
  const facts = [
    made.revision === undefined ? undefined : `built from commit ${made.revision.slice(0, 7)}`,
    made.created === undefined ? undefined : `created ${made.created}`,
  ].filter((fact) => fact !== undefined);
  return new SlipwayError({
    reason: 'refused',
    code: 'tag.immutable',
    message: `${name} exists with another content (${existing.slice(0, 19)}…${facts.length === 0 ? '' : `, ${facts.join(', ')}`}); this build is ${digest.slice(0, 19)}….`,
    fix: 'Commit the change to get a new tag, or list the tag under "moving" in slipway.yaml if it may move.',
    evidence: [`there: ${existing}`, `here:  ${digest}`],
  });
}

export interface ImageFacts {
  readonly revision?: string;
  readonly source?: string;
  readonly version?: string;
  /** Of an image for one platform only: `linux/arm64`, `linux/arm/v7`. */
  readonly platform?: string;
  /** ISO time; absent for reproducible builds that say 1970. */
  readonly created?: string;
}

/** Facts from an image's configuration: labels and creation date. For an index, those of its first platform. */
export async function describeImage(
  registry: Registry,
  repository: Reference,
  digest: string,
  signal?: AbortSignal,
): Promise<ImageFacts> {
  const read = async (of: string): Promise<Manifest | undefined> =>
    registry.manifest({ registry: repository.registry, repository: repository.repository, digest: of }, signal);
  let manifest = await read(digest);
  if (manifest?.kind === 'index') {
    const child = manifest.children.find(
      (candidate) => candidate.platform !== undefined && candidate.attests === undefined,
    );
    manifest = child === undefined ? undefined : await read(child.digest);
  }
  if (manifest?.config === undefined) return {};
  const config = (await registry.blob(repository.registry, repository.repository, manifest.config.digest, signal)) as {
    readonly created?: string;
    readonly os?: string;
    readonly architecture?: string;
    readonly variant?: string;
    readonly config?: { readonly Labels?: Readonly<Record<string, string>> };
  };
  const labels = config.config?.Labels ?? {};
  const revision = labels['org.opencontainers.image.revision'];
  const source = labels['org.opencontainers.image.source'];
  const version = labels['org.opencontainers.image.version'];
  const isReal = config.created !== undefined && Date.parse(config.created) > 0;
  return {
    ...(revision !== undefined && { revision }),
    ...(source !== undefined && { source }),
    ...(version !== undefined && { version }),
    ...(config.os !== undefined &&
      config.architecture !== undefined && {
        platform: [config.os, config.architecture, ...(config.variant === undefined ? [] : [config.variant])].join('/'),
      }),
    ...(isReal && config.created !== undefined && { created: config.created }),
  };
}
