import { readFileSync } from 'node:fs';
import { Ajv } from 'ajv';
import { build } from 'esbuild';
import { beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { pinImages } from '../../src/engine/pinImages.ts';
import { type CiKind, proposeCi, readConfig } from '../../src/engine/project/index.ts';
import { createSystem } from '../../src/engine/system/index.ts';
import { lintWorkflow, readGithubWorkflow, readGitlabPipeline } from '../../src/engine/workflows/index.ts';
import { workspace } from './workspaces.ts';

interface HostParser {
  parseWorkflow(
    file: { readonly name: string; readonly content: string },
    trace: unknown,
  ): {
    readonly value: unknown;
    readonly context: { readonly errors: { getErrors(): readonly { readonly message: string }[] } };
  };
  convertWorkflowTemplate(context: unknown, value: unknown): Promise<{ readonly jobs?: readonly unknown[] }>;
  readonly NoOperationTraceWriter: new () => unknown;
}

interface GeneratedJobs {
  readonly jobs: Readonly<Record<string, { readonly steps?: readonly object[] }>>;
}

let host: HostParser;
// GitHub's own parser. It imports JSON in a way that Node refuses, so it is bundled first.
beforeAll(async () => {
  const bundle = await build({
    stdin: { contents: "export * from '@actions/workflow-parser';", resolveDir: import.meta.dirname },
    bundle: true,
    platform: 'node',
    format: 'cjs',
    write: false,
    logLevel: 'silent',
  });
  const holder: { exports: unknown } = { exports: {} };
  const { createRequire } = await import('node:module');
  new Function('module', 'exports', 'require', bundle.outputFiles[0]?.text ?? '')(
    holder,
    holder.exports,
    createRequire(import.meta.url),
  );
  host = holder.exports as HostParser;
});

/** What GitHub itself says is wrong with a workflow. */
async function hostErrors(text: string): Promise<readonly string[]> {
  const { context, value } = host.parseWorkflow({ name: 'w.yml', content: text }, new host.NoOperationTraceWriter());
  await host.convertWorkflowTemplate(context, value);
  return context.errors.getErrors().map((error) => error.message);
}

const IMAGES =
  'images:\n  api: { repository: ghcr.io/acme/shop-api, platforms: [linux/amd64, linux/arm64] }\n  web: { repository: r.example.com/acme/web }\n';
const POSTGRES = 'test: [{ name: unit, run: [pytest], services: { postgres: { image: "postgres:16" } } }]\n';
/** The five set-ups. */
const SETUPS: Readonly<Record<string, string>> = {
  'Postgres for the tests, manifests': `${IMAGES}${POSTGRES}environments: { dev: { deploy: { manifests: { paths: deploy } } } }\n`,
  'a kind cluster': `${IMAGES}environments: { dev: { context: kind-shop, deploy: { kustomize: { path: k8s } } } }\n`,
  'Helm to a cluster': `${IMAGES}tags: ["{semver}"]\nenvironments: { dev: { deploy: { helm: { chart: c } } }, prod: { protected: true, deploy: { helm: { chart: c } } } }\n`,
  Flux: `${IMAGES}environments: { dev: { deploy: { flux: { policies: [shop-api] } } } }\n`,
  'Argo CD': `${IMAGES}environments: { dev: { deploy: { argocd: { application: shop } } } }\n`,
};
const system = createSystem({ isTrusted: () => false });
async function generate(kind: CiKind, config: string, options: { readonly package?: string } = {}) {
  const root = workspace({ '.git/HEAD': 'ref: refs/heads/trunk\n' });
  const project = readConfig(`version: 1\n${config}`, `${root}/slipway.yaml`, root);
  expect(project.diagnostics).toEqual([]);
  return proposeCi(system, project, kind, options);
}

/** The schemas that the hosts' editors and linters use, without their prose. */
const published = (name: 'github-workflow' | 'gitlab-ci') => {
  const text = readFileSync(new URL(`../ci/schemas/${name}.json`, import.meta.url), 'utf8');
  return new Ajv({ strict: false, allErrors: true, validateFormats: false }).compile(JSON.parse(text));
};
const schemas = {
  github: published('github-workflow'),
  gitea: published('github-workflow'),
  gitlab: published('gitlab-ci'),
};

describe('slipway init --ci', () => {
  it.each(
    Object.keys(SETUPS).flatMap((name) =>
      (['github', 'gitlab', 'gitea'] as const).map((kind) => [kind, name] as const),
    ),
  )("%s, %s: is valid by the host's published schema", async (kind, name) => {
    const { text } = await generate(kind, SETUPS[name] ?? '');
    const validate = schemas[kind];
    expect(validate(parse(text)), JSON.stringify(validate.errors)).toBe(true);
  });

  it('would hear of a mistake from the schemas', async () => {
    const github = await generate('github', SETUPS.Flux ?? '');
    expect(schemas.github(parse(github.text.replace('runs-on:', 'run-on:')))).toBe(false);
    const gitlab = await generate('gitlab', SETUPS.Flux ?? '');
    expect(schemas.gitlab(parse(gitlab.text.replace('  script:', '  scripts:')))).toBe(false);
  });

  it('lets exactly those jobs push whose deploy is a commit', async () => {
    for (const [name, config] of Object.entries(SETUPS)) {
      const isCommit = name === 'Flux' || name === 'Argo CD';
      const { text } = await generate('github', config);
      expect(text.includes('contents: write'), name).toBe(isCommit);
      expect(text.includes('persist-credentials: true'), name).toBe(isCommit);
      const gitlab = (await generate('gitlab', config)).text;
      expect(gitlab.includes('GIT_PUSH_TOKEN'), name).toBe(isCommit);
    }
  });

  const cases = Object.entries(SETUPS).flatMap(([name, config]) =>
    (['github', 'gitea'] as const).map((kind) => [kind, name, config] as const),
  );
  it.each(cases)(
    '%s, %s: is valid for the host, and has no mistake that our own lint knows',
    async (kind, _name, config) => {
      const { text, file } = await generate(kind, config, { package: '@acme/slipway@1.0.0' });
      expect(await hostErrors(text)).toEqual([]);
      const workflow = readGithubWorkflow(text, file, { host: kind });
      expect(lintWorkflow(workflow)).toEqual([]);
      expect(workflow.jobs.map((job) => job.id)).toContain('deploy-dev');
      const pins = [...text.matchAll(/uses: (\S+)(.*)/g)];
      expect(pins.length).toBeGreaterThan(4);
      for (const [, use = '', comment = ''] of pins) {
        expect(use).toMatch(/@[0-9a-f]{40}$/);
        expect(comment).toMatch(/^ # v\d+\.\d+\.\d+$/);
        expect(/^https:\/\/(github\.com|code\.forgejo\.org)\//.test(use)).toBe(kind === 'gitea');
      }
    },
  );

  it('would hear of a mistake from the host', async () => {
    const { text } = await generate('github', SETUPS.Flux ?? '');
    expect((await hostErrors(text.replace('runs-on:', 'run-on:'))).length).toBeGreaterThan(0);
  });

  it.each(Object.entries(SETUPS))('gitlab, %s: stages, needs and environments in order', async (_name, config) => {
    const { text, file } = await generate('gitlab', config);
    const pipeline = readGitlabPipeline(text, file);
    expect(pipeline.diagnostics).toEqual([]);
    expect(lintWorkflow(pipeline)).toEqual([]);
    const [first, ...deploys] = pipeline.jobs;
    expect(first?.id).toBe('pipeline');
    for (const job of deploys)
      expect([job.needs, job.environment?.name]).toEqual([['pipeline'], [job.id.replace('deploy-', '')]]);
    expect(deploys.length).toBeGreaterThan(0);
    const hasTests = /^test:/m.test(config);
    expect(first?.junit).toEqual(hasTests ? ['.slipway/runs/*/reports/test-*.xml'] : undefined);
  });

  it('keeps the reports of every job, also of one that failed', async () => {
    const config = `${IMAGES.replace('web }', 'web, sbom: true }')}${POSTGRES}environments: { dev: { deploy: { manifests: { paths: k8s } } }, prod: { protected: true, deploy: { manifests: { paths: k8s } } } }\n`;
    for (const kind of ['github', 'gitea'] as const) {
      const { text } = await generate(kind, config);
      const jobs = Object.values((parse(text) as GeneratedJobs).jobs);
      expect(jobs.map(({ steps }) => steps?.at(-1))).toEqual(
        ['slipway-reports', 'slipway-reports-dev', 'slipway-reports-prod'].map((name) => ({
          name: 'Keep the reports',
          if: 'always()',
          uses: expect.stringContaining('/upload-artifact@'),
          with: {
            name,
            path: '.slipway/runs/*/reports/',
            // GitHub's action leaves names with a dot out unless told.
            ...(kind === 'github' && { 'include-hidden-files': true }),
            overwrite: true,
            'if-no-files-found': 'ignore',
          },
        })),
      );
    }
    const gitlab = parse((await generate('gitlab', config)).text) as Readonly<
      Record<string, { readonly artifacts?: object }>
    >;
    const kept = {
      name: 'slipway-reports',
      when: 'always',
      paths: ['.slipway/runs/*/reports/'],
      expire_in: '30 days',
    };
    const reports = {
      junit: '.slipway/runs/*/reports/test-*.xml',
      cyclonedx: '.slipway/runs/*/reports/sbom-*.cdx.json',
    };
    expect(gitlab.pipeline?.artifacts).toEqual({ ...kept, reports });
    expect(gitlab['deploy-dev']?.artifacts).toEqual(kept);
    expect(gitlab['deploy-prod']?.artifacts).toEqual(kept);
  });

  it('stops pull requests at the gate and never deploys protected environments by a push', async () => {
    const { text } = await generate('github', SETUPS['Helm to a cluster'] ?? '');
    const workflow = readGithubWorkflow(text, '/w.yml');
    const conditions = Object.fromEntries(workflow.jobs.map((job) => [job.id, job.condition]));
    expect(conditions['deploy-dev']).toContain("github.event_name == 'push'");
    expect(conditions['deploy-prod']).toBe("github.event_name == 'workflow_dispatch' && inputs.environment == 'prod'");
    expect(text).toMatch(/if: github\.event_name == 'pull_request'\n\s+run: slipway run --until scan\n/);
    expect(text).toContain('run: slipway run --env prod --only deploy,smoke --yes\n');
    expect(text).toContain("tags: ['v*', '[0-9]*']");
    const gitlab = (await generate('gitlab', SETUPS['Helm to a cluster'] ?? '')).text;
    expect(gitlab).toMatch(/deploy-prod:[\s\S]*- when: manual/);
  });

  it('asks for what it cannot know, and guesses no package name', async () => {
    for (const kind of ['github', 'gitlab', 'gitea'] as const) {
      const { text } = await generate(kind, SETUPS.Flux ?? '');
      expect(text).toContain('SLIPWAY_PACKAGE');
      expect(text).not.toMatch(/npm install .* slipway(@|\s|$)/m);
      expect(text).toContain('trunk');
      expect(text).toContain('R_EXAMPLE_COM_PASSWORD');
    }
    const local = await generate('github', 'images: { a: { repository: localhost:5000/a } }\n');
    expect(local.text).toContain('CHANGE THIS FIRST');
    expect(local.text).not.toContain('docker/login-action');
  });

  it('keeps a package that looks like shell code one word', async () => {
    const { text } = await generate('gitlab', SETUPS.Flux ?? '', { package: "x; echo 'y'" });
    expect(text).toContain("npm install --global --no-audit --no-fund 'x; echo '\\''y'\\'''");
  });

  it('pins the images of a GitLab pipeline by what the registry has now', async () => {
    const asked: string[] = [];
    const online = {
      ...createSystem({ env: {}, isTrusted: () => true }),
      fetch: (async (url: URL | string) => {
        asked.push(String(url));
        return new Response(null, { headers: { 'docker-content-digest': `sha256:${'a'.repeat(64)}` } });
      }) as typeof fetch,
    };
    const { text } = await generate('gitlab', SETUPS['a kind cluster'] ?? '');
    const pinned = await pinImages(online, text, new AbortController().signal);
    expect(schemas.gitlab(parse(pinned))).toBe(true);
    expect(pinned).toMatch(/image: docker:[\d.]+-cli@sha256:a{64}\n/);
    expect(pinned).toMatch(/name: docker:[\d.]+-dind@sha256:a{64}\n/);
    expect(pinned).toMatch(/docker create aquasec\/trivy:[\d.]+@sha256:a{64}\)/);
    expect(pinned).toContain("DOCKER_HOST: 'tcp://docker:2376'");
    expect(pinned).toContain('https://docker:6443');
    expect(pinned).not.toContain('Pin the images');
    expect(new Set(asked).size).toBe(4);
    expect(asked.every((url) => url.includes('/manifests/'))).toBe(true);
  });
});
