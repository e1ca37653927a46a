import { readYamlDocuments } from '../../yaml/index.ts';
import type { BuildFinding, RelativePath } from './findings.ts';
import { folderOf, isRepository, lastPart, resolveFrom } from './paths.ts';

export const isSkaffoldFile = (path: string): boolean => /(^|\/)skaffold(\.[\w-]+)?\.ya?ml$/.test(path);

/** Images that Skaffold builds with Docker (`build.artifacts`, all versions of its file since v1); profiles are left out. */
export function readSkaffold(text: string, path: RelativePath, file: string): readonly BuildFinding[] {
  const folder = folderOf(path);
  return readYamlDocuments(text, file).documents.flatMap((root) => {
    const platforms = root.at('build')?.strings('platforms') ?? [];
    return (root.at('build', 'artifacts')?.items() ?? []).flatMap((artifact): readonly BuildFinding[] => {
      const image = artifact.string('image') ?? '';
      const other = ['buildpacks', 'jib', 'bazel', 'ko', 'custom', 'kaniko'].find(
        (key) => artifact.get(key) !== undefined,
      );
      const context = resolveFrom(folder, artifact.string('context') ?? '.');
      if (image === '' || context === undefined || (other !== undefined && other !== 'kaniko')) return [];
      const docker = artifact.get('docker') ?? artifact.get('kaniko');
      const dockerfile = resolveFrom(context, docker?.string('dockerfile') ?? 'Dockerfile');
      if (dockerfile === undefined) return [];
      const target = docker?.string('target');
      const given = (docker?.get('buildArgs')?.entries() ?? []).map(
        ({ key, value }) => [key, value.text() ?? ''] as const,
      );
      // Skaffold fills its own templates when it runs.
      const args = given.filter(([, value]) => !value.includes('{{'));
      const openArgs = given.filter(([, value]) => value.includes('{{')).map(([key]) => key);
      return [
        {
          origin: 'skaffold',
          name: lastPart(image),
          context,
          dockerfile,
          ...(target !== undefined && { target }),
          // A name without a slash gets the registry of whoever runs it in front.
          ...(image.includes('/') && isRepository(image) && { repository: image }),
          platforms: artifact.strings('platforms').length > 0 ? artifact.strings('platforms') : platforms,
          args: Object.fromEntries(args),
          ...(openArgs.length > 0 && { openArgs }),
          cacheFrom: docker?.strings('cacheFrom') ?? [],
          cacheTo: [],
          tags: [],
          place: artifact.place,
        },
      ];
    });
  });
}
