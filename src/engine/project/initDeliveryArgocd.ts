import { posix } from 'node:path';
import { formatScalar, readImageAt } from '../gitops/index.ts';
import { SlipwayError } from '../problems/index.ts';
import { asName, isBelow } from './discovery/paths.ts';
import { patternOf } from './initDeliveryFlux.ts';
import {
  commonFolder,
  type DeliveredImage,
  type DeliveryDraft,
  type DeliveryPlan,
  type ProposedFile,
} from './initDeliveryPlan.ts';

const PREFIX = 'argocd-image-updater.argoproj.io';

/** An Application with Image Updater's annotations, which 0.x reads, and an ImageUpdater that has 1.x read the same. */
export async function argocdDelivery(plan: DeliveryPlan): Promise<DeliveryDraft> {
  const { app, images, findings, read, branch, namespace } = plan;
  const notes: string[] = [];
  const files: ProposedFile[] = [];
  if (findings.remoteUrl === undefined) {
    throw new SlipwayError({
      reason: 'config',
      code: 'init.no-remote',
      message: 'This clone has no remote, so there is no repository that Argo CD could read.',
      fix: 'Push the repository first (git remote add origin URL), then run this again.',
    });
  }
  const source = sourceFolder(plan);
  if (source.tool === 'manifests') {
    // Image Updater writes only into kustomizations and charts.
    const path = posix.join(source.folder, 'kustomization.yaml');
    const resources = findings.objects
      .filter((object) => posix.dirname(object.path) === source.folder)
      .map((object) => posix.basename(object.path));
    const existing = await read(path);
    const lines = [
      'apiVersion: kustomize.config.k8s.io/v1beta1',
      'kind: Kustomization',
      'resources:',
      ...[...new Set(resources)].sort().map((name) => `  - ${name}`),
      'images: # written by Image Updater',
      ...(await Promise.all(images.map((delivered) => entryLines(delivered, read)))).flat(),
    ];
    files.push({ path, change: 'new', text: `${lines.join('\n')}\n`, ...(existing !== undefined && { existing }) });
  }
  const folder = plan.folder ?? argocdFolder(plan);
  const place = async (name: string, lines: readonly string[]): Promise<void> => {
    const path = `${folder}/${name}`;
    const existing = await read(path);
    files.push({ path, change: 'new', text: `${lines.join('\n')}\n`, ...(existing !== undefined && { existing }) });
  };
  await place(`${app}.yaml`, [
    `# Delivery of ${app} by Argo CD. Written by "slipway init --argocd"; see docs/init.md.`,
    'apiVersion: argoproj.io/v1alpha1',
    'kind: Application',
    'metadata:',
    `  name: ${app}`,
    '  namespace: argocd',
    '  annotations:',
    ...annotationLines(plan, source),
    'spec:',
    '  project: default',
    '  source:',
    `    repoURL: ${findings.remoteUrl}`,
    `    path: ${source.folder}`,
    `    targetRevision: ${branch}`,
    '  destination:',
    '    server: https://kubernetes.default.svc',
    `    namespace: ${namespace}`,
    '  syncPolicy:',
    '    automated: { prune: true, selfHeal: true }',
    '    syncOptions: [CreateNamespace=true]',
  ]);
  await place(`${app}-updater.yaml`, [
    '# For Image Updater 1.x: it reads the annotations of the Application. Leave this file out with 0.x.',
    `apiVersion: ${PREFIX}/v1alpha1`,
    'kind: ImageUpdater',
    'metadata:',
    `  name: ${app}`,
    '  namespace: argocd',
    'spec:',
    '  applicationRefs:',
    `    - namePattern: ${app}`,
    '      useAnnotations: true',
  ]);
  notes.push(
    `Apply ${folder}/${app}.yaml once (kubectl apply -f ${folder}/${app}.yaml), or let a parent Application do it.`,
    `Image Updater pushes with the credentials that Argo CD has for the repository; they need write access to ${branch}.`,
  );
  if (images.some(({ template }) => !/\{(semver|tag)\}/.test(template))) {
    notes.push(
      'newest-build goes by the date inside the image: builds with a fixed SOURCE_DATE_EPOCH break it, and a rebuilt old commit counts as new.',
    );
  }
  const botFile = source.tool === 'chart' ? 'values.yaml' : 'kustomization.yaml';
  return { files, notes, botFiles: [posix.join(source.folder, botFile)] };
}

