import { describe, expect, it } from 'vitest';
import { askPush } from '../../src/engine/lint/index.ts';
import { createSystem } from '../../src/engine/system/index.ts';
import { type Job, readGitlabPipeline, textOf, type Workflow } from '../../src/engine/workflows/index.ts';
import { workspace } from './workspaces.ts';

const system = createSystem();

function read(text: string, files: Readonly<Record<string, string>> = {}): Workflow {
  return readGitlabPipeline(text, '/repo/.gitlab-ci.yml', {
    repository: 'acme/shop',
    registry: 'registry.gitlab.com',
    readLocal: (path) => files[path],
    paths: Object.keys(files),
  });
}

/** Image, commands that publish or deploy, and where the job's name is written. */
const brief = (workflow: Workflow, id: string) => {
  const job: Job | undefined = workflow.jobs.find((each) => each.id === id);
  const facts = workflow.facts.filter((fact) => fact.job === id);
  return {
    image: job?.container?.image,
    needs: job?.needs,
    environment: job?.environment === undefined ? undefined : textOf(job.environment.name),
    facts: facts.map((fact) =>
      fact.kind === 'push'
        ? `push ${textOf(fact.reference)}`
        : fact.kind === 'test'
          ? `test ${fact.run.join(' ')}`
          : fact.kind,
    ),
  };
};

