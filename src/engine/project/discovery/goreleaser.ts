import { readYamlDocuments, type YamlNode } from '../../yaml/index.ts';
import type { BuildFinding, RelativePath } from './findings.ts';
import { isRepository, repositoryOf, resolveFrom, tagOf } from './paths.ts';

export const isGoreleaserFile = (path: string): boolean => /^\.?goreleaser\.ya?ml$/.test(path);

/**
 * The images of `dockers`, `docker_manifests` and `dockers_v2`: one for each repository and Dockerfile, with the platforms of
 * all its entries.
 */
export function readGoreleaser(
  text: string,
  file: string,
  isFile: (path: RelativePath) => boolean,
): readonly BuildFinding[] {
  const root = readYamlDocuments(text, file).documents[0];
  if (root === undefined) return [];
  const project = root.string('project_name');
  const fill = (written: string): string =>
    written.replace(/\{\{-?\s*\.([\w.]+)\s*-?\}\}/g, (whole, name: string) =>
      name === 'ProjectName' && project !== undefined ? project : (TAGS[name] ?? whole),
    );
  const found = new Map<string, BuildFinding>();
  const add = (node: YamlNode, references: readonly string[], platforms: readonly string[]): void => {
    // One for GoReleaser's binaries beside one that builds them: here the latter stands alone.
    const dockerfile = isFile('Dockerfile')
      ? 'Dockerfile'
      : resolveFrom('.', node.string('dockerfile') ?? 'Dockerfile');
    const repository = references.map((each) => repositoryOf(each)).find(isRepository);
    if (dockerfile === undefined) return;
    const key = `${repository ?? ''} ${dockerfile}`;
    const before = found.get(key);
    const tags = references.flatMap((each) => {
      const tag = tagOf(each);
      // The tag of one platform is joined with the others' under a manifest's name.
      return tag === undefined || /[-_](amd64|arm64|armv\d|386|ppc64le|s390x)/.test(tag) || tag.includes('{{')
        ? []
        : [{ template: tag, place: node.place }];
    });
    const known = new Set(before?.tags.map(({ template }) => template));
    found.set(key, {
      origin: 'goreleaser',
      name: node.string('id') ?? project ?? 'image',
      context: '.',
      dockerfile,
      ...(repository !== undefined && { repository }),
      platforms: [...new Set([...(before?.platforms ?? []), ...platforms])],
      args: {},
      cacheFrom: [],
      cacheTo: [],
      tags: [...(before?.tags ?? []), ...tags.filter(({ template }) => !known.has(template))],
      place: before?.place ?? node.place,
    });
  };
  for (const node of root.get('dockers')?.items() ?? []) {
    const arch = node.string('goarch') ?? 'amd64';
    const arm = arch === 'arm' ? `/v${node.string('goarm') ?? '6'}` : '';
    const flag = node
      .strings('build_flag_templates')
      .flatMap((each) => /--platform=([a-z0-9/]+)/.exec(each)?.[1] ?? [])[0];
    add(node, node.strings('image_templates').map(fill), [flag ?? `${node.string('goos') ?? 'linux'}/${arch}${arm}`]);
  }
  for (const node of root.get('dockers_v2')?.items() ?? []) {
    const tags = node.strings('tags').map(fill);
    const images = node.strings('images').map(fill);
    const platforms = node.strings('platforms');
    add(
      node,
      images.flatMap((image) => tags.map((tag) => `${image}:${tag}`)),
      platforms.length > 0 ? platforms : ['linux/amd64', 'linux/arm64'],
    );
  }
  const manifests = (root.get('docker_manifests')?.items() ?? []).flatMap((node) =>
    (node.string('name_template') === undefined ? [] : [fill(node.string('name_template') ?? '')]).map((name) => ({
      name,
      place: node.place,
    })),
  );
  return [...found.values()].map((build) => {
    const more = manifests.filter(({ name }) => repositoryOf(name) === build.repository);
    const tags = more.flatMap(({ name, place }) => {
      const template = tagOf(name);
      return template === undefined || template.includes('{{') ? [] : [{ template, place }];
    });
    return tags.length === 0 ? build : { ...build, tags };
  });
}

/** GoReleaser's words for a tag in those of slipway.yaml. */
const TAGS: Readonly<Record<string, string>> = {
  Tag: '{tag}',
  Version: '{semver}',
  Major: '{major}',
  ShortCommit: '{sha}',
  Branch: '{branch}',
};
