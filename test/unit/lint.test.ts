import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  askPush,
  fixedFiles,
  lintWorkspace,
  loopAnswers,
  type PushQuestion,
  readWorkspace,
} from '../../src/engine/lint/index.ts';
import { createSystem } from '../../src/engine/system/index.ts';
import { judgeRule } from '../../src/engine/workflows/index.ts';
import { workspace } from './workspaces.ts';

const system = createSystem();

const flux = (more = '', path = './clusters') => `apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata: { name: app, namespace: flux-system }
spec: { url: https://git.example.com/acme/app, interval: 1m, ref: { branch: main } }
---
apiVersion: image.toolkit.fluxcd.io/v1
kind: ImageRepository
metadata: { name: app, namespace: flux-system }
spec: { image: ghcr.io/acme/app, interval: 1m }
---
apiVersion: image.toolkit.fluxcd.io/v1
kind: ImagePolicy
metadata: { name: app, namespace: flux-system }
spec:
  imageRepositoryRef: { name: app }
  filterTags: { pattern: '^main-(?P<n>[0-9]+)$', extract: $n }
  policy: { numerical: { order: asc } }
---
apiVersion: image.toolkit.fluxcd.io/v1
kind: ImageUpdateAutomation
metadata:
  name: apps
  namespace: flux-system
spec:
  interval: 1m
  sourceRef: { kind: GitRepository, name: app }
  git:
    commit:
      author: { email: bot@example.com }
${more}  update:
    path: ${path}
    strategy: Setters
`;
const manifest = `apiVersion: apps/v1
kind: Deployment
metadata: { name: app }
spec:
  template:
    spec:
      containers:
        - name: app
          image: ghcr.io/acme/app:main-1 # {"$imagepolicy": "flux-system:app"}
`;
const github = (on: string, tag = 'main-${{ github.run_number }}') => `name: build
${on}
jobs:
  image:
    runs-on: ubuntu-latest
    permissions: { contents: read, packages: write }
    steps:
      - uses: actions/checkout@08c6903cd8c0fde910a37f88322edcfb5dd907a8
      - run: docker build -t ghcr.io/acme/app:${tag} .
      - run: docker push ghcr.io/acme/app:${tag}
`;
const gitlab = (rules: string) => `build:
  script:
    - docker build -t ghcr.io/acme/app:main-$CI_PIPELINE_IID .
    - docker push ghcr.io/acme/app:main-$CI_PIPELINE_IID
${rules}`;

const files = (workflow: string, text: string, automation = flux()) => ({
  Dockerfile: 'FROM scratch\n',
  [workflow]: text,
  'clusters/flux.yaml': automation,
  'clusters/app.yaml': manifest,
});
const GITHUB = '.github/workflows/build.yml';
const GITEA = '.gitea/workflows/build.yml';
const GITLAB = '.gitlab-ci.yml';

const loopsOf = async (root: string) => loopAnswers(await readWorkspace(system, root));
const feedback = async (root: string) =>
  (await lintWorkspace(system, root)).filter(({ code }) => code.startsWith('ci.feedback'));

