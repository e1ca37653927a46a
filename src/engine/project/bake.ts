import { createHash } from 'node:crypto';
import { isAbsolute, join, resolve } from 'node:path';
import * as v from 'valibot';
import { CancelledError, SlipwayError } from '../problems/index.ts';
import type { System } from '../system/index.ts';
import type { PrintBake } from './discovery.ts';
import type { BakeTarget, ImageConfig, Project } from './model.ts';

const texts = v.fallback(v.array(v.string()), []);
/** A cache, secret or ssh entry: one text, or in newer buildx its fields. */
const entries = v.fallback(v.array(v.union([v.string(), v.record(v.string(), v.unknown())])), []);
const targetSchema = v.looseObject({
  context: v.fallback(v.string(), '.'),
  contexts: v.fallback(v.record(v.string(), v.string()), {}),
  dockerfile: v.fallback(v.string(), 'Dockerfile'),
  'dockerfile-inline': v.optional(v.string()),
  target: v.optional(v.string()),
  args: v.fallback(v.record(v.string(), v.nullable(v.string())), {}),
  platforms: texts,
  secret: entries,
  ssh: entries,
});
type Target = v.InferOutput<typeof targetSchema>;
const printed = v.object({ target: v.record(v.string(), targetSchema) });

/**
 * Fills in what bake files say of the images that name a target: `docker buildx bake --print` gives it with variables,
 * functions and inheritance worked out. Starts a process for each bake target, none where there is none. Throws SlipwayError
 * `config` with buildx's words when a file or a target is wrong, `tool-missing` without docker.
 */
export async function resolveBakes(system: System, project: Project): Promise<Project> {
  if (project.images.every(({ bake }) => bake === undefined)) return project;
  const images = await Promise.all(
    project.images.map((image) => (image.bake === undefined ? image : fill(system, project.root, image, image.bake))),
  );
  return { ...project, images };
}

/**
 * Asks `docker buildx bake --print` of the workspace's bake files. Throws SlipwayError `tool-failed` with buildx's words,
 * `tool-missing` without docker, `untrusted` in Restricted Mode.
 */
export function bakePrinter(system: System, root: string, signal?: AbortSignal): PrintBake {
  return async (files, names, folder) => {
    const result = await system.processes.run({
      file: 'docker',
      args: ['buildx', 'bake', ...files.flatMap((file) => ['--file', file]), '--print', ...names],
      cwd: join(root, folder),
      timeoutMs: 60_000,
      ...(signal !== undefined && { signal }),
    });
    if (result.code === 0) return result.stdout;
    if (result.code === null && signal?.aborted === true) throw new CancelledError();
    const evidence = result.stderr.trim().split('\n').slice(-8);
    throw new SlipwayError({
      reason: 'tool-failed',
      code: 'init.bake',
      message: `docker buildx could not read ${files.join(', ')}: ${saidBy(evidence)}.`,
      place: { file: join(root, folder, files[0] ?? '') },
      evidence,
      fix: 'Correct the bake file: "docker buildx bake --print" shows what is wrong.',
    });
  };
}

/** The line that names the error, without its mark. */
const saidBy = (evidence: readonly string[]): string =>
  (evidence.findLast((line) => /^ERROR|error/i.test(line)) ?? evidence.at(-1) ?? '').replace(/^ERROR: /, '');