describe('a GitLab configuration', () => {
  it('is joined map by map, the including file over the included', () => {
    const workflow = read(
      `include: [{ local: /ci/base.yml }]
variables: { TAG: local }
publish:
  variables: { NAME: web }
  environment: { url: https://example.com }
`,
      {
        'ci/base.yml': `variables: { TAG: base, HOST: registry.example.com }
publish:
  image: docker:27
  variables: { NAME: none, OTHER: x }
  environment: { name: staging }
  script: ['docker push $HOST/$NAME:$TAG-$OTHER']
`,
      },
    );
    expect(brief(workflow, 'publish')).toMatchObject({
      image: 'docker:27',
      environment: 'staging',
      facts: ['push registry.example.com/web:local-x'],
    });
  });

  it('takes what is extended: the last parent over the first, null takes away', () => {
    const workflow = read(`
.one: { image: one, variables: { A: '1', B: '1' }, before_script: ['docker push a:$A'] }
.two: { image: two, variables: { B: '2' } }
job: { extends: [.one, .two], image: null, variables: { C: '3' }, script: ['docker push b:$A$B$C'] }
default: { image: fallback }
`);
    // A key that is null is not there, so the default does not come in for it either.
    expect(brief(workflow, 'job')).toMatchObject({ image: undefined, facts: ['push a:1', 'push b:123'] });
  });

  it('inherits defaults unless it says not to', () => {
    const workflow = read(`
default: { image: ruby, before_script: ['docker push d:1'] }
variables: { A: a, B: b }
all: { script: ['docker push x:$A'] }
none: { inherit: { default: false, variables: false }, script: ['docker push x:$A'] }
some: { inherit: { default: [image], variables: [B] }, script: ['docker push x:$A$B'] }
`);
    expect(brief(workflow, 'all')).toMatchObject({ image: 'ruby', facts: ['push d:1', 'push x:a'] });
    expect(brief(workflow, 'none')).toMatchObject({ image: undefined, facts: ['push x:${?$A}'] });
    expect(brief(workflow, 'some')).toMatchObject({ image: 'ruby', facts: ['push x:${?$A}b'] });
  });

  it('fills in the inputs of an included file', () => {
    const workflow = read(
      `include:
  - local: ci/image.yml
    inputs: { name: web, stage-name: deploy }
`,
      {
        'ci/image.yml': `spec:
  inputs:
    name:
    tag: { default: '1.2' }
    stage-name: { default: build }
    open:
---
"push $[[ inputs.name ]]":
  stage: $[[ inputs.stage-name ]]
  script: ['docker push r.example.com/$[[ inputs.name | expand_vars ]]:$[[ inputs.tag ]]-$[[inputs.open]]']
`,
      },
    );
    const [job] = workflow.jobs;
    expect(brief(workflow, job?.id ?? '').facts).toEqual(['push r.example.com/web:1.2-${?$input_open}']);
  });

  it('follows references anywhere, and places lead to the file they are written in', () => {
    const workflow = read(
      `include: ci/parts.yml
job:
  image: !reference [.parts, image]
  variables: { NAME: !reference [.parts, variables, NAME], X: x }
  script:
    - !reference [.parts, script]
    - - docker push c:1
      - [docker push d:1]
`,
      {
        'ci/parts.yml': `.base: { script: ['docker push a:$X', !reference [.deep, script]] }
.deep: { script: [docker push b:1] }
.parts: { extends: .base, image: parts:1, variables: { NAME: web } }
`,
      },
    );
    expect(brief(workflow, 'job')).toMatchObject({
      image: 'parts:1',
      facts: ['push a:x', 'push b:1', 'push c:1', 'push d:1'],
    });
    expect(workflow.facts.map(({ place }) => `${place.file}:${(place.range?.start.line ?? -1) + 1}`)).toEqual([
      '/repo/ci/parts.yml:1',
      '/repo/ci/parts.yml:2',
      '/repo/.gitlab-ci.yml:7',
      '/repo/.gitlab-ci.yml:8',
    ]);
  });

  it('names every include that is not read, with its place', () => {
    const workflow = read(
      `include:
  - ci/*.yml
  - { local: missing.yml }
  - { project: acme/library, ref: v2, file: [/a.yml, /b.yml] }
  - remote: https://example.com/ci.yml
  - https://example.com/other.yml
  - { template: Auto-DevOps.gitlab-ci.yml }
  - component: gitlab.com/acme/c@1
`,
      {
        'ci/a.yml': 'a: { script: [echo] }',
        'ci/b.yml': 'b: { script: [echo] }',
        'ci/deep/c.yml': 'c: { script: [echo] }',
      },
    );
    expect(workflow.jobs.map(({ id }) => id)).toEqual(['a', 'b']);
    expect(
      workflow.diagnostics.map(({ message, place }) => [
        /The include (.*) is not read/.exec(message)?.[1],
        (place.range?.start.line ?? -1) + 1,
      ]),
    ).toEqual([
      ['missing.yml', 3],
      ['/a.yml, /b.yml of acme/library@v2', 4],
      ['https://example.com/ci.yml', 5],
      ['https://example.com/other.yml', 6],
      ['Auto-DevOps.gitlab-ci.yml', 7],
      ['gitlab.com/acme/c@1', 8],
    ]);
  });

  it('comes to an end where it goes in circles', () => {
    const files = { 'a.yml': 'include: b.yml\nx: { script: [docker push x:1] }', 'b.yml': 'include: a.yml' };
    expect(read('include: a.yml', files).jobs.map(({ id }) => id)).toEqual(['x']);
    for (const text of [
      'a: { extends: a, script: [docker push a:1] }',
      '.a: { extends: .b }\n.b: { extends: .a }\nc: { extends: .a, script: [docker push a:1] }',
      'a: { script: [!reference [a, script], docker push a:1] }',
      'a: { rules: [!reference [a, rules]], script: [docker push a:1] }',
      'a: { trigger: { include: .gitlab-ci.yml } }',
    ])
      expect(() => read(text, { '.gitlab-ci.yml': text })).not.toThrow();
  });

  it('reads a child pipeline with what is handed down', () => {
    const workflow = read(
      `variables: { HOST: r.example.com }
prepare: { stage: build, script: [echo] }
start:
  stage: test
  variables: { NAME: child }
  trigger: { include: [{ local: ci/child.yml }], strategy: depend }
alone:
  trigger: { include: ci/child.yml, forward: { yaml_variables: false } }
`,
      {
        'ci/child.yml': `stages: [one, two]
variables: { NAME: own }
a: { stage: one, script: ['docker push $HOST/$NAME:1'] }
b: { stage: two, script: [pytest] }
`,
      },
    );
    expect(brief(workflow, 'start / a')).toMatchObject({ needs: ['start'], facts: ['push r.example.com/child:1'] });
    expect(brief(workflow, 'start / b').needs).toEqual(['start / a', 'start']);
    expect(brief(workflow, 'alone / a').facts).toEqual(['push ${?$HOST}/own:1']);
  });
});

