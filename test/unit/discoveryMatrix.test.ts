import { describe, expect, it } from 'vitest';
import { discover } from './bakeParts.ts';

const github = (matrix: string, steps: string, services = '') => ({
  '.github/workflows/ci.yml': `on: push
jobs:
  unit:
    runs-on: ubuntu-latest
    strategy:
      matrix:
${matrix.replace(/^/gm, '        ')}
${services}    steps:
      - uses: actions/setup-python@v5
        with: { python-version: "\${{ matrix.python }}" }
      - run: ${steps}
`,
});
const told = async (files: Readonly<Record<string, string>>) => {
  const { project } = await discover(files);
  return {
    tests: project.tests.map(
      ({ name, run, env, services }) =>
        `${name}: ${[...Object.entries(env).map(([key, value]) => `${key}=${value}`), ...run].join(' ')}${services.map(({ image }) => ` with ${image}`).join('')}`,
    ),
    said: project.diagnostics.map(({ message }) => message),
  };
};

describe('tests of a CI matrix', () => {
  it('each combination that gives another test is one, with include and exclude as the host takes them', async () => {
    const { tests } = await told(
      github(
        'suite: [fast, slow]\ndb: [sqlite, postgres]\nexclude: [{ suite: slow, db: sqlite }]\ninclude: [{ suite: smoke, db: none }]',
        'pytest -m ${{ matrix.suite }} --db ${{ matrix.db }}',
      ),
    );
    expect(tests).toEqual([
      'unit-fast-sqlite: pytest -m fast --db sqlite',
      'unit-fast-postgres: pytest -m fast --db postgres',
      'unit-slow-postgres: pytest -m slow --db postgres',
      'unit-smoke-none: pytest -m smoke --db none',
    ]);
  });

  it('services differ with it, too', async () => {
    const { tests } = await told(
      github(
        'pg: ["15", "16"]',
        'pytest',
        '    services:\n      postgres:\n        image: "postgres:${{ matrix.pg }}"\n        ports: ["5432:5432"]\n',
      ),
    );
    expect(tests).toEqual(['unit-15: pytest with postgres:15', 'unit-16: pytest with postgres:16']);
  });

  it('combinations that only install another version are one test, and that is said', async () => {
    const { tests, said } = await told(
      github('python: ["3.11", "3.12"]\nos: [a, b]', 'pytest --junitxml=report-${{ matrix.python }}.xml'),
    );
    expect(tests).toHaveLength(1);
    expect(said.join('\n')).toContain(
      'its matrix (python 3.11, 3.12 and os a, b) changes what the job installs and not the command',
    );
  });

  it('says where it stops', async () => {
    const numbers = Array.from({ length: 20 }, (_each, index) => index + 1).join(', ');
    const { tests, said } = await told(github(`shard: [${numbers}]`, 'pytest --shard ${{ matrix.shard }}'));
    expect(tests).toHaveLength(16);
    expect(said.join('\n')).toContain(
      '4 of the 20 tests that the matrix of job "unit" makes (unit-17, unit-18, unit-19, …)',
    );
  });

  it('GitLab: variables of parallel:matrix are environment and fill images', async () => {
    const { tests } = await told({
      '.gitlab-ci.yml': `unit:
  parallel:
    matrix:
      - { PG: ["15", "16"], SUITE: fast }
      - { PG: "16", SUITE: slow }
  services: ["postgres:$PG"]
  script: [pytest]
`,
    });
    expect(tests).toEqual([
      'unit-15-fast: PG=15 SUITE=fast pytest with postgres:15',
      'unit-16-fast: PG=16 SUITE=fast pytest with postgres:16',
      'unit-16-slow: PG=16 SUITE=slow pytest with postgres:16',
    ]);
  });
});