async function fill(system: System, root: string, image: ImageConfig, bake: BakeTarget): Promise<ImageConfig> {
  const targets = readPrinted(image, bake, await print(system, root, image, bake));
  const own = targets[bake.target];
  if (own === undefined) throw wrong(image, bake, [`The targets are ${Object.keys(targets).join(', ')}.`]);
  const at = (path: string) => (isRemote(path) ? path : resolve(root, path));
  const dockerfileOf = ({ context, dockerfile }: Target) =>
    isAbsolute(dockerfile) ? dockerfile : isRemote(context) ? dockerfile : join(at(context), dockerfile);
  let dockerfile = dockerfileOf(own);
  const inline = own['dockerfile-inline'];
  if (inline !== undefined) {
    // So that warnings, findings and configuration checks have a file to point into.
    dockerfile = join(root, '.slipway', 'bake', `${image.name}.Dockerfile`);
    if ((await system.files.readText(dockerfile)) !== inline) await system.files.writeAtomic(dockerfile, inline);
  }
  const linked = Object.entries(targets).flatMap(([name, target]) =>
    name === bake.target ? [] : [{ context: at(target.context), dockerfile: dockerfileOf(target) }],
  );
  return {
    ...image,
    context: at(own.context),
    dockerfile,
    ...(own.target !== undefined && { target: own.target }),
    platforms: image.platforms.length > 0 ? image.platforms : own.platforms,
    args: Object.fromEntries(
      Object.entries(own.args).flatMap(([key, value]) => (value === null ? [] : [[key, value]])),
    ),
    secrets: Object.fromEntries(
      Object.values(targets).flatMap(({ secret }) => secret.flatMap((one) => secretOf(one, at))),
    ),
    ssh: own.ssh.map((one) => (typeof one === 'string' ? one : String(one.id ?? 'default'))),
    contexts: Object.fromEntries(
      Object.values(targets)
        .flatMap(({ contexts }) => Object.entries(contexts))
        .map(([name, from]) => [name, isRemote(from) ? from : at(from)]),
    ),
    bake: { ...bake, linked, definition: definitionOf(targets) },
  };
}

async function print(system: System, root: string, image: ImageConfig, bake: BakeTarget): Promise<string> {
  const result = await system.processes.run({
    file: 'docker',
    args: ['buildx', 'bake', ...(bake.file === undefined ? [] : ['--file', bake.file]), '--print', bake.target],
    cwd: root,
    timeoutMs: 60_000,
  });
  if (result.code === 0) return result.stdout;
  if (result.code === null) throw new CancelledError();
  throw wrong(image, bake, result.stderr.trim().split('\n').slice(-8));
}

function readPrinted(image: ImageConfig, bake: BakeTarget, text: string): Readonly<Record<string, Target>> {
  try {
    return v.parse(printed, JSON.parse(text)).target;
  } catch {
    throw wrong(image, bake, [text.slice(0, 200)]);
  }
}

function wrong(image: ImageConfig, bake: BakeTarget, evidence: readonly string[]): SlipwayError {
  return new SlipwayError({
    reason: 'config',
    code: 'config.bake',
    message: `docker buildx bake does not give the target "${bake.target}" of image "${image.name}": ${saidBy(evidence)}`,
    fix: `Correct the bake file or the name of the target; "docker buildx bake${bake.file === undefined ? '' : ` --file ${bake.file}`} --print" shows what there is.`,
    place: image.place,
    evidence,
  });
}

/** All that the targets say but where the result goes: tags may hold a time or a commit and change nothing in the image. */
function definitionOf(targets: Readonly<Record<string, Target>>): string {
  const rest = Object.entries(targets).map(([name, { tags: _tags, output: _output, ...target }]) => [name, target]);
  return createHash('sha256').update(JSON.stringify(rest)).digest('hex');
}

function secretOf(
  entry: string | Readonly<Record<string, unknown>>,
  at: (path: string) => string,
): readonly (readonly [string, ImageConfig['secrets'][string]])[] {
  const fields =
    typeof entry === 'string' ? Object.fromEntries(entry.split(',').map((part) => part.split('=', 2))) : entry;
  const { id, env, src, source } = fields as Readonly<Record<string, string | undefined>>;
  const name = id ?? env ?? '';
  const file = src ?? source;
  if (env !== undefined) return [[name, { env }]];
  // Without a source it is the variable of that name (buildx's "auto").
  return file === undefined ? [[name, { env: name }]] : [[name, { file: at(file) }]];
}

const isRemote = (text: string): boolean => /^[a-z-]+:\/\/|^git@|^target:/.test(text);