describe('would a push start a GitLab job', () => {
  const JOB = 'script: [echo]';
  it.each<[what: string, text: string, ref: string, files: string[], answer: RegExp]>([
    ['by hand', `a: { when: manual, ${JOB} }`, 'main', ['x'], /^yes.*by hand/],
    [
      'by hand by a rule',
      `a: { rules: [{ if: $CI_COMMIT_BRANCH, when: manual }], ${JOB} }`,
      'main',
      [],
      /^yes.*by hand/,
    ],
    ['never by when', `a: { when: never, ${JOB} }`, 'main', [], /^no/],
    [
      'when of the job counts for its rules',
      `a: { rules: [{ if: $CI_COMMIT_TAG }], when: manual, ${JOB} }`,
      'tag v1',
      [],
      /by hand/,
    ],
    ['a file that is there', `a: { rules: [{ exists: [src/**/*.py] }], ${JOB} }`, 'main', [], /^yes/],
    ['a file that is not', `a: { rules: [{ exists: [src/**/*.rb] }], ${JOB} }`, 'main', [], /^no/],
    [
      'files elsewhere',
      `a: { rules: [{ exists: { paths: [x], project: a/b } }], ${JOB} }`,
      'main',
      [],
      /^unknown.*another project/,
    ],
    [
      'changes against a ref, matched',
      `a: { rules: [{ changes: { paths: [src/*], compare_to: main } }], ${JOB} }`,
      'dev',
      ['src/a'],
      /^yes/,
    ],
    [
      'changes against a ref, not matched',
      `a: { rules: [{ changes: { paths: [src/*], compare_to: main } }], ${JOB} }`,
      'dev',
      ['x'],
      /^unknown/,
    ],
    ['changes with a variable', `a: { rules: [{ changes: [$DIR/*] }], ${JOB} }`, 'dev', ['x/a'], /^unknown/],
    ['changes of a tag', `a: { rules: [{ changes: [src/*] }], ${JOB} }`, 'tag v1', [], /^yes/],
    [
      'a variable of the file',
      `variables: { RUN: 'yes' }\na: { rules: [{ if: $RUN == "yes" }], ${JOB} }`,
      'main',
      [],
      /^yes/,
    ],
    [
      'a variable of the job over it',
      `variables: { RUN: 'yes' }\na: { variables: { RUN: 'no' }, rules: [{ if: $RUN == "yes" }], ${JOB} }`,
      'main',
      [],
      /^no/,
    ],
    ['a variable of nobody', `a: { rules: [{ if: $RUN }], ${JOB} }`, 'main', [], /^unknown.*\$RUN/],
    [
      'set by workflow:rules',
      `workflow: { rules: [{ if: $CI_COMMIT_BRANCH == "main", variables: { RUN: 'yes' } }, { when: always }] }\na: { rules: [{ if: $RUN == "yes" }], ${JOB} }`,
      'main',
      [],
      /^yes/,
    ],
    [
      'not by workflow:rules',
      'workflow: { rules: [{ if: $CI_COMMIT_TAG }] }\na: { script: [echo] }',
      'main',
      [],
      /^no.*workflow:rules/,
    ],
    ['merge requests only', `a: { only: [merge_requests], ${JOB} }`, 'main', [], /^no/],
    [
      'only with variables and changes',
      `a: { only: { refs: [main], variables: [$X == "1"], changes: [src/*] }, variables: { X: '1' }, ${JOB} }`,
      'main',
      ['src/a'],
      /^yes/,
    ],
    ['only, one key not met', `a: { only: { refs: [main], changes: [src/*] }, ${JOB} }`, 'main', ['x'], /^no/],
    [
      'except by a variable',
      `a: { except: { variables: [$X == "1"] }, variables: { X: '1' }, ${JOB} }`,
      'main',
      ['x'],
      /^no/,
    ],
    ['except by changes', `a: { except: { changes: ['*.md'] }, ${JOB} }`, 'main', ['a.md'], /^no/],
    ['a ref of one project', `a: { only: [main@acme/shop], ${JOB} }`, 'main', [], /^unknown.*CI_PROJECT_PATH/],
    ['rules that are lost', `a: { rules: [!reference [.gone, rules]], ${JOB} }`, 'main', [], /^unknown/],
    ['rules that may be inherited from what is lost', `a: { extends: .gone, ${JOB} }`, 'main', [], /^unknown.*\.gone/],
    ['an include under a rule', 'include: [{ local: b.yml, rules: [{ if: $CI_COMMIT_TAG }] }]', 'main', [], /^no/],
    [
      'an include under a rule that holds',
      'include: [{ local: b.yml, rules: [{ if: $CI_COMMIT_BRANCH }] }]',
      'main',
      [],
      /^yes/,
    ],
    [
      'nothing left, but not all was read',
      'include: [{ project: a/b, file: c.yml }]\na: { when: never, script: [echo] }',
      'main',
      [],
      /^unknown.*c\.yml of a\/b/,
    ],
    [
      'a template that adds jobs only',
      'include: [{ template: Jobs/SAST.gitlab-ci.yml }]\na: { when: never, script: [echo] }',
      'main',
      [],
      /^no/,
    ],
    [
      'branch pipelines by the template',
      'include: [{ template: Workflows/MergeRequest-Pipelines.gitlab-ci.yml }]\na: { script: [echo] }',
      'dev',
      [],
      /^no.*workflow:rules/,
    ],
    [
      'an open merge request may be there',
      'workflow: { rules: [{ if: $CI_COMMIT_BRANCH && $CI_OPEN_MERGE_REQUESTS, when: never }, { if: $CI_COMMIT_BRANCH }] }\na: { script: [echo] }',
      'dev',
      [],
      /^unknown.*CI_OPEN_MERGE_REQUESTS/,
    ],
    [
      'but not one of main',
      'workflow: { rules: [{ if: $CI_COMMIT_BRANCH && $CI_OPEN_MERGE_REQUESTS, when: never }, { if: $CI_COMMIT_BRANCH }] }\na: { script: [echo] }',
      'main',
      [],
      /^yes/,
    ],
    [
      'a child pipeline by its parent',
      'p: { rules: [{ if: $CI_COMMIT_TAG }], trigger: { include: b.yml } }',
      'main',
      [],
      /^no/,
    ],
    ['a child pipeline by its own rules', 'p: { trigger: { include: c.yml } }', 'main', [], /^yes.*runs p\./],
  ])('%s', async (_what, text, ref, files, answer) => {
    const root = workspace({
      '.gitlab-ci.yml': `${text}\n`,
      'b.yml': 'b: { script: [echo] }\n',
      'c.yml': 'c: { script: [echo], rules: [{ if: $CI_PIPELINE_SOURCE == "push" }] }\n',
      'src/x/a.py': '',
      '.git/refs/remotes/origin/HEAD': 'ref: refs/remotes/origin/main\n',
    });
    const [found] = await askPush(system, root, {
      files,
      ref: ref.startsWith('tag ') ? { tag: ref.slice(4) } : { branch: ref },
    });
    const jobs = (found?.jobs ?? []).map(({ name, reason }) => `${name}: ${reason}`).join(' ');
    expect(`${found?.runs}: ${found?.reason} ${jobs}`).toMatch(answer);
  });
});
