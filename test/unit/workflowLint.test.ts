import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Diagnostic } from '../../src/engine/problems/index.ts';
import { lintWorkflow, readGithubWorkflow, readGitlabPipeline } from '../../src/engine/workflows/index.ts';

const lint = (text: string) => lintWorkflow(readGithubWorkflow(text, '/w.yml', { repository: 'acme/shop' }));
/** Findings but for the many about pins. */
const codes = (text: string) =>
  lint(text)
    .map((each) => each.code)
    .filter((code) => code !== 'ci.unpinned-action');
const job = (steps: string, head = '') =>
  `on: push\njobs:\n  a:\n    runs-on: x\n${head}    steps:\n${steps.replace(/^/gm, '      ')}\n`;
const at = (text: string, diagnostic: Diagnostic | undefined) => {
  const range = diagnostic?.place.range;
  return text.split('\n')[range?.start.line ?? 0]?.slice(range?.start.character, range?.end.character);
};
/** The text after the one edit that a diagnostic offers. */
function mended(text: string, diagnostic: Diagnostic | undefined): string {
  const range = diagnostic?.place.range;
  if (range === undefined || diagnostic?.replacement === undefined) throw new Error('nothing to replace');
  const lines = text.split('\n');
  const offset = (line: number, character: number) =>
    lines.slice(0, line).join('\n').length + (line > 0 ? 1 : 0) + character;
  return (
    text.slice(0, offset(range.start.line, range.start.character)) +
    diagnostic.replacement +
    text.slice(offset(range.end.line, range.end.character))
  );
}

const PUSH =
  '- uses: docker/build-push-action@v6\n  with: { context: ., push: true, tags: "ghcr.io/acme/shop:${{ github.sha }}" }';
const LOAD = PUSH.replace('push: true', 'load: true');
const GATE =
  "- uses: aquasecurity/trivy-action@v0.36.0\n  with: { image-ref: 'ghcr.io/acme/shop:${{ github.sha }}', severity: CRITICAL, exit-code: '1' }";
const LOGIN =
  '- uses: docker/login-action@v3\n  with: { registry: ghcr.io, username: x, password: "${{ secrets.GITHUB_TOKEN }}" }';
const WRITE = '    permissions: { packages: write }\n';

