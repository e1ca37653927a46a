import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { applyEdits } from '../../src/engine/gitops/index.ts';
import { actionSource, lintWorkspace, pinOf } from '../../src/engine/lint/index.ts';
import { createSystem } from '../../src/engine/system/index.ts';
import { pendingPush } from '../../src/engine/workflowEditor.ts';
import { workspace } from './workspaces.ts';

const system = createSystem();
const FILE = '.github/workflows/ci.yml';

const CASES: readonly (readonly [code: string, before: string, after: readonly (string | RegExp)[], file?: string])[] =
  [
    [
      'ci.permissions',
      `on: push
jobs:
  image:
    runs-on: ubuntu-latest
    # how it is done
    steps:
      - uses: docker/login-action@v3
        with:
          registry: ghcr.io
          password: \${{ secrets.GITHUB_TOKEN }}
      - run: |
          docker build -t ghcr.io/a/b:1 .
          docker push ghcr.io/a/b:1
      - run: cosign sign --yes ghcr.io/a/b@sha256:1
`,
      [
        '    # how it is done\n    permissions:\n      contents: read\n      packages: write\n      id-token: write\n    steps:\n',
      ],
    ],
    [
      'ci.scan-without-gate',
      `on: push
jobs:
  image:
    runs-on: ubuntu-latest
    steps:
      - name: scan
        uses: aquasecurity/trivy-action@v0.36.0
        with:
          image-ref: ghcr.io/a/b:1
          severity: CRITICAL

      - run: echo done
`,
      ["          severity: CRITICAL\n          exit-code: '1'\n\n      - run: echo done\n"],
    ],
    [
      'ci.scan-without-gate',
      `on: push
jobs:
  image:
    runs-on: ubuntu-latest
    steps:
      - uses: aquasecurity/trivy-action@v0.36.0
        with: 
          exit-code: 0
          image-ref: ghcr.io/a/b:1
`,
      ["          exit-code: '1'\n          image-ref"],
    ],
    [
      'ci.sarif-severity',
      `on: push
jobs:
  image:
    runs-on: ubuntu-latest
    steps:
      - uses: aquasecurity/trivy-action@v0.36.0
        with:
          image-ref: ghcr.io/a/b:1
          format: sarif
          exit-code: '1'
          severity: HIGH
`,
      ["          severity: HIGH\n          limit-severities-for-sarif: 'true'\n"],
    ],
    [
      'ci.moving-tag-deployed',
      `on: push
jobs:
  image:
    runs-on: ubuntu-latest
    steps:
      - uses: docker/build-push-action@v6
        with:
          push: true
          tags: ghcr.io/a/b:latest,ghcr.io/a/b:\${{ github.sha }}
      - run: |
          helm upgrade --install b ./latest \\
            --set image.repository=ghcr.io/a/b \\
            --set image.tag=latest
`,
      ['upgrade --install b ./latest', '--set image.tag=${{ github.sha }}\n'],
    ],
    [
      'ci.moving-tag-deployed',
      `build:
  stage: build
  script:
    - docker build -t registry.example.com/a/b:latest -t registry.example.com/a/b:$CI_COMMIT_SHA .
    - docker push --all-tags registry.example.com/a/b
deploy:
  stage: deploy
  script: [kubectl set image deployment/b b=registry.example.com/a/b:latest]
`,
      ['b=registry.example.com/a/b:$CI_COMMIT_SHA]'],
      '.gitlab-ci.yml',
    ],
    [
      'ci.password-argument',
      `build:
  stage: build
  script:
    - docker login -u "$CI_REGISTRY_USER" -p $CI_REGISTRY_PASSWORD "$CI_REGISTRY"
    - docker build -t "$CI_REGISTRY_IMAGE:$CI_COMMIT_SHA" .
`,
      [
        `    - printf '%s' "$CI_REGISTRY_PASSWORD" | docker login -u "$CI_REGISTRY_USER" --password-stdin "$CI_REGISTRY"\n`,
      ],
      '.gitlab-ci.yml',
    ],
    [
      'ci.password-argument',
      `on: push
jobs:
  a:
    runs-on: x
    steps:
      - run: docker login --username a --password "\${{ secrets.TOKEN }}" ghcr.io
`,
      [`      - run: printf '%s' "\${{ secrets.TOKEN }}" | docker login --username a --password-stdin ghcr.io\n`],
    ],
    [
      'ci.gate-after-push',
      `on: push
jobs:
  image:
    runs-on: ubuntu-latest
    steps:
      - name: build
        id: build
        uses: docker/build-push-action@v6
        with:
          context: .
          push: true # at once
          tags: ghcr.io/a/b:1
      - uses: aquasecurity/trivy-action@v0.36.0
        with:
          image-ref: ghcr.io/a/b:1
          exit-code: '1'
      - run: echo \${{ steps.build.outputs.digest }}
`,
      [
        '      - name: build\n        uses: docker/build-push-action@v6\n        with:\n          context: .\n          load: true # at once\n',
        "          exit-code: '1'\n      - name: build (push)\n        id: build\n        uses: docker/build-push-action@v6\n        with:\n          context: .\n          push: true # at once\n          tags: ghcr.io/a/b:1\n      - run: echo",
      ],
    ],
  ];

