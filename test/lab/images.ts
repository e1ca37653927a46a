// The images the lab's pods and test services stand on: made here from Debian packages, kept as OCI layouts in the cache,
// pushed to the lab's registry.
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildkitPrograms } from './builders.ts';
import { run } from './command.ts';
import { docker } from './docker.ts';
import { build, type GoProgram, isBuilt } from './gobuild.ts';
import { isPushed, pushLayout } from './layout.ts';
import { aptAcquireSettings, debianMirrors } from './packages.ts';
import type { Part, Service } from './part.ts';
import { addresses, paths } from './paths.ts';

type Architecture = 'amd64' | 'arm64';

interface Image {
  /** Repository below base/, and the stem of its Dockerfile. */
  readonly name: string;
  readonly tag: string;
  readonly architectures: readonly Architecture[];
  /** Files of test/lab/images it is made from, beside its Dockerfile. */
  readonly files?: readonly string[];
  readonly from?: string;
  /** Puts made files into the build's folder. */
  readonly fill?: (folder: string, report: (text: string) => void) => Promise<void>;
  /** Changes when `fill` or the packages it takes must be done anew. */
  readonly edition: string;
}

const sources = join(import.meta.dirname, 'images');
const both: readonly Architecture[] = ['amd64', 'arm64'];

const pauseProgram = (architecture: Architecture): GoProgram => ({
  name: `pause-${architecture}`,
  module: 'pause',
  target: '.',
  env: { GOARCH: architecture },
});

const images: readonly Image[] = [
  {
    name: 'pause',
    tag: '3.9',
    architectures: both,
    edition: '1',
    fill: async (folder, report) => {
      for (const architecture of both) {
        const program = pauseProgram(architecture);
        await build(program, report);
        copyFileSync(join(paths.bin, program.name), join(folder, program.name));
      }
    },
  },
  {
    name: 'debian',
    tag: '12',
    architectures: both,
    edition: '2',
    fill: async (folder, report) => {
      for (const architecture of both)
        await bootstrap(architecture, join(folder, `debian-${architecture}.tar`), report);
    },
  },
  { name: 'django', tag: '3.2', architectures: both, from: 'debian', edition: '1' },
  // Services of tests run beside the tests, on this machine only.
  {
    name: 'postgres',
    tag: '15',
    architectures: ['amd64'],
    from: 'debian',
    files: ['postgres-entrypoint.sh'],
    edition: '1',
  },
  { name: 'redis', tag: '7', architectures: ['amd64'], from: 'debian', edition: '1' },
];

/** What builders other than dockerd's own run in. */
const builderImages: readonly Image[] = [
  {
    name: 'buildkit',
    tag: '0.29',
    architectures: ['amd64'],
    from: 'debian',
    files: ['buildkit-entrypoint.sh'],
    edition: '1',
    fill: async (folder, report) => {
      for (const program of buildkitPrograms) {
        await build(program, report);
        copyFileSync(join(paths.bin, program.name), join(folder, program.name));
      }
    },
  },
];

/** A minimal Debian 12 as a tar; other processors' through emulation. Takes the mirror this machine's apt uses. */
async function bootstrap(architecture: Architecture, tar: string, report: (text: string) => void): Promise<void> {
  report(`Debian 12 for ${architecture}${architecture === 'amd64' ? '' : ' (emulated)'}`);
  const excluded = ['/usr/share/doc/*', '/usr/share/man/*', '/usr/share/locale/*', '/usr/share/info/*'];
  const settings = (await aptAcquireSettings()).split('\n').filter((line) => line !== '');
  const { main, security } = await debianMirrors();
  await run(
    'mmdebstrap',
    [
      ...['--variant=minbase', `--architectures=${architecture}`, '--include=ca-certificates'],
      ...['--aptopt=Acquire::Languages "none"', ...settings.map((line) => `--aptopt=${line}`)],
      // A lost image is built again: no waiting for the disk, here and in what is built on it.
      '--dpkgopt=force-unsafe-io',
      ...excluded.map((path) => `--dpkgopt=path-exclude=${path}`),
      ...['bookworm', tar, `deb ${main} bookworm main`, `deb ${main} bookworm-updates main`],
      ...(security === undefined ? [] : [`deb ${security} bookworm-security main`]),
    ],
    { log: `image-debian-${architecture}`, timeoutMs: 1_200_000 },
  );
}

