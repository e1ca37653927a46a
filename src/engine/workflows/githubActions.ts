import type { YamlNode } from '../yaml/index.ts';
import { type Common, pairs } from './flags.ts';
import type { BuildFact, Fact, MetadataFact } from './model.ts';
import { severitiesFrom, words } from './scanCommands.ts';
import { literal, literalOf, split, textOf, trim, type Value } from './values.ts';

/** The `with` of a step: resolved values and where they are written. */
export interface ActionInputs {
  readonly get: (name: string) => Value | undefined;
  readonly node: (name: string) => YamlNode | undefined;
}

/** Finds the metadata-action step that a value came from. */
export type FindMetadata = (value: Value) => readonly MetadataFact[];

const lines = (value: Value | undefined): readonly Value[] => (value === undefined ? [] : split(value, /\r?\n/));
const list = (value: Value | undefined): readonly Value[] => (value === undefined ? [] : split(value, /[\r\n,]+/));

const isTrue = (value: Value | undefined, otherwise: 'yes' | 'no'): 'yes' | 'no' | 'unknown' => {
  if (value === undefined || value.length === 0) return otherwise;
  const text = literalOf(value)?.toLowerCase();
  return text === undefined ? 'unknown' : text === 'true' ? 'yes' : 'no';
};

/** What a `uses` step says about images and deploys; undefined for actions that say nothing here. */
export function factsOfAction(
  action: string,
  inputs: ActionInputs,
  common: Common,
  id: string | undefined,
  findMetadata: FindMetadata,
): readonly Fact[] | undefined {
  const get = inputs.get;
  switch (action) {
    case 'docker/build-push-action':
      return [buildPush(inputs, common, findMetadata)];
    case 'docker/bake-action': {
      const push = get('push') ?? literal('false');
      return [
        {
          ...emptyBuild(common),
          tool: 'bake',
          references: [],
          files: lines(get('files')).filter((file) => !/^\$\{\?/.test(textOf(file))),
          metadata: findMetadata(get('files') ?? []),
          isPushed: isTrue(push, 'no'),
          push,
        },
      ];
    }
    case 'docker/metadata-action':
      return [
        {
          kind: 'metadata',
          ...common,
          ...(id !== undefined && { id }),
          images: lines(get('images')).flatMap(imageName),
          tags: get('tags') ?? [],
          flavor: get('flavor') ?? [],
          tagsPlace: inputs.node('tags')?.place ?? common.place,
        },
      ];
    case 'redhat-actions/buildah-build': {
      const names = list(get('image'));
      const tags = get('tags') === undefined ? [literal('latest')] : split(get('tags') ?? [], /[\s,]+/);
      const file = get('containerfiles') ?? get('dockerfiles');
      return [
        {
          ...emptyBuild(common),
          tool: 'buildah',
          references: names.flatMap((name) => tags.map((tag) => [...name, ':', ...tag])),
          context: get('context') ?? literal('.'),
          ...(file !== undefined && { dockerfile: trim(file) }),
          platforms: list(get('platforms')),
          args: pairs(lines(get('build-args'))),
          isPushed: 'no',
          push: literal('false'),
        },
      ];
    }
    case 'redhat-actions/push-to-registry': {
      const registry = get('registry');
      return split(get('tags') ?? literal('latest'), /[\s,]+/).map((tag) => ({
        kind: 'push',
        ...common,
        reference: [...(registry === undefined ? [] : [...registry, '/']), ...(get('image') ?? []), ':', ...tag],
      }));
    }
    case 'docker/login-action':
    case 'redhat-actions/podman-login':
    case 'azure/docker-login': {
      const username = get('username');
      const password = get('password');
      return [
        {
          kind: 'login',
          ...common,
          registry: get('registry') ?? get('login-server') ?? [],
          ...(username !== undefined && { username }),
          ...(password !== undefined && { password }),
        },
      ];
    }
    case 'aws-actions/amazon-ecr-login':
      return [{ kind: 'login', ...common, registry: [{ unknown: 'ECR registry of the account' }] }];
    case 'aquasecurity/trivy-action':
      return [trivyAction(get, common)];
    case 'anchore/scan-action': {
      const image = get('image');
      return [
        {
          kind: 'scan',
          ...common,
          tool: 'anchore',
          target: image === undefined ? 'filesystem' : 'image',
          ...(image !== undefined && { image }),
          severity: severitiesFrom(literalOf(get('severity-cutoff')) ?? 'medium'),
          ignoreUnfixed: isTrue(get('only-fixed'), 'no'),
          gate: isTrue(get('fail-build'), 'yes') === 'no' ? 'reports' : 'fails',
        },
      ];
    }
    case 'snyk/actions/docker': {
      const image = get('image');
      return [
        {
          kind: 'scan',
          ...common,
          tool: 'snyk',
          target: 'image',
          ...(image !== undefined && { image }),
          severity: [],
          ignoreUnfixed: 'unknown',
          gate: 'fails',
        },
      ];
    }
    case 'azure/k8s-deploy': {
      const namespace = get('namespace');
      return lines(get('manifests')).map((path) => ({
        kind: 'deploy',
        ...common,
        tool: 'k8s-deploy',
        path,
        ...(namespace !== undefined && { namespace }),
        values: [],
        set: [],
        images: lines(get('images')),
        flags: [],
      }));
    }
    case 'actions/attest-build-provenance':
    case 'actions/attest-sbom':
    case 'actions/attest':
      return [{ kind: 'sign', ...common, tool: 'attest', isKeyless: true }];
    case 'stefanzweifel/git-auto-commit-action':
    case 'endbug/add-and-commit':
    case 'peter-evans/create-pull-request':
    case 'ad-m/github-push-action':
      return [
        {
          kind: 'commit',
          ...common,
          credentials: /^$|GITHUB_TOKEN|github\.token/.test(textOf(get('token') ?? get('github_token') ?? []))
            ? 'job'
            : 'other',
        },
      ];
    default:
      return undefined;
  }
}

const emptyBuild = (common: Common) =>
  ({
    kind: 'build',
    ...common,
    metadata: [],
    context: literal('.'),
    platforms: [],
    args: [],
    cacheFrom: [],
    cacheTo: [],
    isGitContext: false,
    isByDigest: false,
    secrets: [],
  }) as const;

/** `name=ghcr.io/acme/app,enable=true` or just the name; in lower case, as the action makes it. */
function imageName(line: Value): readonly Value[] {
  const text = textOf(line);
  if (/(^|,)enable=false(,|$)/.test(text)) return [];
  const first = split(line, /,/)
    .map((field) =>
      field.map((part, index) => (index === 0 && typeof part === 'string' ? part.replace(/^name=/, '') : part)),
    )
    .find((field) => !/^enable=/.test(textOf(field)));
  return first === undefined
    ? []
    : [first.map((part) => (typeof part === 'string' ? part.toLowerCase() : part)).filter((part) => part !== '')];
}

function buildPush(inputs: ActionInputs, common: Common, findMetadata: FindMetadata): BuildFact {
  const get = inputs.get;
  const context = get('context');
  const dockerfile = get('file');
  const target = get('target');
  const outputs = lines(get('outputs')).map((output) => ({ output, text: textOf(output) }));
  const digestPush = outputs.find(({ text }) => /push=(true|\$)|type=registry/.test(text));
  const push = digestPush === undefined ? (get('push') ?? literal('false')) : pushOf(digestPush.output);
  // Without `context` the builder fetches the commit from git by itself; what a step changed in the checkout is not in it.
  const remote = context === undefined || /\{\{defaultContext\}\}/.test(textOf(context));
  const below = context === undefined ? undefined : /\{\{defaultContext\}\}:(.+)$/.exec(textOf(context))?.[1];
  const tags = get('tags');
  const metadata = [...findMetadata(tags ?? []), ...(tags === undefined ? findMetadata(get('labels') ?? []) : [])];
  const named = outputs.flatMap(({ output }) => {
    const field = split(output, /,/).find((each) => /^"?name=/.test(textOf(each)));
    return field === undefined
      ? []
      : [
          field
            .map((part) => (typeof part === 'string' ? part.replace(/^"?name=/, '').replaceAll('"', '') : part))
            .filter((part) => part !== ''),
        ];
  });
  const references = [
    ...list(tags).filter((tag) => findMetadata(tag).length === 0),
    ...(digestPush === undefined ? [] : named),
  ];
  return {
    ...emptyBuild(common),
    tool: 'build-push-action',
    references,
    metadata,
    context: remote ? literal(below ?? '.') : (context ?? literal('.')),
    isGitContext: remote,
    isByDigest: outputs.some(({ text }) => /push-by-digest=true/.test(text)),
    ...(dockerfile !== undefined && dockerfile.length > 0 && { dockerfile }),
    ...(target !== undefined && target.length > 0 && { target }),
    platforms: list(get('platforms')),
    args: pairs(lines(get('build-args'))),
    cacheFrom: lines(get('cache-from')),
    cacheTo: lines(get('cache-to')),
    isPushed: isTrue(push, 'no'),
    push,
    secrets: [...lines(get('secrets')), ...lines(get('secret-envs')), ...lines(get('secret-files'))].flatMap(
      (secret) => /^"?([^=]+)=/.exec(textOf(secret))?.[1] ?? [],
    ),
  };
}

/** The field `push=` of an output, which may be an expression; `type=registry` means it. */
function pushOf(output: Value): Value {
  const field = split(output, /,/).find((each) => textOf(each).startsWith('push='));
  return field === undefined
    ? literal('true')
    : field.flatMap((part) => (typeof part === 'string' ? literal(part.replace(/^push=/, '')) : [part]));
}

function trivyAction(get: ActionInputs['get'], common: Common): Fact {
  const type = literalOf(get('scan-type')) ?? 'image';
  const target =
    type === 'image'
      ? 'image'
      : type === 'config'
        ? 'config'
        : ['fs', 'repo', 'rootfs', 'filesystem'].includes(type)
          ? 'filesystem'
          : 'unknown';
  const image = get('image-ref');
  const exit = get('exit-code');
  const format = literalOf(get('format'));
  const ignore = literalOf(get('trivyignores'));
  // A SARIF report holds every severity unless it is limited, and then the exit code counts them all.
  const isUnlimited = format === 'sarif' && isTrue(get('limit-severities-for-sarif'), 'no') === 'no';
  const exitText = exit === undefined ? '0' : literalOf(exit);
  return {
    kind: 'scan',
    ...common,
    tool: 'trivy-action',
    target,
    ...(image !== undefined && { image }),
    severity: isUnlimited ? [] : words(get('severity')),
    ignoreUnfixed: isTrue(get('ignore-unfixed'), 'no'),
    gate: exitText === undefined ? 'unknown' : exitText === '0' || exitText === '' ? 'reports' : 'fails',
    ...(format !== undefined && { format }),
    ...(ignore !== undefined && { ignoreFile: ignore }),
  };
}
