import { describe, expect, it } from 'vitest';
import { readMisconfigurations } from '../../src/engine/images/misconfiguration.ts';
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
