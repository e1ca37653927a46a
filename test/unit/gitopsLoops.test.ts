import { describe, expect, it } from 'vitest';
import { applyEdits } from '../../src/engine/gitops/edit.ts';
import {
  type BotCommit,
  ignoreFolderFix,
  judgeLoop,
  readJobConditions,
  readPushTrigger,
  skipCiFix,
  type WorkflowFacts,
} from '../../src/engine/gitops/loops.ts';
import {
  compileFilter,
  compileGitLabGlob,
  gitlabJobRuns,
  type Push,
  type PushTrigger,
  pushStartsWorkflow,
  skipMarker,
} from '../../src/engine/gitops/pushFilters.ts';
import { readYamlObjects } from '../../src/engine/gitops/yaml.ts';

describe('filter patterns of GitHub and Gitea', () => {
  it.each([
    // Rows of GitHub's own documentation of its filter patterns.
    ['feature/*', 'feature/my-branch', true],
    ['feature/*', 'feature/a/b', false],
    ['feature/**', 'feature/beta-a/my-branch', true],
    ['main', 'main', true],
    ['main', 'maintenance', false],
    ['*', 'releases', true],
    ['*', 'all/the/branches', false],
    ['**', 'all/the/branches', true],
    ['*feature', 'ver-10-feature', true],
    ['v2*', 'v2.9', true],
    ['v[12].[0-9]+.[0-9]+', 'v1.10.1', true],
    ['v[12].[0-9]+.[0-9]+', 'v3.1.0', false],
    ['*.jsx?', 'page.js', true],
    ['*.jsx?', 'page.jsx', true],
    ['*.jsx?', 'page.jsy', false],
    ['**.js', 'src/js/index.js', true],
    ['**.js', 'index.js', true],
    ['*.js', 'src/index.js', false],
    ['docs/*', 'docs/README.md', true],
    ['docs/*', 'docs/a/b.md', false],
    ['docs/**', 'docs/a/markdown/file.md', true],
    ['docs/**/*.md', 'docs/README.md', true],
    ['docs/**/*.md', 'docs/a/b/c.md', true],
    ['**/docs/**', 'docs/hello.md', true],
    ['**/docs/**', 'dir/docs/my-file.txt', true],
    ['**/README.md', 'README.md', true],
    ['**/README.md', 'js/README.md', true],
    ['**/*src/**', 'my-src/app.js', true],
    ['**/*-post.md', 'path/x-post.md', true],
    ['**/migrate-*.sql', 'db/sept/migrate-v1.sql', true],
    // And the traps.
    ['docs/', 'docs/README.md', false],
    ['docs', 'docs/README.md', false],
    ['docs', 'docs', true],
    ['.github/**', '.github/workflows/a.yml', true],
    ['**', '.hidden', true],
    ['*', '.hidden', true],
    ['{a,b}.md', 'a.md', false],
    ['{a,b}.md', '{a,b}.md', true],
    ['ab?c', 'ac', true],
    ['ab?c', 'abbc', false],
    ['ab+c', 'abbc', true],
    ['ab+c', 'ac', false],
    ['a\\*b', 'a*b', true],
    ['a\\*b', 'axb', false],
    ['Docs/**', 'docs/a', false],
    ['a.b', 'axb', false],
    ['?', '?', true],
  ])('%s on %s: %s', (source, text, matches) => {
    const pattern = compileFilter(source);
    expect('error' in pattern ? pattern.error : pattern.regexp.test(text)).toBe(matches);
  });

  it.each(['', '!', '[', 'a[]', '[!a]', 'a\\'])('%s is no pattern', (source) =>
    expect(compileFilter(source)).toHaveProperty('error'),
  );
});

