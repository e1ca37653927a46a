import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import type { KubeObject } from '../../src/engine/cluster/index.ts';
import type { ClusterAccess } from '../../src/engine/deploy/access.ts';
import { FluxDeployer } from '../../src/engine/deploy/flux.ts';
import { repositoryPath } from '../../src/engine/deploy/fluxGit.ts';
import { obstaclesFor } from '../../src/engine/deploy/ownership.ts';
import { Secrets } from '../../src/engine/events/secrets.ts';
import type { FluxDeploy, RollbackWay } from '../../src/engine/project/model.ts';
import { createSystem } from '../../src/engine/system/index.ts';
import { IMAGE, installation, notReady, object, type PartName, type Parts } from './fluxObjects.ts';
import { workspace } from './workspaces.ts';

const { signal } = new AbortController();
const TAGS = ['1.0.10', '1.0.11', '1.0.12'];
/** The registry as the API answers: the tags above. */
const system = createSystem({
  fetch: async (input) => {
    const { pathname } = new URL(String(input));
    if (pathname.endsWith('/tags/list')) return Response.json({ name: 'shop/api', tags: TAGS });
    return new Response('{}', { status: pathname === '/v2/' ? 200 : 404 });
  },
});

const git = (folder: string, ...args: readonly string[]): string =>
  execFileSync('git', ['-c', 'user.name=Kim', '-c', 'user.email=kim@example.com', '-C', folder, ...args], {
    env: { ...process.env, GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_SYSTEM: '/dev/null' },
    encoding: 'utf8',
    stdio: 'pipe',
  }).trim();

const APP = `kind: Deployment\r\nspec:\r\n  image:  ${IMAGE}:1.0.12   # {"$imagepolicy": "flux-system:api"}\r\n`;
const FILES = {
  'apps/api.yaml': APP,
  'apps/other.yaml': 'a: 1 # {"$imagepolicy": "flux-system:other"}\n',
  'beside/api.yaml': `image: ${IMAGE}:1.0.12 # {"$imagepolicy": "flux-system:api"}\n`,
  'flux/images.yaml': `apiVersion: image.toolkit.fluxcd.io/v1
kind: ImageRepository
metadata: { name: api, namespace: flux-system }
spec: { image: ${IMAGE} }
---
apiVersion: image.toolkit.fluxcd.io/v1
kind: ImagePolicy
metadata: { name: api, namespace: flux-system }
spec:
  imageRepositoryRef: { name: api }
  policy: { semver: { range: 1.0.x } } # every commit
---
apiVersion: image.toolkit.fluxcd.io/v1
kind: ImageUpdateAutomation
metadata: { name: fleet, namespace: flux-system }
spec:
  sourceRef: { kind: GitRepository, name: fleet }
  update: { path: ./apps, strategy: Setters }
`,
};

/** `acme/fleet.git` as a bare repository, and a clone of it. */
function repository(files: Readonly<Record<string, string>> = FILES): {
  readonly remote: string;
  readonly clone: string;
} {
  const remote = workspace({}, 'fleet.git');
  git(remote, 'init', '--quiet', '--bare', '--initial-branch=main');
  const clone = workspace(files);
  git(clone, 'init', '--quiet', '--initial-branch=main');
  git(clone, 'add', '--all');
  git(clone, 'commit', '--quiet', '-m', 'first');
  git(clone, 'remote', 'add', 'origin', remote);
  git(clone, 'push', '--quiet', 'origin', 'main');
  return { remote, clone };
}

function access(objects: readonly KubeObject[]): ClusterAccess {
  const unexpected = () => Promise.reject(new Error('not asked for'));
  return {
    context: 'test',
    get: async ({ kind, name }) => objects.find((one) => one.kind === kind && one.metadata.name === name),
    list: async ({ apiVersion, kind }) => objects.filter((one) => one.kind === kind && one.apiVersion === apiVersion),
    isNamespaced: async (apiVersion, kind) =>
      apiVersion.includes('toolkit.fluxcd.io/v1') && !apiVersion.endsWith('beta2') && kind !== 'HelmRelease'
        ? true
        : undefined,
    apply: unexpected,
    create: unexpected,
    merge: unexpected,
    patch: unexpected,
    remove: unexpected,
  };
}

interface Options {
  readonly changes?: Partial<Record<PartName, Parts | null>>;
  readonly config?: Partial<FluxDeploy>;
  readonly tag?: string;
  readonly image?: string;
  readonly how?: RollbackWay;
  readonly files?: Readonly<Record<string, string>>;
  readonly more?: readonly KubeObject[];
}

