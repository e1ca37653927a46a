// Filters of workflows and pushes against them, for asking a real server what it starts.
export interface FilterPush {
  readonly branch?: string;
  readonly tag?: string;
  readonly files: readonly string[];
  readonly message?: string;
}

/** `on:` of each workflow, by a name that sorts before the one that every push starts. */
export const FILTERS: Readonly<Record<string, string>> = {
  'always-list': '[push, pull_request]',
  'branch-class': "{ push: { branches: ['v[0-9]+.x'] } }",
  'branch-exact': '{ push: { branches: [main] } }',
  'branch-ignore': "{ push: { branches-ignore: ['release/**'] } }",
  'branch-negated': "{ push: { branches: ['release/**', '!release/**-alpha'] } }",
  'branch-optional': "{ push: { branches: ['mai?n'] } }",
  'branch-star': "{ push: { branches: ['release/*'] } }",
  'branches-and-tags': "{ push: { branches: [main], tags: ['v*'] } }",
  'ignore-all': "{ push: { paths-ignore: ['**'] } }",
  'ignore-docs': "{ push: { paths-ignore: ['docs/**', '**.md'] } }",
  'ignore-negated': "{ push: { paths-ignore: ['docs/**', '!docs/keep.txt'] } }",
  'path-braces': "{ push: { paths: ['{src,lib}/**'] } }",
  'path-folder': "{ push: { paths: ['docs'] } }",
  'path-negated-only': "{ push: { paths: ['!docs/**'] } }",
  'path-nested': "{ push: { paths: ['**/README.md'] } }",
  'path-order': "{ push: { paths: ['src/**', '!src/**/*.md', 'src/keep/*.md'] } }",
  'path-plus': "{ push: { paths: ['a+b.txt'] } }",
  'path-question': "{ push: { paths: ['.?env'] } }",
  'path-root': "{ push: { paths: ['*.js'] } }",
  'path-anywhere': "{ push: { paths: ['**.js'] } }",
  'path-src': "{ push: { paths: ['src/**'] } }",
  'path-and-branch': "{ push: { branches: ['release/**'], paths: ['src/**'] } }",
  'path-and-tag': "{ push: { tags: ['v*'], paths: ['src/**'] } }",
  'request-only': 'pull_request',
  'tag-ignore': "{ push: { tags-ignore: ['*-rc'] } }",
  'tag-version': "{ push: { tags: ['v[0-9]+.[0-9]+'] } }",
  zz: 'push',
};

export const PUSHES: readonly FilterPush[] = [
  { branch: 'main', files: ['docs/guide.md'] },
  { branch: 'main', files: ['docs/keep.txt'] },
  { branch: 'main', files: ['src/a.py', 'src/b.md'] },
  { branch: 'main', files: ['src/b.md'] },
  { branch: 'main', files: ['src/keep/c.md', 'README.md'] },
  { branch: 'main', files: ['index.js', '.env'] },
  { branch: 'main', files: ['lib/deep/x.js', 'sub/README.md'] },
  { branch: 'main', files: ['aab.txt', 'env'] },
  { branch: 'main', files: ['src/a.py'], message: 'Not this one [skip ci]' },
  { branch: 'release/1', files: ['src/z.py'] },
  { branch: 'release/2-alpha', files: ['docs/z.txt'] },
  { branch: 'release/x/y', files: ['src/y.md'] },
  { branch: 'v12.x', files: ['Makefile'] },
  { tag: 'v1.2', files: [] },
  { tag: 'v1.2-rc', files: [] },
];
