import { readYamlDocuments, type YamlNode } from '../../yaml/index.ts';
import type { KustomizationFinding, ObjectFinding, ObjectReferences, RelativePath } from './findings.ts';
import { folderOf, resolveFrom } from './paths.ts';

export const isKustomizationFile = (path: string): boolean => /(^|\/)(kustomization\.ya?ml|Kustomization)$/.test(path);

/** Cheap test before a file is parsed: all Kubernetes objects have both keys. */
export const looksLikeObjects = (text: string): boolean => /^\s*apiVersion:/m.test(text) && /^\s*kind:/m.test(text);

export function readObjects(text: string, path: RelativePath, file: string): readonly ObjectFinding[] {
  return readYamlDocuments(text, file)
    .documents.flatMap((document) =>
      document.string('kind') === 'List' ? (document.get('items')?.items() ?? []) : [document],
    )
    .flatMap((object) => readObject(object, path) ?? []);
}

function readObject(object: YamlNode, path: RelativePath): ObjectFinding | undefined {
  const apiVersion = object.string('apiVersion');
  const kind = object.string('kind');
  const name = object.at('metadata', 'name')?.text();
  if (apiVersion === undefined || kind === undefined || name === undefined) return undefined;
  const namespace = object.at('metadata', 'namespace')?.text();
  const spec = object.get('spec');
  const pod = podSpec(kind, spec);
  const containers = [...(pod?.get('initContainers')?.items() ?? []), ...(pod?.get('containers')?.items() ?? [])];
  const labels = kind === 'Service' ? spec?.get('selector') : (spec?.at('template', 'metadata', 'labels') ?? undefined);
  const probe = pod?.get('containers')?.items()[0]?.at('readinessProbe', 'httpGet');
  const probePort = probe?.string('port');
  return {
    apiVersion,
    kind,
    name,
    ...(namespace !== undefined && { namespace }),
    path,
    place: object.at('metadata', 'name')?.place ?? object.place,
    images: containers.flatMap((container) => {
      const reference = container.string('image');
      return reference === undefined ? [] : [{ reference, place: container.get('image')?.place ?? container.place }];
    }),
    refers: references(apiVersion, kind, spec),
    ...(labels !== undefined && { labels: texts(labels) }),
    ports:
      kind === 'Service'
        ? (spec?.get('ports')?.items() ?? []).flatMap((port) => {
            const name = port.string('name');
            const target = port.string('targetPort');
            return [
              {
                port: Number(port.string('port')),
                ...(name !== undefined && { name }),
                ...(target !== undefined && { target }),
              },
            ];
          })
        : [],
    ...(probe !== undefined &&
      probePort !== undefined && { readiness: { path: probe.string('path') ?? '/', port: probePort } }),
  };
}

const texts = (node: YamlNode): Readonly<Record<string, string>> =>
  Object.fromEntries(
    node.entries().flatMap(({ key, value }) => {
      const text = value.text();
      return text === undefined ? [] : [[key, text] as const];
    }),
  );

function podSpec(kind: string, spec: YamlNode | undefined): YamlNode | undefined {
  if (kind === 'Pod') return spec;
  if (kind === 'CronJob') return spec?.at('jobTemplate', 'spec', 'template', 'spec');
  return spec?.at('template', 'spec');
}

/** What Flux and Argo CD objects point at; read leniently, over all served versions. */
function references(apiVersion: string, kind: string, spec: YamlNode | undefined): ObjectReferences {
  const group = apiVersion.split('/')[0] ?? '';
  if (group === 'image.toolkit.fluxcd.io' && kind === 'ImageRepository') return only({ image: spec?.string('image') });
  if (group === 'image.toolkit.fluxcd.io' && kind === 'ImagePolicy') {
    const reference = spec?.get('imageRepositoryRef');
    return only({ repository: reference?.string('name'), namespace: reference?.string('namespace') });
  }
  if (group === 'image.toolkit.fluxcd.io' && kind === 'ImageUpdateAutomation')
    return only({ path: spec?.at('update', 'path')?.text() });
  if (group === 'kustomize.toolkit.fluxcd.io')
    return only({ path: spec?.string('path'), namespace: spec?.string('targetNamespace') });
  if (group === 'helm.toolkit.fluxcd.io') {
    const chart = spec?.at('chart', 'spec');
    return only({
      path: chart?.string('chart'),
      namespace: spec?.string('targetNamespace'),
      values: chart?.strings('valuesFiles'),
    });
  }
  if (group === 'argoproj.io' && (kind === 'Application' || kind === 'ApplicationSet')) {
    const app = kind === 'Application' ? spec : spec?.at('template', 'spec');
    const source =
      app?.get('source') ??
      app
        ?.get('sources')
        ?.items()
        .find((each) => each.get('path') !== undefined);
    return only({
      path: source?.string('path'),
      repository: source?.string('repoURL'),
      namespace: app?.at('destination', 'namespace')?.text(),
      values: source?.at('helm')?.strings('valueFiles'),
    });
  }
  return {};
}

function only(
  references: { readonly [Key in keyof ObjectReferences]: ObjectReferences[Key] | undefined },
): ObjectReferences {
  return Object.fromEntries(Object.entries(references).filter(([, value]) => value !== undefined));
}

export function readKustomization(text: string, path: RelativePath, file: string): KustomizationFinding | undefined {
  const root = readYamlDocuments(text, file).documents[0];
  if (root === undefined || root.kind !== 'map') return undefined;
  // A Flux Kustomization may lie in a file of this name.
  if (root.string('apiVersion')?.startsWith('kustomize.toolkit.fluxcd.io') === true) return undefined;
  const folder = folderOf(path);
  const namespace = root.string('namespace');
  return {
    folder,
    place: root.place,
    ...(namespace !== undefined && { namespace }),
    resources: [...root.strings('resources'), ...root.strings('bases'), ...root.strings('components')].flatMap(
      (written) =>
        /^(https?:|git@|[\w.-]+\.[a-z]+\/.*\?ref=)/.test(written) ? [] : (resolveFrom(folder, written) ?? []),
    ),
    images: (root.get('images')?.items() ?? []).flatMap((image) => {
      const name = image.string('name');
      const newName = image.string('newName');
      return name === undefined ? [] : [{ name, ...(newName !== undefined && { newName }), place: image.place }];
    }),
  };
}