describe('whether a push starts a workflow', () => {
  const main = (...files: readonly string[]): Push => ({ ref: { branch: 'main' }, files });
  const tag: Push = { ref: { tag: 'v1.0.0' }, files: ['a.md'] };
  const many = [...Array.from({ length: 300 }, (_, index) => `docs/${index}.md`), 'src/a.ts'];
  const table: readonly (readonly [string, PushTrigger, Push, 'github' | 'gitea', 'yes' | 'no' | 'unknown'])[] = [
    ['no filter', {}, main('a'), 'github', 'yes'],
    ['no filter, tag', {}, tag, 'github', 'yes'],
    ['branch matches', { branches: ['main'] }, main('a'), 'github', 'yes'],
    ['branch does not match', { branches: ['release/**'] }, main('a'), 'github', 'no'],
    ['later negative wins', { branches: ['**', '!main'] }, main('a'), 'github', 'no'],
    ['later positive wins again', { branches: ['**', '!ma*', 'main'] }, main('a'), 'github', 'yes'],
    ['only negatives never match', { branches: ['!dev'] }, main('a'), 'github', 'no'],
    ['branches-ignore', { branchesIgnore: ['main'] }, main('a'), 'github', 'no'],
    ['branches-ignore another', { branchesIgnore: ['dev'] }, main('a'), 'github', 'yes'],
    ['only tags given', { tags: ['v*'] }, main('a'), 'github', 'no'],
    ['only tags given, tag', { tags: ['v*'] }, tag, 'github', 'yes'],
    ['only branches given, tag', { branches: ['main'] }, tag, 'github', 'no'],
    ['only tags-ignore given, branch', { tagsIgnore: ['v*'] }, main('a'), 'github', 'no'],
    ['paths match', { paths: ['src/**'] }, main('src/a.ts'), 'github', 'yes'],
    ['paths do not match', { paths: ['src/**'] }, main('docs/a.md'), 'github', 'no'],
    ['one of two files matches', { paths: ['src/**'] }, main('docs/a.md', 'src/a.ts'), 'github', 'yes'],
    ['negative after positive', { paths: ['**', '!clusters/**'] }, main('clusters/a.yaml'), 'github', 'no'],
    ['negative before positive', { paths: ['!clusters/**', '**'] }, main('clusters/a.yaml'), 'github', 'yes'],
    [
      'negative, other file too',
      { paths: ['**', '!clusters/**'] },
      main('clusters/a.yaml', 'src/a.ts'),
      'github',
      'yes',
    ],
    [
      're-included below',
      { paths: ['**', '!clusters/**', 'clusters/base/**'] },
      main('clusters/base/a.yaml'),
      'github',
      'yes',
    ],
    ['only negative paths', { paths: ['!docs/**'] }, main('src/a.ts'), 'github', 'no'],
    ['only negative paths on Gitea', { paths: ['!docs/**'] }, main('src/a.ts'), 'gitea', 'no'],
    ['paths and tag push', { paths: ['src/**'] }, tag, 'github', 'yes'],
    ['paths-ignore all', { pathsIgnore: ['**.md'] }, main('a.md', 'b/c.md'), 'github', 'no'],
    ['paths-ignore some', { pathsIgnore: ['**.md'] }, main('a.md', 'b.ts'), 'github', 'yes'],
    ['paths-ignore with exception', { pathsIgnore: ['docs/**', '!docs/app/**'] }, main('docs/app/a'), 'github', 'yes'],
    [
      'the same on Gitea ignores all that is not below',
      { pathsIgnore: ['docs/**', '!docs/app/**'] },
      main('src/a.ts'),
      'gitea',
      'no',
    ],
    ['no changed files', { paths: ['**'] }, main(), 'github', 'no'],
    ['no changed files without filter', {}, main(), 'github', 'yes'],
    ['unknown files', { paths: ['**'] }, { ref: { branch: 'main' }, files: undefined }, 'github', 'unknown'],
    [
      'match only behind the first 300 files',
      { paths: ['src/**'] },
      { ref: { branch: 'main' }, files: many },
      'github',
      'no',
    ],
    ['the same on Gitea', { paths: ['src/**'] }, { ref: { branch: 'main' }, files: many }, 'gitea', 'yes'],
    [
      'more than 1,000 commits',
      { paths: ['src/**'] },
      { ref: { branch: 'main' }, files: ['a'], commits: 1001 },
      'github',
      'yes',
    ],
    ['both kinds of one filter', { paths: ['a'], pathsIgnore: ['b'] }, main('a'), 'github', 'no'],
    ['branch and path both needed', { branches: ['main'], paths: ['src/**'] }, main('docs/a'), 'github', 'no'],
    ['invalid pattern', { paths: ['['] }, main('a'), 'github', 'unknown'],
  ];
  it.each(table)('%s', (_name, trigger, push, host, runs) =>
    expect(pushStartsWorkflow(trigger, push, host).runs).toBe(runs),
  );
});