function deployer({ changes = {}, config = {}, tag = '1.0.13', image = IMAGE, how, files, more = [] }: Options = {}) {
  const { remote, clone } = repository(files);
  const source: Parts = { spec: { url: remote, ref: { branch: 'main' } } };
  const { objects, workloads } = installation({ source, ...changes }, more);
  const flux: FluxDeploy = {
    kind: 'flux',
    policies: ['api'],
    write: 'auto',
    repository: clone,
    remote: 'origin',
    ...config,
  };
  const request = {
    environment: {
      name: 'home',
      namespace: 'shop',
      isProtected: false,
      deploy: flux,
      rollout: { rollback: true },
      smoke: [],
      place: { file: '/slipway.yaml' },
    },
    images: tag === '' ? [] : [{ name: 'api', repository: image, tag }],
  } as const;
  return new FluxDeployer({
    system,
    secrets: new Secrets(),
    access: access([...objects, ...workloads]),
    request,
    config: flux,
    ...(how !== undefined && { how }),
  });
}

describe('a deploy through Flux, before anything is written', () => {
  it('renders the live workloads with the new reference, and watches them', async () => {
    const flux = deployer();
    const rendered = await flux.render(signal);
    expect(rendered.images).toEqual({ api: `${IMAGE}:1.0.13` });
    expect(flux.targets(rendered)).toEqual([
      { apiVersion: 'apps/v1', kind: 'Deployment', name: 'api', namespace: 'shop' },
    ]);
    expect(JSON.stringify(rendered.objects)).toContain(`${IMAGE}:1.0.13`);
    const [diff] = await flux.diff(signal);
    expect(diff?.changes.map(({ after }) => after)).toEqual([`${IMAGE}:1.0.13`]);
  });

  const refused: readonly (readonly [string, Options, string, RegExp])[] = [
    [
      'a tag below the latest',
      { tag: '1.0.11' },
      'flux.bounces',
      /the policy chooses 1\.0\.12 before 1\.0\.11, and fleet writes that again/,
    ],
    ['a tag out of range', { tag: '2.0.0' }, 'flux.bounces', /fleet writes that again/],
    [
      'a suspended Kustomization',
      { changes: { kustomization: { spec: { suspend: true } } } },
      'flux.suspended',
      /Kustomization flux-system\/apps is suspended/,
    ],
    [
      'an image of somebody else',
      { image: 'ghcr.io/acme/web' },
      'flux.foreign-image',
      /follows localhost:5000\/shop\/api/,
    ],
    ['a policy that is not there', { config: { policies: ['web'] } }, 'flux.unknown', /no Flux object "web"/],
    [
      'no automation although one is asked for',
      { changes: { automation: { spec: { suspend: true } } }, config: { write: 'automation' } },
      'flux.no-automation',
      /No active/,
    ],
    [
      'nothing that leads to git',
      { changes: { automation: null, kustomization: null } },
      'flux.no-source',
      /Nothing tells/,
    ],
  ];
  it.each(refused)('refuses %s', async (_what, options, code, message) => {
    const flux = deployer(options);
    const error = await flux.render(signal).then(
      () => undefined,
      (problem: unknown) => problem,
    );
    expect(error).toMatchObject({ code, message: expect.stringMatching(message) });
  });

  it('tells what is stuck on the way already', async () => {
    const conditions = [notReady('GitOperationFailed', 'failed to checkout: authentication required')];
    const answers = await deployer({ changes: { automation: { conditions } } }).concerns(signal);
    expect(answers).toMatchObject([
      {
        certainty: 'suspicious',
        code: 'flux.git-auth',
        message: expect.stringContaining('ImageUpdateAutomation flux-system/fleet'),
      },
    ]);
    expect(await deployer().concerns(signal)).toEqual([]);
  });

  it.each([
    ['takes', { alphabetical: { order: 'asc' } }, undefined, /takes the tag slipway-staging/],
    ['fails for', { numerical: { order: 'asc' } }, undefined, /is not a number/],
    ['does not see', { alphabetical: { order: 'asc' } }, ['^.*\\.sig$', '^slipway-staging$'], undefined],
  ] as const)('a policy that %s the tag which builds pass through', async (_what, policy, exclusionList, words) => {
    const changes = {
      policy: { spec: { policy } },
      ...(exclusionList !== undefined && { repository: { spec: { exclusionList } } }),
    };
    const answers = await deployer({ changes }).concerns(signal);
    expect(answers.map(({ code }) => code)).toEqual(words === undefined ? [] : ['flux.staging-tag']);
    if (words !== undefined) expect(answers[0]?.message).toMatch(words);
  });

  it('reminds of a suspended automation in whose place it writes', async () => {
    const annotations = {
      'slipway.dev/suspended-why': '1.0.11 leaks',
      'slipway.dev/suspended-by': 'kim',
      'slipway.dev/suspended-at': '2026-11-20T07:30:00Z',
    };
    const rendered = await deployer({
      changes: { automation: { spec: { suspend: true }, metadata: { annotations } } },
    }).render(signal);
    expect(rendered.warnings).toEqual([
      'ImageUpdateAutomation flux-system/fleet is suspended: 1.0.11 leaks (kim, 2026-11-20). This run writes git in its place.',
    ]);
  });

  it('takes a registry of another name inside the cluster by its path', async () => {
    const rendered = await deployer({ image: 'registry.example.com/shop/api' }).render(signal);
    expect(rendered.images).toEqual({ api: `${IMAGE}:1.0.13` });
  });

  it('its own objects are no obstacle, others are', () => {
    const marked = (labels: object) => object('Deployment', 'api', { metadata: { labels } }, 'shop');
    const flux = marked({ 'kustomize.toolkit.fluxcd.io/name': 'apps' });
    const argo = object(
      'Deployment',
      'api',
      { metadata: { annotations: { 'argocd.argoproj.io/tracking-id': 'shop:apps/Deployment:shop/api' } } },
      'shop',
    );
    expect(obstaclesFor({ kind: 'flux' }, [flux])).toEqual([]);
    expect(obstaclesFor({ kind: 'flux' }, [argo]).map(({ owner }) => owner.kind)).toEqual(['argocd']);
    expect(obstaclesFor({ kind: 'manifests' }, [flux]).map(({ owner }) => owner.kind)).toEqual(['flux']);
  });
});

