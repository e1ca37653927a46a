import type { YamlNode } from '../../yaml/index.ts';
import { readYamlDocuments } from '../../yaml/index.ts';
import type { BuildFinding, ComposeImage, RelativePath, ServiceFinding } from './findings.ts';
import { folderOf, isRepository, lastPart, repositoryOf, resolveFrom } from './paths.ts';

export const isComposeFile = (path: string): boolean => /(^|\/)(docker-)?compose([.-][\w.-]+)?\.ya?ml$/.test(path);

/** Services that are databases, caches and the like: what tests lean on. By the last part of the image's name. */
const BACKING =
  /^(postgres|postgis|pgvector|postgresql|mysql|mariadb|mongo|mongodb|redis|valkey|keydb|memcached|rabbitmq|nats|kafka|zookeeper|elasticsearch|opensearch|minio|localstack|clickhouse-server|cassandra|etcd|mailhog|mailpit)$/;

export const isBackingImage = (reference: string): boolean => BACKING.test(lastPart(repositoryOf(reference)));

/** Builds and backing services of a compose file. `${VAR:-default}` takes its default; without one it stays unknown. */
export function readCompose(
  text: string,
  path: RelativePath,
  file: string,
): {
  readonly builds: readonly BuildFinding[];
  readonly services: readonly ServiceFinding[];
  readonly images: readonly ComposeImage[];
} {
  const root = readYamlDocuments(text, file).documents[0];
  const folder = folderOf(path);
  const builds: BuildFinding[] = [];
  const services: ServiceFinding[] = [];
  const images: ComposeImage[] = [];
  for (const { key, keyPlace, value } of root?.get('services')?.entries() ?? []) {
    const image = filled(value.string('image'));
    const build = value.get('build');
    if (build !== undefined && build.kind !== 'empty') {
      const context = resolveFrom(folder, filled(build.text() ?? build.string('context') ?? '.') ?? '.');
      if (context === undefined) continue;
      const dockerfile = resolveFrom(context, filled(build.string('dockerfile')) ?? 'Dockerfile');
      if (dockerfile === undefined) continue;
      const target = filled(build.string('target'));
      const repository = image === undefined ? undefined : repositoryOf(image);
      const profiles = value.strings('profiles');
      const aside =
        profiles.length > 0
          ? `the compose service "${key}" runs only with the profile ${profiles.join(' or ')}`
          : FOR_DEVELOPING.test(path)
            ? `only ${path} builds it`
            : undefined;
      const args = environmentOf(build.get('args'));
      const openArgs = argumentNames(build.get('args')).filter((name) => !(name in args));
      builds.push({
        origin: 'compose',
        name: key,
        context,
        dockerfile,
        ...(target !== undefined && { target }),
        // A name without a slash is a local label, not a place to push to.
        ...(repository?.includes('/') && isRepository(repository) && { repository }),
        platforms: [...build.strings('platforms')],
        args,
        ...(openArgs.length > 0 && { openArgs }),
        ...(aside !== undefined && { aside }),
        cacheFrom: build.strings('cache_from'),
        cacheTo: build.strings('cache_to'),
        tags: [],
        place: keyPlace,
      });
    } else if (image !== undefined && isBackingImage(image)) {
      const health = value.get('healthcheck')?.get('test');
      const command = healthCommand(health);
      services.push({
        name: key,
        image,
        env: environmentOf(value.get('environment')),
        ports: value.get('ports')?.items().flatMap(containerPort) ?? [],
        ...(command !== undefined && { health: command }),
        place: keyPlace,
      });
    } else if (image !== undefined && repositoryOf(image).includes('/') && isRepository(repositoryOf(image))) {
      images.push({ service: key, repository: repositoryOf(image), path, place: keyPlace });
    }
  }
  return { builds, services, images };
}

/** `compose.override.yml`, `docker-compose.dev.yml`: laid over the others on a developer's machine. */
const FOR_DEVELOPING = /(^|\/)(docker-)?compose[.-](override|dev|development|local|debug|tests?|e2e|ci)\.ya?ml$/;

const argumentNames = (args: YamlNode | undefined): readonly string[] => [
  ...(args?.entries().map(({ key }) => key) ?? []),
  ...(args?.items().flatMap((item) => item.text()?.split('=')[0] ?? []) ?? []),
];

function healthCommand(test: YamlNode | undefined): readonly string[] | undefined {
  if (test === undefined) return undefined;
  const text = test.text();
  if (text !== undefined) return ['sh', '-c', text.replaceAll('$$', '$')];
  const parts = test
    .items()
    .flatMap((item) => item.text() ?? [])
    .map((part) => part.replaceAll('$$', '$'));
  if (parts[0] === 'CMD-SHELL' && parts[1] !== undefined) return ['sh', '-c', parts[1]];
  return parts[0] === 'CMD' && parts.length > 1 ? parts.slice(1) : undefined;
}

function containerPort(port: YamlNode): readonly number[] {
  const text = port.text() ?? port.string('target') ?? '';
  const number = Number((filled(text) ?? '').split('/')[0]?.split(':').at(-1));
  return Number.isInteger(number) && number > 0 && number < 65_536 ? [number] : [];
}

/** A map or a list of `KEY=value`; values that are not known here are left out. */
export function environmentOf(node: YamlNode | undefined): Readonly<Record<string, string>> {
  const pairs: [string, string][] = [];
  for (const { key, value } of node?.entries() ?? []) {
    const text = filled(value.text());
    if (text !== undefined) pairs.push([key, text]);
  }
  for (const item of node?.items() ?? []) {
    const [, key, value] = /^([^=]+)=(.*)$/s.exec(item.text() ?? '') ?? [];
    const text = filled(value);
    if (key !== undefined && text !== undefined) pairs.push([key, text]);
  }
  return Object.fromEntries(pairs);
}

/** Compose interpolation with the defaults written in the file; undefined when a variable has none. */
function filled(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  let isKnown = true;
  const value = text.replace(
    /\$(?:(\$)|\{(\w+)(?::?-([^}]*))?[^}]*\}|(\w+))/g,
    (_whole, dollar?: string, name?: string, fallback?: string) => {
      if (dollar !== undefined) return '$';
      if (name !== undefined && fallback !== undefined) return fallback;
      isKnown = false;
      return '';
    },
  );
  return isKnown ? value : undefined;
}