describe('fixes of workflow mistakes', () => {
  const ends: readonly (readonly [string, (text: string) => string])[] = [
    ['LF', (text) => text],
    ['CRLF', (text) => text.replaceAll('\n', '\r\n')],
  ];
  it.each(CASES.flatMap((one) => ends.map((end) => [one[0], end[0], one, end[1]] as const)))(
    '%s is mended, %s, and nothing else is touched (%#)',
    async (code, _end, [, before, after, file = FILE], convert) => {
      const root = workspace({ [file]: convert(before) });
      const found = (await lintWorkspace(system, root)).filter((finding) => finding.code === code);
      const [fix] = found[0]?.fixes ?? [];
      if (fix === undefined) throw new Error(`no fix for ${JSON.stringify(found)}`);
      const text = applyEdits(convert(before), fix.edits);
      for (const part of after) expect(text).toContain(typeof part === 'string' ? convert(part) : part);
      // No line that the edits do not name has changed.
      expect(text.split('\n').filter((line) => !before.includes(line.replace('\r', ''))).length).toBeLessThan(12);
      writeFileSync(join(root, file), text);
      const again = await lintWorkspace(system, root);
      expect(again.filter((finding) => finding.code === code)).toEqual([]);
      expect(again.filter(({ severity }) => severity === 'error')).toEqual([]);
    },
  );

  it('offers none where a person has to decide', async () => {
    const root = workspace({
      [FILE]: `on: push
jobs:
  a:
    runs-on: x
    steps:
      - { uses: docker/build-push-action@v6, with: { push: true, tags: 'ghcr.io/a/b:1' } }
      - uses: docker/build-push-action@v6
        with: { push: true, tags: 'ghcr.io/a/c:1', platforms: 'linux/amd64,linux/arm64' }
      - { uses: aquasecurity/trivy-action@v0.36.0, with: { image-ref: 'ghcr.io/a/b:1', exit-code: '1' } }
      - uses: aquasecurity/trivy-action@v0.36.0
        with: { image-ref: 'ghcr.io/a/c:1', exit-code: '1' }
      - run: helm upgrade --install b . --set image.tag=latest
      - run: docker login -u a -p "$TOKEN" ghcr.io && docker push ghcr.io/a/b:1
`,
    });
    const found = await lintWorkspace(system, root);
    for (const code of ['ci.gate-after-push', 'ci.moving-tag-deployed', 'ci.password-argument'])
      expect(found.filter((finding) => finding.code === code).flatMap(({ fixes }) => fixes)).toEqual([]);
  });
});