describe('GitLab', () => {
  it.each([
    ['*.md', 'a.md', true],
    ['*.md', 'docs/a.md', false],
    ['**/*.md', 'docs/x/a.md', true],
    ['**/*.md', 'a.md', true],
    ['docs/**/*', 'docs/a/b', true],
    ['docs/**/*', 'docs/a', true],
    ['docs/**', 'docs/a/b', false],
    ['docs/**', 'docs/a', true],
    ['docs/*', 'docs/.hidden', true],
    ['*.{rb,js}', 'a.js', true],
    ['{src,test}/**/*.{a,b}', 'test/x/y.b', true],
    ['a?c', 'abc', true],
    ['a?c', 'ac', false],
    ['a?c', 'a/c', false],
    ['[a-c].txt', 'b.txt', true],
    ['[!a-c].txt', 'b.txt', false],
    ['a+b', 'a+b', true],
    ['Docs/*', 'docs/a', false],
    ['!docs/*', 'docs/a', false],
  ])('%s on %s: %s', (glob, file, matches) => {
    const pattern = compileGitLabGlob(glob);
    expect(pattern instanceof RegExp && pattern.test(file)).toBe(matches);
  });

  it.each([
    ['no rules', undefined, 'yes'],
    ['changes match', [{ changes: ['src/**/*'] }], 'no'],
    ['never before', [{ changes: ['clusters/**/*'], when: 'never' }, {}], 'no'],
    ['unknown condition', [{ condition: 'unknown' as const }, {}], 'unknown'],
    ['false condition', [{ condition: 'false' as const, when: 'never' }, { when: 'always' }], 'yes'],
    ['nothing matches', [{ condition: 'false' as const }], 'no'],
  ] as const)('rules: %s', (_name, rules, runs) => {
    expect(gitlabJobRuns(rules, { files: ['clusters/dev/a.yaml'], hasDiff: true }).runs).toBe(runs);
  });

  it('takes changes as true where there is no diff', () => {
    expect(gitlabJobRuns([{ changes: ['src/*'] }], { files: ['a'], hasDiff: false }).runs).toBe('yes');
  });
});

describe('skip markers', () => {
  it.each([
    ['fix [skip ci]', 'github', true],
    ['fix [SKIP CI]', 'github', false],
    ['fix [SKIP CI]', 'gitlab', true],
    ['fix [no ci]', 'gitlab', false],
    ['fix [no ci]', 'gitea', true],
    ['fix\n\n\nskip-checks: true', 'github', true],
    ['fix\n\n\nskip-checks: true', 'gitea', false],
    ['Update from image update automation', 'github', false],
  ] as const)('%s on %s', (message, host, skips) => expect(skipMarker(message, host) !== undefined).toBe(skips));
});

