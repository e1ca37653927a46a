import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readMisconfigurations } from '../../src/engine/images/misconfiguration.ts';
import { untar } from '../../src/engine/tests/containerFiles.ts';
import { namedReports } from '../../src/engine/tests/namedReports.ts';
import { readSarif } from '../../src/engine/tests/sarif.ts';

const place = { file: '/repo/slipway.yaml' };

describe('readSarif', () => {
  const report = {
    version: '2.1.0',
    runs: [
      {
        tool: {
          driver: {
            name: 'Snyk Container',
            rules: [
              {
                id: 'SNYK-1',
                helpUri: 'https://example.invalid/1',
                shortDescription: { text: 'Old openssl' },
                defaultConfiguration: { level: 'error' },
              },
            ],
          },
        },
        results: [
          {
            ruleId: 'SNYK-1',
            message: { text: 'openssl 1.0 is old\nmore' },
            locations: [
              {
                physicalLocation: {
                  artifactLocation: { uri: 'docker/app%20x.Dockerfile' },
                  region: { startLine: 3, startColumn: 2, endLine: 3, endColumn: 9 },
                },
              },
            ],
          },
          { ruleId: 'other', level: 'note', message: { text: 'a note' } },
          { ruleId: 'SNYK-1', message: { text: 'accepted' }, suppressions: [{ kind: 'external' }] },
          { ruleId: 'SNYK-1', kind: 'pass', message: { text: 'passed' } },
        ],
      },
    ],
  };

  it('gives place, severity, rule and fix', () => {
    expect(readSarif(JSON.stringify(report), '/repo', place)).toEqual({
      tools: ['Snyk Container'],
      diagnostics: [
        {
          severity: 'error',
          code: 'Snyk Container.SNYK-1',
          message: 'openssl 1.0 is old',
          place: {
            file: '/repo/docker/app x.Dockerfile',
            range: { start: { line: 2, character: 1 }, end: { line: 2, character: 8 } },
          },
          fix: 'See https://example.invalid/1.',
        },
        { severity: 'info', code: 'Snyk Container.other', message: 'a note', place },
      ],
    });
  });

  it.each(['', '{', 'null', '[]', '{"runs":3}', '<xml/>'])('takes %j for no report', (text) => {
    expect(readSarif(text, '/repo', place)).toBeUndefined();
  });
});

describe('readMisconfigurations', () => {
  it('reads what failed, worst first, with lines from 0', () => {
    const text = JSON.stringify({
      SchemaVersion: 2,
      Results: [
        {
          Target: 'Dockerfile',
          Misconfigurations: [
            { ID: 'DS-0005', Title: 'ADD instead of COPY', Message: 'm', Severity: 'LOW', Status: 'FAIL' },
            {
              ID: 'AVD-DS-0002',
              AVDID: 'AVD-DS-0002',
              Title: 'root',
              Message: 'Last USER is root',
              Resolution: 'Add USER',
              Severity: 'HIGH',
              Status: 'FAIL',
              CauseMetadata: { StartLine: 2, EndLine: 2 },
            },
            { ID: 'DS-0001', Severity: 'HIGH', Status: 'PASS' },
          ],
        },
        { Target: 'empty' },
      ],
    });
    expect(readMisconfigurations(text)).toEqual([
      {
        ids: ['DS-0002'],
        title: 'root',
        message: 'Last USER is root',
        severity: 'HIGH',
        target: 'Dockerfile',
        resolution: 'Add USER',
        line: 1,
        endLine: 1,
      },
      { ids: ['DS-0005'], title: 'ADD instead of COPY', message: 'm', severity: 'LOW', target: 'Dockerfile' },
    ]);
  });

  it.each(['', '{}', '{"SchemaVersion":'])('does not take %j for a clean report', (text) => {
    expect(() => readMisconfigurations(text)).toThrow(/whole report/);
  });
});

describe('namedReports', () => {
  it.each([
    ['pytest -q --junitxml=out/py.xml', ['out/py.xml']],
    ['sh -c "cd api && pytest --junit-xml \'r.xml\'; exit 0"', ['r.xml']],
    ['gotestsum --junitfile report.xml ./...', ['report.xml']],
    ['npx vitest run --reporter=junit --outputFile.junit=v.xml', ['v.xml', 'junit.xml', 'test-results.xml']],
    ['vendor/bin/phpunit --log-junit build/junit.xml', ['build/junit.xml']],
    ['./mvnw -B verify', ['**/target/surefire-reports/*.xml', '**/target/failsafe-reports/*.xml']],
    ['pytest --junitxml=$OUT/r.xml', []],
    ['go test ./...', []],
  ])('%s', (run, reports) => {
    const [first = '', ...rest] = run.split(' ');
    expect(namedReports({ run: [first, ...rest], env: {} })).toEqual(reports);
  });

  it('knows the variables of reporters', () => {
    expect(namedReports({ run: ['python3', 'manage.py', 'test'], env: { JUNIT_FILE: 'r/j.xml' } })).toEqual([
      'r/j.xml',
    ]);
  });
});

describe('untar', () => {
  const folder = mkdtempSync(join(tmpdir(), 'slipway-tar-'));
  const long = `${'deep/'.repeat(24)}report.xml`;
  mkdirSync(join(folder, 'reports', 'deep/'.repeat(24)), { recursive: true });
  writeFileSync(join(folder, 'reports/a.xml'), '<a/>');
  writeFileSync(join(folder, 'reports', long), 'x'.repeat(1_000));
  writeFileSync(join(folder, 'reports/empty.xml'), '');

  it.each(['gnu', 'pax', 'ustar'])('reads what tar writes as %s', (format) => {
    const { stdout } = spawnSync('tar', ['-C', folder, `--format=${format}`, '-cf', '-', 'reports']);
    const files = untar(stdout);
    expect(new Map(files.map(({ name, bytes }) => [name, bytes.length]))).toEqual(
      new Map([
        ['reports/a.xml', 4],
        [`reports/${long}`, 1_000],
        ['reports/empty.xml', 0],
      ]),
    );
    expect(files.every(({ mtimeMs }) => mtimeMs > 1_600_000_000_000)).toBe(true);
    expect(untar(stdout.subarray(0, 700)).length, 'cut off').toBeLessThanOrEqual(1);
  });
});