describe('pinning an action', () => {
  it.each([
    ['docker/build-push-action@v6', 'https://github.com/docker/build-push-action.git', 'v6'],
    ['github/codeql-action/init@v3', 'https://github.com/github/codeql-action.git', 'v3'],
    ['https://code.forgejo.org/actions/checkout@v4', 'https://code.forgejo.org/actions/checkout.git', 'v4'],
  ])('%s is asked of %s', (uses, url, ref) => {
    expect(actionSource(uses)).toEqual({ url, ref });
  });

  it.each([['./local'], ['docker://alpine:3'], [`a/b@${'0'.repeat(40)}`], ['a/b'], ['../x/y@v1']])(
    '%s is asked of nobody',
    (uses) => {
      expect(actionSource(uses)).toBeUndefined();
    },
  );

  it('takes the commit behind an annotated tag, and the longest version there', () => {
    const [one, two, tag] = ['1'.repeat(40), '2'.repeat(40), '3'.repeat(40)];
    const listing = [
      `${two}\trefs/heads/main`,
      `${one}\trefs/tags/v6`,
      `${tag}\trefs/tags/v6.18.0`,
      `${one}\trefs/tags/v6.18.0^{}`,
      `${two}\trefs/tags/v6.19.0`,
    ].join('\n');
    expect(pinOf(listing, 'v6')).toEqual({ sha: one, version: 'v6.18.0' });
    expect(pinOf(listing, 'main')).toEqual({ sha: two, version: 'v6.19.0' });
    expect(pinOf(listing, 'v7')).toBeUndefined();
  });
});

describe('what a push would bring', () => {
  it('is what the remote lacks, committed or not; ignored files are not', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'slipway-push-'));
    const git = (...args: string[]) =>
      execFileSync('git', ['-c', 'user.name=a', '-c', 'user.email=a@b', ...args], { cwd: folder, encoding: 'utf8' });
    try {
      git('init', '-q', '-b', 'main');
      writeFileSync(join(folder, 'a.txt'), 'a');
      writeFileSync(join(folder, '.gitignore'), 'out\n');
      git('add', '.');
      git('commit', '-qm', 'one');
      const before = await pendingPush(system, folder);
      expect(before?.files.toSorted()).toEqual(['.gitignore', 'a.txt']);
      expect(before?.isNewBranch).toBe(true);
      git('update-ref', 'refs/remotes/origin/main', 'HEAD');
      expect(await pendingPush(system, folder)).toEqual({ files: [], ref: { branch: 'main' } });
      writeFileSync(join(folder, 'b ü.txt'), 'b');
      git('add', '.');
      git('commit', '-qm', 'two');
      writeFileSync(join(folder, 'a.txt'), `${readFileSync(join(folder, 'a.txt'), 'utf8')}!`);
      writeFileSync(join(folder, 'new'), '');
      writeFileSync(join(folder, 'out'), '');
      expect((await pendingPush(system, folder))?.files.toSorted()).toEqual(['a.txt', 'b ü.txt', 'new']);
      git('add', '.');
      git('commit', '-qm', 'three [skip ci]');
      expect(await pendingPush(system, folder)).toMatchObject({ message: 'three [skip ci]', commits: 2 });
      git('checkout', '-qb', 'feature');
      git('update-ref', 'refs/remotes/origin/main', 'HEAD');
      git('commit', '-q', '--allow-empty', '-m', 'four');
      const first = { files: [], ref: { branch: 'feature' }, message: 'four', commits: 1, isNewBranch: true };
      expect(await pendingPush(system, folder)).toEqual(first);
      git('update-ref', 'refs/remotes/origin/feature', 'HEAD~1');
      const { isNewBranch: _new, ...known } = first;
      expect(await pendingPush(system, folder)).toEqual(known);
      git('checkout', '-q', '--detach');
      expect(await pendingPush(system, folder)).toBeUndefined();
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