interface SourceFolder {
  readonly folder: string;
  readonly tool: 'kustomize' | 'chart' | 'manifests';
}

/** The folder that Argo CD renders: an overlay, a chart, or the manifests. Throws `config` when it is not one folder. */
function sourceFolder({ images, findings }: DeliveryPlan): SourceFolder {
  const places = images.flatMap(({ places }) => places);
  const folders = [...new Set(places.map(({ file }) => posix.dirname(file)))];
  const [first = '.'] = folders;
  const [kind] = places.map((place) => place.kind);
  const tool = kind === 'values' ? 'chart' : kind === 'kustomization' ? 'kustomize' : 'manifests';
  const common = folders.length === 1 ? first : commonFolder(folders.map((folder) => `${folder}/x`));
  const root = findings.kustomizations.find(({ folder }) => folder === common);
  if (tool === 'manifests' && root !== undefined) return { folder: common, tool: 'kustomize' };
  if (folders.length === 1 && first !== '.') return { folder: first, tool };
  throw new SlipwayError({
    reason: 'config',
    code: 'init.several-folders',
    message: `The images of this project are written in ${folders.join(', ')}, and an Application reads one folder that is not the root.`,
    fix: 'Put one kustomization above them, or the manifests into one folder (deploy/).',
  });
}

function argocdFolder({ findings }: DeliveryPlan): string {
  const known = findings.objects.find(
    ({ apiVersion, kind }) => apiVersion.startsWith('argoproj.io/') && kind === 'Application',
  );
  const folder = known === undefined ? '' : posix.dirname(known.path);
  return folder === '' || folder === '.' || findings.kustomizations.some((each) => isBelow(folder, each.folder))
    ? 'argocd'
    : folder;
}

async function entryLines({ image, places }: DeliveredImage, read: DeliveryPlan['read']): Promise<readonly string[]> {
  const [place] = places;
  const version = place === undefined ? undefined : readImageAt(place, await read(place.file));
  // What runs today goes on running until the first update.
  return [
    `  - name: ${image.repository}`,
    ...(version?.tag === undefined ? [] : [`    newTag: ${formatScalar(version.tag)}`]),
    ...(version?.digest === undefined ? [] : [`    digest: ${version.digest}`]),
  ];
}

function annotationLines({ images, branch }: DeliveryPlan, { tool }: SourceFolder): readonly string[] {
  const alias = ({ image }: DeliveredImage): string => asName(image.name);
  const list = images.map((each) => `${alias(each)}=${each.image.repository}`).join(', ');
  return [
    `    ${PREFIX}/image-list: ${list}`,
    ...images.flatMap((each) => {
      const isVersion = /\{(semver|tag)\}/.test(each.template);
      const values = each.places.flatMap((place) => (place.kind === 'values' ? [place] : []))[0];
      const helm =
        values === undefined
          ? []
          : values.shape === 'map'
            ? [
                `    ${PREFIX}/${alias(each)}.helm.image-name: ${values.key}.repository`,
                `    ${PREFIX}/${alias(each)}.helm.image-tag: ${values.key}.tag`,
              ]
            : [`    ${PREFIX}/${alias(each)}.helm.image-spec: ${values.key}`];
      return [
        `    ${PREFIX}/${alias(each)}.update-strategy: ${isVersion ? 'semver' : 'newest-build'}`,
        ...(isVersion
          ? []
          : [`    ${PREFIX}/${alias(each)}.allow-tags: 'regexp:^${patternOf(each.template, '', branch)}$'`]),
        // A build that has not passed the gate yet is no version.
        `    ${PREFIX}/${alias(each)}.ignore-tags: slipway-staging`,
        ...helm,
      ];
    }),
    `    ${PREFIX}/write-back-method: git`,
    `    ${PREFIX}/write-back-target: ${tool === 'chart' ? 'helmvalues:values.yaml' : 'kustomization'}`,
    `    ${PREFIX}/git-branch: ${branch}`,
  ];
}
