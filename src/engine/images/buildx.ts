import { join } from 'node:path';
import type { Emit, Json } from '../events/index.ts';
import { SlipwayError } from '../problems/index.ts';
import type { BakeTarget, ImageConfig, Platform } from '../project/model.ts';
import type { System } from '../system/index.ts';
import { buildFailure } from './buildFailure.ts';
import { type BuildWarning, ProgressReader } from './rawjson.ts';
import { STAGING_TAG } from './reference.ts';

export interface BuildOptions {
  readonly platforms: readonly Platform[];
  /** Commit for the label org.opencontainers.image.revision. */
  readonly revision?: string;
  readonly sourceUrl?: string;
  /** Absolute root of the workspace: where bake is called, and its paths begin. */
  readonly root: string;
  /** Where buildx writes what it made; its folder must exist. */
  readonly metadataFile: string;
  readonly push: PushMode;
}

/**
 * `digest` where the builder can push without a tag. The docker driver cannot: there the bytes go out under
 * {@link STAGING_TAG}, by BuildKit alone (`staging`) or by the daemon after it (`staging-by-daemon`). With `push=true` buildx
 * (0.13 to 0.36) asks a daemon that keeps images in containerd for both, one after the other: it looks for the word true,
 * where BuildKit takes an empty value for true as well. A daemon with the old image store pushes only by the second way.
 */
export type PushMode = 'digest' | 'staging' | 'staging-by-daemon';

export interface BuildResult {
  readonly digest: string;
  readonly metadata: Json;
  readonly warnings: readonly BuildWarning[];
}

/**
 * Arguments for `docker` that build an image and push it without any of its tags: nothing that a deploy or a person would
 * pull by name exists before the gate. Secrets go by environment name, never by value.
 */
export function buildxArguments(image: ImageConfig, options: BuildOptions): readonly string[] {
  const args = [
    'buildx',
    'build',
    '--progress=rawjson',
    '--metadata-file',
    options.metadataFile,
    '--file',
    image.dockerfile,
  ];
  if (image.builder !== undefined) args.push('--builder', image.builder);
  if (options.platforms.length > 0) args.push('--platform', options.platforms.join(','));
  if (image.target !== undefined) args.push('--target', image.target);
  for (const [name, value] of Object.entries(image.args)) args.push('--build-arg', `${name}=${value}`);
  for (const [id, from] of Object.entries(image.secrets)) {
    args.push('--secret', 'env' in from ? `id=${id},env=${from.env}` : `id=${id},src=${from.file}`);
  }
  for (const [name, from] of Object.entries(image.contexts ?? {})) args.push('--build-context', `${name}=${from}`);
  for (const forward of image.ssh) args.push('--ssh', forward);
  for (const source of image.cacheFrom) args.push('--cache-from', source);
  for (const target of image.cacheTo) args.push('--cache-to', target);
  for (const [name, value] of Object.entries(labelsOf(image, options))) args.push('--label', `${name}=${value}`);
  // Attestations would give an unchanged image a new digest with every build, so they are there only when asked for.
  args.push(`--provenance=${hasProvenance(image) ? `mode=${image.provenance}` : 'false'}`);
  args.push(`--sbom=${image.sbom === 'buildkit' ? 'true' : 'false'}`);
  args.push('--output', outputOf(image, options));
  args.push(image.context);
  return args;
}

const hasProvenance = ({ provenance }: ImageConfig): boolean => provenance !== undefined && provenance !== 'none';

/**
 * The same for the target of a bake file: what the file says of the build stays, where the result goes is ours. Linked
 * targets are built with it for the same platforms.
 */
export function bakeArguments(image: ImageConfig, bake: BakeTarget, options: BuildOptions): readonly string[] {
  const { target } = bake;
  const args = ['buildx', 'bake', '--progress=rawjson', '--metadata-file', options.metadataFile];
  if (bake.file !== undefined) args.push('--file', bake.file);
  if (image.builder !== undefined) args.push('--builder', image.builder);
  const set = (key: string, value: string): void => void args.push('--set', `${key}=${value}`);
  for (const platform of options.platforms) set('*.platform', platform);
  for (const [name, value] of Object.entries(labelsOf(image, options))) set(`${target}.labels.${name}`, value);
  // A tag of the target's own would be pushed instead of the name in the output.
  set(`${target}.tags`, options.push === 'digest' ? image.repository : `${image.repository}:${STAGING_TAG}`);
  set(`${target}.output`, outputOf(image, options));
  set('*.attest', 'type=sbom,disabled=true');
  set('*.attest', 'type=provenance,disabled=true');
  if (hasProvenance(image)) set(`${target}.attest`, `type=provenance,mode=${image.provenance}`);
  if (image.sbom === 'buildkit') set(`${target}.attest`, 'type=sbom');
  args.push(target);
  return args;
}

