import { posix } from 'node:path';
import type { Place } from '../../problems/index.ts';
import { readYamlDocuments } from '../../yaml/index.ts';
import type { RelativePath, TestFinding } from './findings.ts';

/** Reads a text file of the workspace by its relative path. */
export type ReadText = (path: RelativePath) => Promise<string | undefined>;

interface Clue {
  readonly run: readonly [string, ...string[]];
  readonly env?: Readonly<Record<string, string>>;
  readonly place: Place;
  readonly why: string;
  readonly certainty: 'read' | 'guess';
}

/** Files whose presence can mean tests, by base name. */
const SIGNS = new Set([
  'package.json',
  'pyproject.toml',
  'pytest.ini',
  'tox.ini',
  'setup.cfg',
  'conftest.py',
  'manage.py',
  'requirements.txt',
  'setup.py',
  'go.mod',
  'Cargo.toml',
  'pom.xml',
  'build.gradle',
  'build.gradle.kts',
  'Makefile',
]);

/** Deeper than this, a package is a part of something that has tests of its own further up. */
const DEEPEST = 4;

/**
 * The tests of each app folder, by the convention of its language; one per folder and language. A Makefile's `test`
 * target counts only where nothing more exact is known.
 */
export async function findTests(
  paths: readonly RelativePath[],
  read: ReadText,
  absolute: (path: RelativePath) => string,
): Promise<readonly TestFinding[]> {
  const byFolder = new Map<string, Set<string>>();
  for (const path of paths) {
    const base = posix.basename(path);
    if (!SIGNS.has(base) || path.split('/').length > DEEPEST + 1) continue;
    if (/(^|\/)(examples?|fixtures?|testdata|templates?|docs?)\//.test(path)) continue;
    const folder = posix.dirname(path);
    byFolder.set(folder, (byFolder.get(folder) ?? new Set()).add(base));
  }
  const found: TestFinding[] = [];
  // Outer folders first: a workspace root or module that runs all of them stands for its members.
  const covered: Record<string, string[]> = {};
  for (const folder of [...byFolder.keys()].sort((a, b) => depth(a) - depth(b) || (a < b ? -1 : 1))) {
    const files = byFolder.get(folder) ?? new Set();
    const at = (name: string) => (folder === '.' ? name : `${folder}/${name}`);
    const folderClues: [string, Clue][] = [];
    for (const [language, clue] of [
      ['python', await python(files, paths, folder, at, read, absolute)],
      ['node', files.has('package.json') ? await node(paths, folder, at, read, absolute) : undefined],
      ['go', files.has('go.mod') ? go(at, absolute) : undefined],
      ['rust', files.has('Cargo.toml') ? simple(['cargo', 'test'], at('Cargo.toml'), absolute) : undefined],
      ['java', java(files, paths, at, absolute)],
    ] as const) {
      const isCovered = covered[language]?.some((outer) => outer === '.' || folder.startsWith(`${outer}/`)) === true;
      if (clue === undefined || isCovered) continue;
      folderClues.push([language, clue]);
      // Go modules do not reach into nested modules; the others' root commands do.
      if (language !== 'go') covered[language] = [...(covered[language] ?? []), folder];
    }
    if (folderClues.length === 0 && files.has('Makefile')) {
      const clue = await makefile(at('Makefile'), read, absolute);
      const isInside = Object.values(covered).some((outers) =>
        outers.some((outer) => outer !== '.' && folder.startsWith(`${outer}/`)),
      );
      if (clue !== undefined && !isInside) folderClues.push(['make', clue]);
    }
    for (const [language, clue] of folderClues) {
      const place = folder === '.' ? '' : folder.split('/').at(-1);
      found.push({
        name:
          [place, folderClues.length > 1 || place === '' ? language : ''].filter((part) => part !== '').join('-') ||
          'unit',
        folder,
        env: {},
        services: [],
        ...clue,
      });
    }
  }
  return found;
}

const depth = (folder: string): number => (folder === '.' ? 0 : folder.split('/').length);

const simple = (run: readonly [string, ...string[]], path: RelativePath, absolute: (path: string) => string): Clue => ({
  run,
  place: { file: absolute(path) },
  why: `${path} is there`,
  certainty: 'guess',
});

async function python(
  files: ReadonlySet<string>,
  paths: readonly RelativePath[],
  folder: string,
  at: (name: string) => string,
  read: ReadText,
  absolute: (path: string) => string,
): Promise<Clue | undefined> {
  const configured = await firstWith(
    [
      ['pytest.ini', /^\[pytest\]/m],
      ['pyproject.toml', /^\[tool\.pytest(\.ini_options)?\]/m],
      ['tox.ini', /^\[pytest\]/m],
      ['setup.cfg', /^\[tool:pytest\]/m],
    ],
    files,
    at,
    read,
  );
  const has = (name: string) => paths.includes(at(name));
  // A workspace of uv has one lock file, at its root.
  const hasAbove = (name: string): boolean => {
    for (let here = folder; ; here = posix.dirname(here)) {
      if (paths.includes(here === '.' ? name : `${here}/${name}`)) return true;
      if (here === '.') return false;
    }
  };
  const runner: readonly string[] = has('poetry.lock') ? ['poetry', 'run'] : hasAbove('uv.lock') ? ['uv', 'run'] : [];
  const withRunner = (command: readonly [string, ...string[]]): readonly [string, ...string[]] => {
    const [first, ...rest] = [...runner, ...command];
    return [first ?? command[0], ...rest];
  };
  if (configured !== undefined) {
    return {
      run: withRunner(['python3', '-m', 'pytest']),
      place: { file: absolute(configured) },
      why: `${configured} configures pytest`,
      certainty: 'read',
    };
  }
  if (files.has('manage.py')) {
    return {
      run: withRunner(['python3', 'manage.py', 'test']),
      place: { file: absolute(at('manage.py')) },
      why: `${at('manage.py')} is Django's`,
      certainty: 'read',
    };
  }
  const prefix = folder === '.' ? '' : `${folder}/`;
  const isProject = files.has('pyproject.toml') || has('requirements.txt') || has('setup.py') || files.has('setup.cfg');
  const test = paths.find(
    (path) =>
      path.startsWith(prefix) && /^(tests?\/)?(.*\/)?(test_[^/]+|[^/]+_test)\.py$/.test(path.slice(prefix.length)),
  );
  if (!files.has('conftest.py') && !(isProject && test !== undefined)) return undefined;
  // A conftest.py inside a test folder speaks for the app above it.
  if (/(^|\/)tests?$/.test(folder)) return undefined;
  const path = files.has('conftest.py') ? at('conftest.py') : (test ?? '');
  return {
    run: withRunner(['python3', '-m', 'pytest']),
    place: { file: absolute(path) },
    why: `${path} is there`,
    certainty: 'guess',
  };
}

async function firstWith(
  candidates: readonly (readonly [name: string, pattern: RegExp])[],
  files: ReadonlySet<string>,
  at: (name: string) => string,
  read: ReadText,
): Promise<string | undefined> {
  for (const [name, pattern] of candidates) {
    if (files.has(name) && pattern.test((await read(at(name))) ?? '')) return at(name);
  }
  return undefined;
}

async function node(
  paths: readonly RelativePath[],
  folder: string,
  at: (name: string) => string,
  read: ReadText,
  absolute: (path: string) => string,
): Promise<Clue | undefined> {
  const path = at('package.json');
  // package.json is YAML's subset, and this way the script's place is known.
  const root = readYamlDocuments((await read(path)) ?? '', absolute(path)).documents[0];
  const script = root?.at('scripts', 'test');
  const text = script?.text() ?? '';
  // What `npm init` writes.
  if (script === undefined || text === '' || /no test specified/.test(text)) return undefined;
  const manager = packageManager(paths, folder, root?.string('packageManager'));
  return {
    run: [manager, manager === 'npm' ? 'test' : 'run', ...(manager === 'npm' ? [] : ['test'])],
    // Watch modes (CRA, Vitest, Jest) turn themselves off by this.
    env: { CI: 'true' },
    place: script.place,
    why: `${path} has the script test: ${text}`,
    certainty: 'read',
  };
}

/** By `packageManager`, else the nearest lock file upwards. */
function packageManager(
  paths: readonly RelativePath[],
  folder: string,
  named: string | undefined,
): 'npm' | 'pnpm' | 'yarn' | 'bun' {
  const word = /^(npm|pnpm|yarn|bun)@/.exec(named ?? '')?.[1];
  if (word === 'npm' || word === 'pnpm' || word === 'yarn' || word === 'bun') return word;
  for (let here = folder; ; here = posix.dirname(here)) {
    const has = (name: string) => paths.includes(here === '.' ? name : `${here}/${name}`);
    if (has('pnpm-lock.yaml')) return 'pnpm';
    if (has('yarn.lock')) return 'yarn';
    if (has('bun.lockb') || has('bun.lock')) return 'bun';
    if (has('package-lock.json') || here === '.') return 'npm';
  }
}

const go = (at: (name: string) => string, absolute: (path: string) => string): Clue => ({
  run: ['go', 'test', './...'],
  place: { file: absolute(at('go.mod')) },
  why: `${at('go.mod')} is a Go module`,
  certainty: 'read',
});

function java(
  files: ReadonlySet<string>,
  paths: readonly RelativePath[],
  at: (name: string) => string,
  absolute: (path: string) => string,
): Clue | undefined {
  const has = (name: string) => paths.includes(at(name));
  if (files.has('pom.xml')) return simple([has('mvnw') ? './mvnw' : 'mvn', '-B', 'test'], at('pom.xml'), absolute);
  const gradle = ['build.gradle', 'build.gradle.kts'].find((name) => files.has(name));
  return gradle === undefined
    ? undefined
    : simple([has('gradlew') ? './gradlew' : 'gradle', 'test'], at(gradle), absolute);
}

async function makefile(
  path: RelativePath,
  read: ReadText,
  absolute: (path: string) => string,
): Promise<Clue | undefined> {
  const lines = ((await read(path)) ?? '').split('\n');
  const line = lines.findIndex((each) => /^test\s*:(?!=)/.test(each));
  if (line === -1) return undefined;
  return {
    run: ['make', 'test'],
    place: { file: absolute(path), range: { start: { line, character: 0 }, end: { line, character: 4 } } },
    why: `${path} has a target test`,
    certainty: 'guess',
  };
}