describe('ways back under Flux', () => {
  const back = (options: Options = {}) => deployer({ tag: '', ...options });

  it('goes to the last verified version, else to what served before', async () => {
    const served = await back().wayBack({ from: null, previous: null, signal });
    expect(served).toMatchObject({
      kind: 'revision',
      revision: '1.0.11',
      trust: 'served',
      images: [`${IMAGE}:1.0.11`],
    });
    const annotations = { 'slipway.dev/verified-tags': '1.0.12@2026-11-21T09:00:00Z 1.0.10@2026-11-20T09:00:00Z' };
    const verified = await back({ changes: { policy: { metadata: { annotations } } } }).wayBack({
      from: null,
      previous: '1.0.11',
      signal,
    });
    expect(verified).toMatchObject({ revision: '1.0.10', trust: 'verified' });
    const wanted = await back().wayBack({ from: null, previous: null, wanted: '1.0.9', signal });
    expect(wanted).toMatchObject({ revision: '1.0.9', trust: 'served' });
    const none = await back({ config: { rollback: 'none' } }).wayBack({ from: null, previous: null, signal });
    expect(none).toMatchObject({ kind: 'none', why: expect.stringContaining('rollback: none') });
  });

  it('shows each way with its edits and what the controllers would do; only marked values below the update path change', async () => {
    const ways = await back().ways('1.0.11', signal);
    expect(ways.map(({ how, verdict, tag }) => [how, verdict, tag])).toEqual([
      ['exclude', 'sticks', '1.0.11'],
      ['pin', 'sticks', '1.0.11'],
      ['suspend', 'sticks', '1.0.11'],
      ['revert', 'bounces', '1.0.11'],
    ]);
    const files = (how: RollbackWay) => ways.find((way) => way.how === how)?.files ?? [];
    const changed = (how: RollbackWay) =>
      files(how)
        .map(({ path }) => path)
        .sort();
    expect(changed('exclude')).toEqual(['apps/api.yaml', 'flux/images.yaml']);
    expect(changed('revert')).toEqual(['apps/api.yaml']);
    const app = files('exclude').find(({ path }) => path === 'apps/api.yaml');
    expect(app?.after).toBe(APP.replace('1.0.12', '1.0.11'));
    const rules = files('exclude').find(({ path }) => path === 'flux/images.yaml');
    expect(rules?.after).toMatch(/range: "?1\.0\.x !=1\.0\.12"? \} \} # every commit\n/);
    expect(files('pin').find(({ path }) => path === 'flux/images.yaml')?.after).toMatch(/range: 1\.0\.11 /);
    expect(files('suspend').find(({ path }) => path === 'flux/images.yaml')?.after).toContain('suspend: true');
    const revert = ways.find(({ how }) => how === 'revert');
    expect(revert?.next.at(-1)?.does).toBe('writes 1.0.12 again at the next run of fleet');
  });

  it('excluding goes to the next best version, and says so when that is another one', async () => {
    const ways = await back().ways('1.0.10', signal);
    expect(ways.find(({ how }) => how === 'exclude')).toMatchObject({ verdict: 'differs', tag: '1.0.11' });
    expect(ways.find(({ how }) => how === 'pin')).toMatchObject({ verdict: 'sticks', tag: '1.0.10' });
    expect(ways[0]?.how).not.toBe('exclude');
  });

  it('a revert stays where the automation is suspended', async () => {
    const ways = await back({ changes: { automation: { spec: { suspend: true } } } }).ways('1.0.11', signal);
    expect(ways.find(({ how }) => how === 'revert')).toMatchObject({ verdict: 'sticks' });
  });

  it('says when the policy is in another repository, and when a file holds no marker', async () => {
    const ways = await back({ files: { 'apps/api.yaml': APP } }).ways('1.0.11', signal);
    expect(ways.map(({ how }) => how)).toEqual(['revert']);
    await expect(back({ files: { 'apps/api.yaml': 'a: 1\n' } }).ways('1.0.11', signal)).resolves.toEqual([]);
  });

  it('two policies in one file go back together, each by its own rule', async () => {
    const second = (text: string) => text.replace(/\bapi\b/g, 'web');
    const [repositoryOf, policyOf] = ['ImageRepository', 'ImagePolicy'].map((kind) =>
      installation().objects.find((one) => one.kind === kind),
    );
    const workload = installation().workloads[0];
    const more = [repositoryOf, policyOf, workload].map((one) => JSON.parse(second(JSON.stringify(one))) as KubeObject);
    const entries = ['api', 'web'].map((name) => ({ id: `shop_${name}_apps_Deployment`, v: 'v1' }));
    const documents = FILES['flux/images.yaml'].split('---\n');
    const files = {
      'apps/api.yaml': APP,
      'apps/web.yaml': second(APP),
      'flux/images.yaml': [...documents, ...documents.slice(0, 2).map(second)].join('---\n'),
    };
    const flux = back({
      files,
      more,
      config: { policies: ['flux-system/api', 'flux-system/web'] },
      changes: { kustomization: { status: { inventory: { entries } } } },
    });
    const way = await flux.wayBack({ from: null, previous: null, signal });
    expect(way).toMatchObject({ revision: 'flux-system:api=1.0.11 flux-system:web=1.0.11' });
    const ways = await flux.ways('flux-system:api=1.0.11 flux-system:web=1.0.10', signal);
    const pin = ways.find(({ how }) => how === 'pin');
    expect(pin).toMatchObject({ verdict: 'sticks', tag: '1.0.11, 1.0.10' });
    const after = Object.fromEntries(pin?.files.map((file) => [file.path, file.after]) ?? []);
    expect(after['apps/api.yaml']).toBe(APP.replace('1.0.12', '1.0.11'));
    expect(after['apps/web.yaml']).toBe(second(APP).replace('1.0.12', '1.0.10'));
    let round = 0;
    expect(after['flux/images.yaml']).toBe(
      files['flux/images.yaml'].replace(/range: 1\.0\.x/g, () => {
        round += 1;
        return `range: 1.0.1${round === 1 ? 1 : 0}`;
      }),
    );
    await expect(flux.ways('1.0.11', signal)).rejects.toMatchObject({ code: 'flux.which-policy' });
  });

  it('refuses a checkout of another repository', async () => {
    const source: Parts = { spec: { url: 'https://git.example.com/acme/elsewhere', ref: { branch: 'main' } } };
    await expect(back({ changes: { source } }).ways('1.0.11', signal)).rejects.toMatchObject({
      code: 'flux.other-repository',
    });
  });

  it('lists what the branch has held, newest first', async () => {
    const flux = back();
    const [first] = await flux.history(signal);
    expect(first).toMatchObject({
      revision: '1.0.12',
      isLive: true,
      isVerified: false,
      description: expect.stringContaining('Kim: first'),
    });
  });
});

describe('addresses of one repository', () => {
  it.each([
    ['https://git.example.com/acme/fleet', 'acme/fleet'],
    ['https://git.example.com/acme/fleet.git', 'acme/fleet'],
    ['ssh://git@git.example.com:2222/acme/fleet.git', 'acme/fleet'],
    ['git@git.example.com:acme/fleet.git', 'acme/fleet'],
    ['http://gitea.gitea.svc.cluster.local:3000/Acme/Fleet', 'acme/fleet'],
  ])('%s', (url, path) => expect(repositoryPath(url)).toBe(path));
});