describe('feedback loops of a workspace', () => {
  it.each([
    ['every push', files(GITHUB, github('on:\n  push:\n    branches: [main]')), 'loop'],
    ['every push, Gitea', files(GITEA, github('on: { push: { branches: [main] } }')), 'loop'],
    [
      'a push of what no step is seen to build',
      files(GITHUB, github('on: push').replace(/ {6}- run: docker build.*\n/, '')),
      'loop',
    ],
    ['GitLab, only a push', files(GITLAB, gitlab('').replace(/ {4}- docker build.*\n/, '')), 'loop'],
    ['another branch', files(GITHUB, github('on:\n  push:\n    branches: [release]')), 'safe'],
    ['only pull requests', files(GITHUB, github('on: pull_request')), 'safe'],
    ['a path filter', files(GITHUB, github("on:\n  push:\n    paths: ['**', '!clusters/**']")), 'safe'],
    ['an ignored path', files(GITEA, github('on:\n  push:\n    paths-ignore: [clusters/**]')), 'safe'],
    ['a tag that moves', files(GITHUB, github('on: push', 'main')), 'noise'],
    ['tags that the policy does not take', files(GITHUB, github('on: push', 'sha-${{ github.sha }}')), 'noise'],
    ['[skip ci]', files(GITHUB, github('on: push'), flux('      messageTemplate: "bump [skip ci]"\n')), 'guarded'],
    [
      'a push to another branch',
      files(GITHUB, github('on:\n  push:\n    branches: [main]'), flux('    push: { branch: bumps }\n')),
      'safe',
    ],
    ['GitLab, no rules', files(GITLAB, gitlab('')), 'loop'],
    ['GitLab, the branch', files(GITLAB, gitlab('  rules:\n    - if: $CI_COMMIT_BRANCH == "main"\n')), 'loop'],
    ['GitLab, another branch', files(GITLAB, gitlab('  rules:\n    - if: $CI_COMMIT_BRANCH == "prod"\n')), 'safe'],
    ['GitLab, only', files(GITLAB, gitlab('  only: [tags]\n')), 'safe'],
    ['GitLab, except', files(GITLAB, gitlab('  except: { changes: [clusters/**/*] }\n')), 'safe'],
    ['GitLab, changes', files(GITLAB, gitlab('  rules:\n    - changes: [src/**/*]\n')), 'safe'],
    ['GitLab, a variable of the project', files(GITLAB, gitlab('  rules:\n    - if: $DEPLOY == "yes"\n')), 'unknown'],
    [
      'GitLab, workflow:rules on the author',
      files(GITLAB, `workflow:\n  rules:\n    - if: $CI_COMMIT_TAG\n${gitlab('')}`),
      'safe',
    ],
    ['GitLab, ci.skip', files(GITLAB, gitlab(''), flux('    push: { options: { ci.skip: "" } }\n')), 'guarded'],
  ] as const)('%s', async (_name, content, verdict) => {
    const answers = await loopsOf(workspace(content));
    expect(answers).toHaveLength(1);
    expect(answers[0]?.reason).toMatch(/\S/);
    expect(answers[0]?.verdict).toBe(verdict);
    expect(answers[0]?.files).toEqual(['clusters/app.yaml']);
  });

  it('offers the path filter first, then [skip ci], each as an edit that leaves every other byte', async () => {
    const root = workspace(files(GITHUB, github('on:\r\n  push:\r\n    branches: [main] # ours')));
    const [finding] = await feedback(root);
    expect(finding?.severity).toBe('error');
    expect(finding?.place.range?.start.line).toBe(2);
    expect(finding?.fixes.map(({ title }) => title)).toEqual([
      'Add clusters/** to paths-ignore of .github/workflows/build.yml',
      'Add [skip ci] to the commit message',
    ]);
    expect(finding?.fixes[0]?.warning).toMatch(/required check/);
    const [fixed] = await fixedFiles(system, finding === undefined ? [] : [finding]);
    expect(fixed?.after).toBe(
      fixed?.before.replace('[main] # ours', '[main] # ours\r\n    paths-ignore:\r\n      - clusters/**'),
    );
    writeFileSync(fixed?.file ?? '', fixed?.after ?? '');
    expect((await loopsOf(root))[0]?.verdict).toBe('safe');
  });

  it('has only the commit message to offer where the trigger has no place for a filter', async () => {
    const root = workspace(files(GITEA, github('on: push')));
    const [finding] = await feedback(root);
    expect(finding?.fixes.map(({ title }) => title)).toEqual(['Add [skip ci] to the commit message']);
    const [fixed] = await fixedFiles(system, finding === undefined ? [] : [finding]);
    expect(fixed?.file).toBe(join(root, 'clusters/flux.yaml'));
    writeFileSync(fixed?.file ?? '', fixed?.after ?? '');
    expect((await loopsOf(root))[0]?.verdict).toBe('guarded');
  });

  it('gives GitLab the push option', async () => {
    const root = workspace(files(GITLAB, gitlab('')));
    const [finding] = await feedback(root);
    const [fixed] = await fixedFiles(system, finding === undefined ? [] : [finding]);
    expect(finding?.fixes[0]?.title).toBe('Push with the option ci.skip');
    writeFileSync(fixed?.file ?? '', fixed?.after ?? '');
    expect((await loopsOf(root))[0]?.verdict).toBe('guarded');
  });

  it('is silent about a bot that commits to another repository', async () => {
    const root = workspace({
      ...files(GITHUB, github('on: push')),
      '.git/config': '[remote "origin"]\n\turl = https://git.example.com/acme/other.git\n',
    });
    expect(await loopsOf(root)).toEqual([]);
  });
});

describe('"slipway lint"', () => {
  it('lists worst first, and fixes what has one answer', async () => {
    const bad = github('on:\n  pull_request:').replace(
      '      - run: docker build',
      '      - uses: aquasecurity/trivy-action@0.28.0\n      - run: docker build',
    );
    const root = workspace({ Dockerfile: 'FROM scratch\n', [GITHUB]: bad });
    const findings = await lintWorkspace(system, root);
    expect(findings[0]?.code).toBe('ci.malicious-action');
    for (const { file, after } of await fixedFiles(system, findings)) writeFileSync(file, after);
    expect(readFileSync(join(root, GITHUB), 'utf8')).toBe(
      bad.replace('aquasecurity/trivy-action@0.28.0', 'aquasecurity/trivy-action@v0.36.0'),
    );
    expect((await lintWorkspace(system, root)).filter(({ severity }) => severity === 'error')).toEqual([]);
  });
});

