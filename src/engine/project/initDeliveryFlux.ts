import { type ImagePlace, parseVersion, readImageAt, versionText, writeImageAt } from '../gitops/index.ts';
import { markImageAt } from '../gitops/marking.ts';
import { SlipwayError } from '../problems/index.ts';
import { asName, resolveFrom } from './discovery/paths.ts';
import {
  commonFolder,
  type DeliveredImage,
  type DeliveryDraft,
  type DeliveryPlan,
  type ProposedFile,
} from './initDeliveryPlan.ts';

/** Flux's namespace as `flux bootstrap` makes it. */
const NAMESPACE = 'flux-system';

/** ImageRepository, ImagePolicy, ImageUpdateAutomation, and what applies the manifests where nothing does yet. */
export async function fluxDelivery(whole: DeliveryPlan): Promise<DeliveryDraft> {
  const { app, images, read } = whole;
  const folder = whole.folder ?? fluxFolder(whole);
  const path = `${folder}/${app}-delivery.yaml`;
  // What an earlier run has written is written again, not built upon.
  const plan = {
    ...whole,
    findings: { ...whole.findings, objects: whole.findings.objects.filter((object) => object.path !== path) },
  };
  const { findings } = plan;
  const notes: string[] = [];
  const texts = new Map<string, string>();
  const files: ProposedFile[] = [];
  for (const delivered of images) {
    const policy = `${NAMESPACE}:${nameFor(plan, delivered)}`;
    for (const place of delivered.places) {
      const before = texts.get(place.file) ?? (await read(place.file)) ?? '';
      texts.set(place.file, markImageAt(place, withTag(place, before), policy));
    }
  }
  for (const [path, text] of texts) {
    const existing = (await read(path)) ?? '';
    if (text !== existing) files.push({ path, change: 'edit', text, existing });
  }
  const existing = await read(path);
  const written = [...texts.keys()];
  const source = sourceOf(plan, notes);
  const text = [
    `# Delivery of ${app} by Flux. Written by "slipway init --flux"; see docs/init.md.`,
    ...source.lines,
    ...applyLines(plan, written, source.name),
    ...images.flatMap((delivered) => imageLines(plan, delivered)),
    ...automationLines(plan, written, source.name),
  ].join('\n');
  files.push({ path, change: 'new', text: `${text}\n`, ...(existing !== undefined && { existing }) });
  if (
    !findings.objects.some(
      ({ path: each, apiVersion }) => each.startsWith(`${folder}/`) && apiVersion.includes('toolkit.fluxcd.io'),
    )
  ) {
    notes.push(`Apply ${path} once (kubectl apply -f ${path}), or put it where Flux applies its own objects from.`);
  }
  notes.push(`Flux pushes to ${plan.branch}: the Secret of the GitRepository ${source.name} needs write access.`);
  return { files, notes, botFiles: written };
}

/** An entry without a version is given the one that the tag template begins with, so that there is a value to mark. */
function withTag(place: ImagePlace, text: string): string {
  const version = readImageAt(place, text);
  if (place.kind === 'manifests' || (version !== undefined && versionText(version) !== '')) return text;
  return writeImageAt(place, text, { tag: 'latest' });
}

const nameFor = ({ app, images }: DeliveryPlan, { image }: DeliveredImage): string =>
  images.length === 1 ? app : asName(`${app}-${image.name}`);

function fluxFolder({ findings, environment }: DeliveryPlan): string {
  const own = findings.objects.filter(({ apiVersion }) => apiVersion.startsWith('image.toolkit.fluxcd.io/'));
  const any = findings.objects.filter(({ apiVersion }) => apiVersion.includes('.toolkit.fluxcd.io/'));
  const found = (own[0] ?? any[0])?.path.split('/').slice(0, -1).join('/');
  return found === undefined || found === '' ? `clusters/${environment?.name ?? 'default'}` : found;
}

interface Source {
  readonly name: string;
  readonly lines: readonly string[];
}

function sourceOf({ findings, app, branch }: DeliveryPlan, notes: string[]): Source {
  const known = findings.objects.find(
    ({ kind, apiVersion }) => kind === 'GitRepository' && apiVersion.startsWith('source.toolkit.fluxcd.io/'),
  );
  if (known !== undefined) return { name: known.name, lines: [] };
  const url = httpUrl(findings.remoteUrl);
  if (url === undefined) {
    notes.push('This clone has no remote, so the GitRepository of "flux bootstrap" (flux-system) is taken.');
    return { name: NAMESPACE, lines: [] };
  }
  notes.push(
    `Make the Secret ${app}-git in ${NAMESPACE} with username and password (a token that may push) of the git server.`,
  );
  return {
    name: app,
    lines: [
      ...head('source.toolkit.fluxcd.io/v1', 'GitRepository', app),
      'spec:',
      `  url: ${url}`,
      `  ref: { branch: ${branch} }`,
      '  interval: 1m',
      `  secretRef: { name: ${app}-git } # username and password; the automation pushes with it`,
      '---',
    ],
  };
}

