import { join } from 'node:path';
import type { BuildOutputs, StepContext, StepKind } from '../plan/step.ts';
import { SlipwayError } from '../problems/index.ts';
import { hashContext } from '../project/index.ts';
import type { ImageConfig } from '../project/model.ts';
import type { System } from '../system/index.ts';
import { type Builder, builderOf, contextBuilder } from './builder.ts';
import { type BuildResult, build, type PushMode } from './buildx.ts';
import { emulationWarnings, runsOnTarget } from './emulation.ts';
import { platformsOf } from './manifest.ts';
import { normalPlatform, parseReference, type Reference, STAGING_TAG } from './reference.ts';
import { registryOf } from './registry.ts';

/** Builds an image for its platforms and pushes it by digest. A digest that is in the registry already stays there. */
export const buildStep: StepKind<'build'> = {
  kind: 'build',
  async run({ image, platforms, revision, isAfterCommands }, context) {
    const { system, emit, signal } = context;
    for (const from of Object.values(image.secrets)) {
      if ('env' in from) context.secrets.add(system.env[from.env]);
      else context.secrets.add(await system.files.readText(from.file));
    }
    const builder = await builderFor(image, platforms, context);
    const built = isAfterCommands === true ? await hashContext(system, context.root, image) : undefined;
    const folder = join(context.folder, 'reports');
    await system.files.makeFolder(folder);
    emit({ type: 'step.intent', effect: 'push', subject: image.repository });
    const buildAndPush = (push: PushMode): Promise<BuildResult> =>
      pushing(context, () =>
        build(
          system,
          image,
          {
            platforms,
            root: context.root,
            ...(revision !== undefined && { revision }),
            metadataFile: join(folder, `build-${image.name}.json`),
            push,
          },
          { emit, signal },
        ),
      );
    const closeFirstContact = meet(image, context);
    let result = await buildAndPush(pushModeFor(builder, system)).finally(closeFirstContact);
    let outputs = await describe(image, result.digest, context);
    if (outputs === undefined && builder.driver === 'docker' && !pushedByDaemon.has(system)) {
      pushedByDaemon.add(system);
      result = await buildAndPush('staging-by-daemon');
      outputs = await describe(image, result.digest, context);
    }
    if (outputs === undefined) {
      throw new SlipwayError({
        reason: 'registry',
        code: 'build.not-pushed',
        message: `buildx pushed ${image.name} as ${result.digest}, but ${image.repository} does not have it.`,
        fix: 'The builder may push to another registry than this machine reaches under that name.',
      });
    }
    for (const warning of result.warnings) {
      emit({
        type: 'diagnostic',
        diagnostic: {
          severity: 'warning',
          code: 'build.warning',
          message: warning.message,
          place: {
            file: image.dockerfile,
            ...(warning.line !== undefined && {
              range: { start: { line: warning.line, character: 0 }, end: { line: warning.line + 1, character: 0 } },
            }),
          },
          ...(warning.detail !== '' && { fix: warning.detail }),
        },
      });
    }
    return { ...outputs, ...(built !== undefined && { context: built }) };
  },

  async holds({ image, isAfterCommands }, outputs, context) {
    const { digest, context: built } = outputs as BuildOutputs;
    if (isAfterCommands === true && built !== (await hashContext(context.system, context.root, image))) return false;
    const registry = registryOf(context);
    return (await registry.digestOf({ ...parseReference(image.repository), digest }, context.signal)) !== undefined;
  },
};

/**
 * Asks the registry for something small while BuildKit works: connection and token are there when the push has to be looked
 * at, which saves two to four round trips. What goes wrong here is told where it matters. Returns what ends it.
 */
function meet(image: ImageConfig, context: StepContext): () => void {
  const over = new AbortController();
  const reference = { ...parseReference(image.repository), tag: STAGING_TAG };
  registryOf(context)
    .digestOf(reference, AbortSignal.any([context.signal, over.signal]))
    .catch(() => undefined);
  return () => over.abort();
}

/** Codes of pushes that broke for reasons that pass. The layers are built by then, so another try is short. */
const PASSING = new Set(['registry.error', 'registry.unreachable']);
const MOST_TRIES = 2;

async function pushing<T>({ system, emit, signal }: StepContext, work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      const isPassing = SlipwayError.is(error) && PASSING.has(error.code ?? '');
      if (!isPassing || attempt === MOST_TRIES) throw error;
      emit({ type: 'step.progress', message: `${error.message} Trying again (${attempt + 1} of ${MOST_TRIES}).` });
      await system.clock.sleep(2_000 * attempt, signal);
    }
  }
}

/** Systems whose docker daemon keeps images in its old store: there BuildKit does not push, the daemon does. */
const pushedByDaemon = new WeakSet<System>();

function pushModeFor({ driver }: Builder, system: System): PushMode {
  if (driver !== 'docker') return 'digest';
  return pushedByDaemon.has(system) ? 'staging-by-daemon' : 'staging';
}

/**
 * What the registry has under the digest: the proof that the push arrived, and the digest of each platform. Undefined when
 * it is not there.
 */
async function describe(image: ImageConfig, digest: string, context: StepContext): Promise<BuildOutputs | undefined> {
  const registry = registryOf(context);
  const reference = { ...parseReference(image.repository), digest };
  const manifest = await registry.manifest(reference, context.signal);
  if (manifest === undefined) return undefined;
  let platforms = platformsOf(manifest);
  if (manifest.kind === 'image' && manifest.config !== undefined) {
    const config = (await registry.blob(
      reference.registry,
      reference.repository,
      manifest.config.digest,
      context.signal,
    )) as {
      readonly os?: string;
      readonly architecture?: string;
      readonly variant?: string;
    };
    platforms = {
      [normalPlatform([config.os, config.architecture, config.variant].filter(Boolean).join('/'))]: digest,
    };
  }
  const sizes = await sizesOf(registry, reference, platforms, context.signal);
  return { digest, repository: image.repository, platforms, sizes };
}

/** What a node downloads: the layers as the registry keeps them. */
async function sizesOf(
  registry: ReturnType<typeof registryOf>,
  reference: Reference,
  platforms: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<Readonly<Record<string, number>>> {
  const sizes = await Promise.all(
    Object.entries(platforms).map(async ([platform, digest]) => {
      const manifest = await registry.manifest({ ...reference, digest }, signal);
      return [platform, (manifest?.layers ?? []).reduce((sum, { size }) => sum + size, 0)] as const;
    }),
  );
  return Object.fromEntries(sizes.filter(([, size]) => size > 0));
}

/** The builder of an image, after a warning where it would have to run what it cannot. buildx is asked only for what matters. */
async function builderFor(
  image: ImageConfig,
  platforms: readonly string[],
  { system, emit, signal }: StepContext,
): Promise<Builder> {
  const dockerfile = platforms.length === 0 ? undefined : await system.files.readText(image.dockerfile);
  const isForeign = dockerfile !== undefined && runsOnTarget(dockerfile);
  const known = image.builder === undefined && !isForeign ? await contextBuilder(system) : undefined;
  const builder = known ?? (await builderOf(system, image.builder, signal));
  if (dockerfile !== undefined) {
    for (const diagnostic of emulationWarnings(image, dockerfile, platforms, builder.platforms)) {
      emit({ type: 'diagnostic', diagnostic });
    }
  }
  return builder;
}