const outputOf = (image: ImageConfig, { push }: BuildOptions): string =>
  push === 'digest'
    ? `type=image,name=${image.repository},push-by-digest=true,name-canonical=true,push=true`
    : `type=image,name=${image.repository}:${STAGING_TAG},push=${push === 'staging' ? '' : 'true'}`;

const labelsOf = (image: ImageConfig, options: BuildOptions): Readonly<Record<string, string>> => ({
  ...(options.revision !== undefined && { 'org.opencontainers.image.revision': options.revision }),
  ...(options.sourceUrl !== undefined && { 'org.opencontainers.image.source': options.sourceUrl }),
  ...image.labels,
});

/**
 * Builds and pushes. Progress and logs go out as events. Throws SlipwayError (`build`, `registry`, `tool-missing`,
 * `tool-failed`) with the cause in words, and CancelledError after BuildKit was told to stop.
 */
export async function build(
  system: System,
  image: ImageConfig,
  options: BuildOptions,
  context: { readonly emit: Emit; readonly signal: AbortSignal },
): Promise<BuildResult> {
  const { bake } = image;
  const reader = new ProgressReader(context.emit);
  const missing = Object.values(image.secrets).find((from) => 'env' in from && system.env[from.env] === undefined);
  if (missing !== undefined && 'env' in missing) {
    throw new SlipwayError({
      reason: 'config',
      code: 'build.secret',
      message: `Image ${image.name} needs the build secret in the environment variable ${missing.env}, which is not set.`,
      fix: `Set ${missing.env} before the run.`,
      place: image.place,
    });
  }
  await system.files.remove(options.metadataFile);
  const result = await system.processes.run({
    file: 'docker',
    args: bake === undefined ? buildxArguments(image, options) : bakeArguments(image, bake, options),
    ...folderOf(image, options),
    env: {
      DOCKER_CLI_HINTS: 'false',
      BUILDX_METADATA_PROVENANCE: 'disabled',
      BUILDX_METADATA_WARNINGS: '1',
      BUILDKIT_PROGRESS: undefined,
      // buildx asks git seven times for what only its provenance would tell; the commit is in our label.
      ...(hasProvenance(image) || system.env.BUILDX_GIT_INFO !== undefined ? {} : { BUILDX_GIT_INFO: 'false' }),
    },
    signal: context.signal,
    onStderr: (text) => reader.push(text),
    onStdout: (text) => context.emit({ type: 'log', stream: 'out', text }),
    // Progress is read as it comes; only its end is wanted afterwards.
    keep: 64 * 1024,
  });
  const human = reader.text.trim();
  if (human !== '') context.emit({ type: 'log', stream: 'err', text: `${human}\n` });
  if (result.code !== 0) {
    const bad = reader.vertexes.filter((vertex) => vertex.state === 'failed');
    // What ran beside it was cancelled, and is no cause.
    const failed = bad.find(({ error }) => !/context canceled/.test(error ?? '')) ?? bad[0];
    if (
      /unknown flag: --progress|unknown flag: --metadata-file|is not a docker command|unknown command: docker buildx/.test(
        human,
      )
    ) {
      throw new SlipwayError({
        reason: 'tool-missing',
        code: 'tool.buildx',
        message: 'docker has no buildx of version 0.12 or later.',
        fix: 'Install the docker-buildx plugin.',
        evidence: [human.split('\n')[0] ?? ''],
      });
    }
    throw buildFailure(image, `${failed?.error ?? ''}\n${human}`, result.code, {
      output: failed === undefined ? '' : reader.lastWordsOf(failed.digest),
      ...(failed?.platform !== undefined && { platform: failed.platform }),
    });
  }
  const text = await system.files.readText(options.metadataFile);
  const written = (text === undefined ? {} : JSON.parse(text)) as { readonly [key: string]: Json };
  const metadata = bake === undefined ? written : ((written[bake.target] ?? {}) as { readonly [key: string]: Json });
  const digest = metadata['containerimage.digest'];
  if (typeof digest !== 'string') {
    throw new SlipwayError({
      reason: 'tool-failed',
      code: 'build.no-digest',
      message: `buildx built ${image.name} but did not say its digest.`,
      fix: 'Update buildx to 0.13 or later.',
      place: { file: join(options.metadataFile) },
    });
  }
  return { digest, metadata, warnings: reader.warnings };
}

function folderOf({ bake, context }: ImageConfig, { root }: BuildOptions): { readonly cwd?: string } {
  if (bake !== undefined) return { cwd: root };
  return /^(https?|git|ssh):\/\/|^git@/.test(context) ? {} : { cwd: context };
}