describe('loops', () => {
  const commit: BotCommit = {
    bot: 'the automation flux-system/apps',
    branch: 'main',
    files: ['clusters/dev/app.yaml'],
    message: 'Update from image update automation',
    credentials: 'key-or-token',
  };
  const workflow: WorkflowFacts = {
    name: 'build',
    host: 'github',
    push: {},
    publishes: 'yes',
    tag: 'new',
    isChosen: 'yes',
    conditions: [],
  };
  const { push: _push, ...manual } = workflow;
  it.each([
    ['no filters at all', commit, workflow, 'loop'],
    ['excluded path', commit, { ...workflow, push: { paths: ['**', '!clusters/**'] } }, 'safe'],
    ['pushes to another branch', { ...commit, branch: 'flux' }, { ...workflow, push: { branches: ['main'] } }, 'safe'],
    ['the branch is a template', { ...commit, branch: undefined }, workflow, 'unknown'],
    ['no push trigger', commit, manual, 'safe'],
    ['job token', { ...commit, credentials: 'job-token' as const }, workflow, 'guarded'],
    ['skip marker', { ...commit, message: 'Update [skip ci]' }, workflow, 'guarded'],
    ['job condition', commit, { ...workflow, conditions: ["github.actor != 'fluxcdbot'"] }, 'guarded'],
    ['publishes nothing', commit, { ...workflow, publishes: 'no' as const }, 'noise'],
    ['same tag', commit, { ...workflow, tag: 'stable' as const }, 'noise'],
    ['tag not chosen', commit, { ...workflow, isChosen: 'no' as const }, 'noise'],
    ['tag unknown', commit, { ...workflow, tag: 'unknown' as const }, 'unknown'],
    [
      'GitLab push option',
      { ...commit, pushOptions: { 'ci.skip': '' } },
      { ...workflow, host: 'gitlab' as const },
      'guarded',
    ],
    ['GitLab without rules', commit, { ...workflow, host: 'gitlab' as const }, 'loop'],
    ['GitLab rules', commit, { ...workflow, host: 'gitlab' as const, jobs: [[{ changes: ['src/**/*'] }]] }, 'safe'],
  ] as const)('%s', (_name, bot, facts, verdict) => expect(judgeLoop(bot, facts).verdict).toBe(verdict));

  const file = '.github/workflows/build.yml';
  it('reads the trigger and the conditions of a workflow', () => {
    const text =
      "on:\n  push:\n    branches: [main]\n    paths-ignore: docs/**\njobs:\n  build:\n    if: github.actor != 'bot'\n    steps: []\n";
    expect(readPushTrigger(text, file)).toEqual({ branches: ['main'], pathsIgnore: ['docs/**'] });
    expect(readJobConditions(text, file)).toEqual(["github.actor != 'bot'"]);
    expect(readPushTrigger('on: [push, pull_request]\n', file)).toEqual({});
    expect(readPushTrigger('on: workflow_dispatch\n', file)).toBeUndefined();
  });

  it.each([
    [
      'on:\n  push:\n    paths:\n      - "**" # all\njobs: {}\n',
      'on:\n  push:\n    paths:\n      - "**" # all\n      - \'!clusters/**\'\njobs: {}\n',
    ],
    [
      'on:\n  push:\n    branches: [main]\njobs: {}\n',
      'on:\n  push:\n    branches: [main]\n    paths-ignore:\n      - clusters/**\njobs: {}\n',
    ],
    ['on: {push: {paths-ignore: [a]}} # x\n', 'on: {push: {paths-ignore: [a, clusters/**]}} # x\n'],
    ['on:\n  push:\n  pull_request:\n', 'on:\n  push:\n    paths-ignore:\n      - clusters/**\n  pull_request:\n'],
  ])('breaks the loop with the smallest edit %#', (before, after) => {
    const fix = ignoreFolderFix(before, file, 'clusters');
    expect(fix && applyEdits(before, fix.edits)).toBe(after);
    const trigger = readPushTrigger(after, file);
    expect(trigger && judgeLoop(commit, { ...workflow, push: trigger }).verdict).toBe('safe');
  });

  it('adds the skip marker to the automation', () => {
    const text = 'kind: ImageUpdateAutomation\nspec:\n  git:\n    commit:\n      author: {name: x}\n';
    const [object] = readYamlObjects(text, 'a.yaml');
    const fix = object && skipCiFix(text, object, 'github');
    expect(fix && applyEdits(text, fix.edits)).toBe(
      `${text.trimEnd()}\n      messageTemplate: Update from image update automation [skip ci]\n`,
    );
  });
});