/** Over https, as a token in a Secret is what most servers let a machine push with. */
function httpUrl(remote: string | undefined): string | undefined {
  if (remote === undefined) return undefined;
  if (/^https?:\/\//.test(remote)) return remote;
  const match = /^(?:ssh:\/\/)?(?:[^@/]+@)([^:/]+)(?::\d+)?[:/](.+)$/.exec(remote);
  return match === null ? undefined : `https://${match[1]}/${match[2]}`;
}

const head = (apiVersion: string, kind: string, name: string): readonly string[] => [
  `apiVersion: ${apiVersion}`,
  `kind: ${kind}`,
  'metadata:',
  `  name: ${name}`,
  `  namespace: ${NAMESPACE}`,
];

/** A Kustomization for the manifests, unless one applies them already. Charts are a HelmRelease's business. */
function applyLines(
  { findings, app, namespace, images }: DeliveryPlan,
  written: readonly string[],
  source: string,
): readonly string[] {
  if (images.some(({ places }) => places.some(({ kind }) => kind === 'values'))) return [];
  const folder = commonFolder(written);
  const isApplied = findings.objects.some(({ apiVersion, refers }) => {
    if (!apiVersion.startsWith('kustomize.toolkit.fluxcd.io/') || refers.path === undefined) return false;
    const path = resolveFrom('.', refers.path) ?? '';
    return path === '.' || folder === path || folder.startsWith(`${path}/`);
  });
  if (isApplied) return [];
  return [
    ...head('kustomize.toolkit.fluxcd.io/v1', 'Kustomization', app),
    'spec:',
    '  interval: 10m',
    `  path: ./${folder}`,
    '  prune: true',
    '  wait: true',
    '  timeout: 5m',
    `  targetNamespace: ${namespace}`,
    `  sourceRef: { kind: GitRepository, name: ${source} }`,
    '---',
  ];
}

function imageLines(plan: DeliveryPlan, delivered: DeliveredImage): readonly string[] {
  const name = nameFor(plan, delivered);
  const { repository } = delivered.image;
  const isPlain = /^(localhost|127\.0\.0\.1)(:|\/)/.test(repository);
  return [
    ...head('image.toolkit.fluxcd.io/v1', 'ImageRepository', name),
    'spec:',
    `  image: ${repository}`,
    '  interval: 1m',
    ...(isPlain
      ? ['  insecure: true # plain http']
      : ['  # secretRef: { name: … } # of type dockerconfigjson, for a registry that needs a login']),
    // The first is Flux's own, which a list of ours replaces; builds of Slipway pass through the other before the gate.
    '  exclusionList: ["^.*\\\\.sig$", "^slipway-staging$"]',
    '---',
    ...head('image.toolkit.fluxcd.io/v1', 'ImagePolicy', name),
    'spec:',
    `  imageRepositoryRef: { name: ${name} }`,
    ...policyLines(delivered, plan.branch),
    '---',
  ];
}

/** A policy that finds the newest of the tags that the template makes. */
function policyLines({ template, image }: DeliveredImage, branch: string): readonly string[] {
  const sample = template.replaceAll(/\{(commits|date)\}/g, '1');
  const prefix = /^(v?\d+\.\d+)\.\{commits\}$/.exec(template)?.[1];
  if (prefix !== undefined) return [`  policy: { semver: { range: ${prefix.replace(/^v/, '')}.x } }`];
  if (/^v?\{(semver|tag)\}$/.test(template) || parseVersion(sample) !== undefined)
    return ["  policy: { semver: { range: '>=0.1.0' } }"];
  const order = /\{(commits|date)\}/.exec(template)?.[0];
  if (order === undefined) {
    throw new SlipwayError({
      reason: 'config',
      code: 'init.tags-without-order',
      message: `Tags of ${image.name} are made from ${template}, which has no order: Flux could not tell which one is newest.`,
      fix: 'Put {commits} into the first tag template, for example {branch}-{commits}-{sha}, or use {semver}.',
      place: image.place,
    });
  }
  return [
    '  filterTags:',
    `    pattern: '^${patternOf(template, order, branch)}$'`,
    "    extract: '$order'",
    '  policy: { numerical: { order: asc } }',
  ];
}

/** The template as RE2; what orders the tags is the group `order`. Tags of other branches stay out. */
export function patternOf(template: string, order: string, branch: string): string {
  let isFirst = true;
  return template.replaceAll(
    /\{(\w+)(?::(\d+))?\}|[^{}]+/g,
    (part, field: string | undefined, size: string | undefined) => {
      if (field === undefined) return literal(part);
      if (part === order && isFirst) {
        isFirst = false;
        return '(?P<order>[0-9]+)';
      }
      if (field === 'branch') return literal(branch.replaceAll('/', '-'));
      if (field === 'sha') return `[0-9a-f]{${size ?? '7'}}`;
      return field === 'commits' || field === 'date' ? '[0-9]+' : '[0-9A-Za-z_.-]+';
    },
  );
}

const literal = (text: string): string => text.replaceAll(/[.+*?()|[\]{}^$\\]/g, '\\$&');

function automationLines(
  { app, branch, host }: DeliveryPlan,
  written: readonly string[],
  source: string,
): readonly string[] {
  const folder = commonFolder(written);
  return [
    ...head('image.toolkit.fluxcd.io/v1', 'ImageUpdateAutomation', app),
    'spec:',
    '  interval: 5m',
    `  sourceRef: { kind: GitRepository, name: ${source} }`,
    `  update: { strategy: Setters, path: ./${folder} }`,
    '  git:',
    `    checkout: { ref: { branch: ${branch} } }`,
    '    commit:',
    '      author: { name: fluxcdbot, email: fluxcdbot@users.noreply.example.com }',
    '      messageTemplate: |-',
    `        Update images of ${app}`,
    '',
    '        {{ range .Changed.Changes }}{{ .OldValue }} -> {{ .NewValue }}',
    '        {{ end }}',
    host === 'gitlab'
      ? `    push: { branch: ${branch}, options: { ci.skip: "" } } # its commits start no pipeline`
      : `    push: { branch: ${branch} }`,
  ];
}