function keyOf(image: Image): string {
  const hash = createHash('sha256').update(`${image.name} ${image.edition} ${image.architectures.join(' ')}`);
  for (const file of [`${image.name}.Dockerfile`, ...(image.files ?? [])])
    hash.update(readFileSync(join(sources, file)));
  const parent = [...images, ...builderImages].find(({ name }) => name === image.from);
  if (parent !== undefined) hash.update(keyOf(parent));
  return hash.digest('hex').slice(0, 16);
}

const repository = (image: Image) => `base/${image.name}`;
const layout = (image: Image) => join(paths.images, `${image.name}-${keyOf(image)}`);

async function buildImage(image: Image, report: (text: string) => void): Promise<void> {
  const context = mkdtempSync(join(tmpdir(), 'slipway-lab-image-'));
  const fresh = `${layout(image)}.new`;
  try {
    await image.fill?.(context, report);
    for (const file of image.files ?? []) copyFileSync(join(sources, file), join(context, file));
    report(`building ${repository(image)}:${image.tag}`);
    rmSync(fresh, { recursive: true, force: true });
    mkdirSync(fresh, { recursive: true });
    await docker(
      [
        ...['buildx', 'build', '--builder', 'default', '--progress', 'plain', '--provenance=false', '--network=host'],
        ...['--platform', image.architectures.map((architecture) => `linux/${architecture}`).join(',')],
        ...['--file', join(sources, `${image.name}.Dockerfile`)],
        ...['--output', `type=oci,tar=false,dest=${fresh}`, context],
      ],
      `image-${image.name}`,
    );
    for (const old of readdirSync(paths.images).filter((name) => name.startsWith(`${image.name}-`)))
      if (join(paths.images, old) !== fresh) rmSync(join(paths.images, old), { recursive: true, force: true });
    renameSync(fresh, layout(image));
  } finally {
    rmSync(context, { recursive: true, force: true });
  }
}

const isThere = async (image: Image) =>
  existsSync(join(layout(image), 'index.json')) &&
  (await isPushed(layout(image), addresses.registry, repository(image), image.tag));

const serviceOf = (list: readonly Image[]): Service => ({
  isReady: async () => (await Promise.all(list.map((image) => isThere(image).catch(() => false)))).every(Boolean),
  pid: () => undefined,
  start: async (report) => {
    for (const image of list) {
      if (!existsSync(join(layout(image), 'index.json'))) await buildImage(image, report);
      if (!(await isThere(image))) await pushLayout(layout(image), addresses.registry, repository(image), image.tag);
    }
  },
  // Images in a registry are data: they stay until `reset`, with the registry.
  stop: async () => {},
});
const listOf = (list: readonly Image[]) => list.map(({ name, tag }) => `${name}:${tag}`).join(', ');

export const imagesPart: Part = {
  name: 'images',
  what: `base images in ${addresses.registry}: ${listOf(images)}`,
  version: 'Debian 12',
  group: 'core',
  needs: ['docker', 'registry', 'emulation'],
  isPrepared: () => true,
  prepare: async () => {},
  service: serviceOf(images),
};

export const builderImagePart: Part = {
  name: 'builder-image',
  what: `BuildKit's daemon as an image: ${listOf(builderImages)}`,
  version: 'Debian 12',
  group: 'builders',
  needs: ['images'],
  isPrepared: () => buildkitPrograms.every(isBuilt),
  prepare: async (report) => {
    for (const program of buildkitPrograms) await build(program, report);
  },
  service: serviceOf(builderImages),
};