describe('would this push start it', () => {
  const rules = `  rules:
    - if: $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH
      changes: { paths: [src/**/*] }
    - if: $CI_COMMIT_TAG
`;
  it.each([
    [
      GITHUB,
      github("on:\n  push:\n    branches: [main]\n    paths: ['src/**']"),
      ['src/a.py'],
      { branch: 'main' },
      'yes',
      /matches paths/,
    ],
    [
      GITHUB,
      github("on:\n  push:\n    branches: [main]\n    paths: ['src/**']"),
      ['docs/a.md'],
      { branch: 'main' },
      'no',
      /No changed file/,
    ],
    [GITHUB, github('on:\n  push:\n    branches: [main]'), ['a'], { branch: 'dev' }, 'no', /branch dev does not match/],
    [GITHUB, github('on:\n  push:\n    branches: [main]'), [], { tag: 'v1' }, 'no', /Only branch filters/],
    [GITHUB, github('on: workflow_dispatch'), ['a'], { branch: 'main' }, 'no', /only on workflow_dispatch/],
    [GITLAB, gitlab(rules), ['src/x/a.py'], { branch: 'main' }, 'yes', /runs build/],
    [GITLAB, gitlab(rules), ['docs/a.md'], { branch: 'main' }, 'no', /No job is left/],
    [GITLAB, gitlab(rules), [], { tag: 'v1' }, 'yes', /runs build/],
  ] as const)('%s %#', async (file, text, changed, ref, runs, reason) => {
    const root = workspace({
      [file]: text,
      '.git/refs/remotes/origin/HEAD': 'ref: refs/remotes/origin/main\n',
    });
    const [answer] = await askPush(system, root, { files: changed, ref });
    expect(answer?.reason).toMatch(reason);
    expect(answer?.runs).toBe(runs);
  });

  it('says that an open pull or merge request may start it all the same', async () => {
    const root = workspace({
      [GITHUB]: github('on: { push: { branches: [main] }, pull_request: {} }'),
      [GITLAB]: gitlab('  rules: [{ if: $CI_PIPELINE_SOURCE == "merge_request_event" }]\n'),
      '.git/refs/remotes/origin/HEAD': 'ref: refs/remotes/origin/main\n',
    });
    const ask = async (ref: PushQuestion['ref'], message = 'm') =>
      (await askPush(system, root, { files: ['a'], ref, message })).map(({ runs, reason }) => `${runs} ${reason}`);
    expect(await ask({ branch: 'feature' })).toEqual([
      'no The branch feature does not match. With an open pull request from this branch it may start.',
      'no No job is left after the rules. With an open merge request of this branch it may start.',
    ]);
    for (const said of [
      ...(await ask({ branch: 'main' })),
      ...(await ask({ tag: 'v1' })),
      ...(await ask({ branch: 'x' }, 'm [skip ci]')),
    ])
      expect(said).not.toContain('request');
  });

  it('takes no diff where the hosts take none', async () => {
    const root = workspace({
      [GITHUB]: github("on: { push: { paths: ['src/**'] } }"),
      [GITLAB]: gitlab(rules),
      '.git/refs/remotes/origin/HEAD': 'ref: refs/remotes/origin/main\n',
    });
    const ask = async (more: object) =>
      (await askPush(system, root, { files: ['docs/a.md'], ref: { branch: 'main' }, ...more })).map(({ runs }) => runs);
    expect(await ask({})).toEqual(['no', 'no']);
    expect(await ask({ commits: 1000 })).toEqual(['no', 'no']);
    expect(await ask({ commits: 1001 })).toEqual(['yes', 'no']);
    expect(await ask({ isNewBranch: true })).toEqual(['no', 'yes']);
  });

  it('knows the skip markers', async () => {
    const root = workspace({ [GITHUB]: github('on: push') });
    const [answer] = await askPush(system, root, { files: ['a'], ref: { branch: 'main' }, message: 'x [skip ci]' });
    expect(answer).toMatchObject({ runs: 'no', reason: 'The commit message carries [skip ci].' });
  });
});

describe('expressions of GitLab rules', () => {
  const variables = new Map<string, string | null>([
    ['CI_COMMIT_BRANCH', 'main'],
    ['CI_COMMIT_TAG', null],
    ['CI_COMMIT_MESSAGE', 'fix: x [bot]'],
  ]);
  it.each([
    ['$CI_COMMIT_BRANCH', 'true'],
    ['$CI_COMMIT_TAG', 'false'],
    ['$CI_COMMIT_TAG == null', 'true'],
    ['$OTHER', 'unknown'],
    ['$CI_COMMIT_BRANCH == "main"', 'true'],
    ["$CI_COMMIT_BRANCH != 'main'", 'false'],
    ['$CI_COMMIT_BRANCH =~ /^ma/', 'true'],
    ['$CI_COMMIT_MESSAGE !~ /\\[BOT\\]/i', 'false'],
    ['$CI_COMMIT_BRANCH == "main" && $OTHER', 'unknown'],
    ['$CI_COMMIT_TAG && $OTHER', 'false'],
    ['$CI_COMMIT_BRANCH || $OTHER', 'true'],
    ['($CI_COMMIT_TAG || $CI_COMMIT_BRANCH == "main") && $CI_COMMIT_BRANCH', 'true'],
    ['$CI_COMMIT_TAG =~ /^$/', 'true'],
    ['$CI_COMMIT_TAG !~ /^v/', 'true'],
    ['$CI_COMMIT_BRANCH ==', 'unknown'],
    ['something else', 'unknown'],
  ] as const)('%s is %s', (expression, truth) => {
    expect(judgeRule(expression, variables)).toBe(truth);
  });
});