describe('lintWorkflow', () => {
  it.each<[string, string, string[]]>([
    ['gate after push', job(`${PUSH}\n${GATE}`), ['ci.gate-after-push']],
    ['gate before push', job(`${LOAD}\n${GATE}\n- run: docker push ghcr.io/acme/shop:\${{ github.sha }}`), []],
    [
      'push before gate by commands',
      job(
        `- run: |\n    docker build -t ghcr.io/acme/shop:1 .\n    docker push ghcr.io/acme/shop:1\n    trivy image --exit-code 1 ghcr.io/acme/shop:1`,
      ),
      ['ci.gate-after-push'],
    ],
    [
      'commands in the right order',
      job(
        `- run: |\n    docker build -t ghcr.io/acme/shop:1 .\n    trivy image --exit-code 1 ghcr.io/acme/shop:1\n    docker push ghcr.io/acme/shop:1`,
      ),
      [],
    ],
    ['gate of another image', job(`${PUSH}\n${GATE.replace('acme/shop', 'acme/other')}`), []],
    [
      'gate in a job that needs the push',
      `${job(PUSH)}  b:\n    needs: a\n    steps:\n${GATE.replace(/^/gm, '      ')}\n`,
      ['ci.gate-after-push'],
    ],
    ['gate in a job beside it', `${job(PUSH)}  b:\n    steps:\n${GATE.replace(/^/gm, '      ')}\n`, []],
    [
      'scan that only reports',
      job(`${LOAD}\n${GATE.replace("exit-code: '1'", 'format: table')}`),
      ['ci.scan-without-gate'],
    ],
    [
      'sarif without limit',
      job(`${LOAD}\n${GATE.replace("exit-code: '1'", "exit-code: '1', format: sarif")}`),
      ['ci.sarif-severity'],
    ],
    [
      'sarif with limit',
      job(
        `${LOAD}\n${GATE.replace("exit-code: '1'", "exit-code: '1', format: sarif, limit-severities-for-sarif: true")}`,
      ),
      [],
    ],
    [
      'latest by Helm',
      job('- run: helm upgrade --install shop chart --set image.tag=latest'),
      ['ci.moving-tag-deployed'],
    ],
    [
      'latest by kubectl',
      job('- run: kubectl set image deploy/a a=ghcr.io/acme/shop:latest'),
      ['ci.moving-tag-deployed'],
    ],
    ['the commit by Helm', job('- run: helm upgrade --install shop chart --set image.tag=${{ github.sha }}'), []],
    ['the commit by kubectl', job('- run: kubectl set image deploy/a a=ghcr.io/acme/shop:sha-${{ github.sha }}'), []],
    [
      'the branch',
      job('- run: helm upgrade shop chart --set image.tag=$(git branch --show-current)'),
      ['ci.moving-tag-deployed'],
    ],
    ['packages scope', job(`${LOGIN}\n${PUSH}`, WRITE), []],
    ['no packages scope', job(`${LOGIN}\n${PUSH}`, '    permissions: { contents: read }\n'), ['ci.permissions']],
    ['no permissions at all', job(`${LOGIN}\n${PUSH}`), ['ci.permissions']],
    ['a token of its own', job(`${LOGIN.replace('GITHUB_TOKEN', 'PAT')}\n${PUSH}`, '    permissions: {}\n'), []],
    [
      'keyless signature',
      job('- run: cosign sign --yes x', '    permissions: { contents: read }\n'),
      ['ci.permissions'],
    ],
    ['signature with a key', job('- run: cosign sign --key env://K x', '    permissions: { contents: read }\n'), []],
    ['write-all', job(`${LOGIN}\n${PUSH}`, '    permissions: write-all\n'), []],
    ['read-all', job(`${LOGIN}\n${PUSH}`, '    permissions: read-all\n'), ['ci.permissions']],
    ...(
      [
        ['commit back without write', '- uses: actions/checkout@v4\n- run: git push', ['ci.permissions']],
        ['commit back to origin', '- uses: actions/checkout@v4\n- run: git push origin HEAD:main', ['ci.permissions']],
        ['commit to another remote', '- uses: actions/checkout@v4\n- run: git push trybot HEAD', []],
        [
          'commit with a token of its own',
          '- uses: actions/checkout@v4\n  with: { token: "${{ secrets.PAT }}" }\n- run: git push',
          [],
        ],
        [
          'commit by an action with its token',
          '- uses: actions/checkout@v4\n- uses: peter-evans/create-pull-request@v7\n  with: { token: "${{ secrets.PAT }}" }',
          [],
        ],
      ] as const
    ).map(([what, steps, expected]): [string, string, string[]] => [
      what,
      job(steps, '    permissions: { contents: read }\n'),
      [...expected],
    ]),
    [
      'code of pull requests',
      job('- uses: actions/checkout@v4\n  with: { ref: "${{ github.event.pull_request.head.sha }}" }').replace(
        'on: push',
        'on: pull_request_target',
      ),
      ['ci.pull-request-target'],
    ],
    [
      'the same on pull_request',
      job('- uses: actions/checkout@v4\n  with: { ref: "${{ github.event.pull_request.head.sha }}" }').replace(
        'on: push',
        'on: pull_request',
      ),
      [],
    ],
    [
      'password on the command line',
      job('- run: docker login -u a -p ${{ secrets.P }} r.example.com'),
      ['ci.password-argument'],
    ],
    ['password by stdin', job('- run: echo ${{ secrets.P }} | docker login -u a --password-stdin r.example.com'), []],
    [
      'malicious Trivy by input',
      job('- uses: aquasecurity/trivy-action@v0.36.0\n  with: { scan-type: fs, version: v0.69.4 }'),
      ['ci.malicious-trivy'],
    ],
    ['malicious Trivy by action image', job('- uses: docker://docker.io/aquasec/trivy:0.69.5'), ['ci.malicious-trivy']],
    [
      'malicious Trivy by docker run',
      job('- run: docker run aquasec/trivy:0.69.6 image --exit-code 1 x'),
      ['ci.malicious-trivy'],
    ],
    ['a good Trivy', job('- run: docker run ghcr.io/aquasecurity/trivy:0.70.0 image --exit-code 1 x'), []],
  ])('%s', (_what, text, expected) => {
    expect(codes(text)).toEqual(expected);
  });

  it.each([
    ['0.0.1', true],
    ['0.28.0', true],
    ['0.34.2', true],
    ['v0.34.0', true],
    ['0.33', true],
    ['master', true],
    ['0.35.0', false],
    ['v0.36.0', false],
    ['v1.0.0', false],
    ['0123456789012345678901234567890123456789', false],
  ])('trivy-action@%s is malicious or unsafe: %s', (ref, isBad) => {
    const text = job(`- uses: aquasecurity/trivy-action@${ref}\n  with: { scan-type: config }`);
    const found = lint(text).find((each) => each.code === 'ci.malicious-action');
    expect(found !== undefined).toBe(isBad);
    if (found === undefined) return;
    expect(found.severity).toBe('error');
    expect(at(text, found)).toBe(`aquasecurity/trivy-action@${ref}`);
    expect(lint(mended(text, found)).map((each) => each.code)).not.toContain('ci.malicious-action');
  });

  it.each([
    ['docker/login-action@v3', true],
    ['docker/login-action@0123456789012345678901234567890123456789 # v3', false],
    ['actions/checkout@v4', false],
    ['./local', false],
  ])('%s is unpinned: %s', (use, isUnpinned) => {
    expect(lint(job(`- uses: ${use}`)).some((each) => each.code === 'ci.unpinned-action')).toBe(isUnpinned);
  });

  it('mends permissions with one edit', () => {
    const block = job(`${LOGIN}\n${PUSH}`, '    permissions:\n      contents: read # ours\n');
    const missing = lint(block).find((each) => each.code === 'ci.permissions');
    const after = mended(block, missing);
    expect(after).toContain('      contents: read\n      packages: write # ours\n');
    expect(codes(after)).toEqual([]);
    const weak = job(`${LOGIN}\n${PUSH}`, '    permissions:\n      packages: read\n');
    const found = lint(weak).find((each) => each.code === 'ci.permissions');
    expect(at(weak, found)).toBe('read');
    expect(codes(mended(weak, found))).toEqual([]);
  });

  it('finds in a whole workflow what hurts in it', () => {
    const text = readFileSync(join(import.meta.dirname, 'fixtures/workflows/scan-after-push.yml'), 'utf8');
    expect(codes(text)).toEqual(['ci.malicious-action', 'ci.gate-after-push', 'ci.moving-tag-deployed']);
  });

  it('looks at the image a job runs in', () => {
    const text = 'scan: { image: { name: "aquasec/trivy:0.69.4" }, script: ["trivy fs ."] }';
    expect(lintWorkflow(readGitlabPipeline(text, '/.gitlab-ci.yml')).map((each) => each.code)).toEqual([
      'ci.malicious-trivy',
    ]);
  });

  it('knows the order of GitLab jobs by stages and needs', () => {
    const pipeline = (needs: string) =>
      lintWorkflow(
        readGitlabPipeline(
          `stages: [build, scan]\nbuild: { stage: build, script: ["docker build -t r.io/a/b:1 .", "docker push r.io/a/b:1"] }\nscan: { stage: scan, ${needs} script: ["trivy image --exit-code 1 r.io/a/b:1"] }\n`,
          '/.gitlab-ci.yml',
        ),
      ).map((each) => each.code);
    expect(pipeline('')).toEqual(['ci.gate-after-push']);
    expect(pipeline('needs: [],')).toEqual([]);
  });
});
