// Workflows of well-known public repositories, each reduced to what makes it hard and written anew: what is built, tagged,
// scanned and deployed, and whether a push starts it. The names in `of` say where the way of doing it was seen.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { askPush } from '../../src/engine/lint/index.ts';
import { findEverything, migrateWorkflow, readConfig } from '../../src/engine/project/index.ts';
import { createSystem } from '../../src/engine/system/index.ts';
import { notes } from './workflowNotes.ts';
import { CASES, type PublicCase } from './workflowsPublicCases.ts';
import { EXPECTED } from './workflowsPublicExpected.ts';
import { workspace } from './workspaces.ts';

const system = createSystem();
const workspaceOf = ({ files, remote }: PublicCase): string =>
  workspace({
    ...files,
    '.git/HEAD': 'ref: refs/heads/main\n',
    '.git/config': `[remote "origin"]\n\turl = ${remote}\n`,
    '.git/refs/remotes/origin/HEAD': 'ref: refs/remotes/origin/main\n',
  });

describe.each(CASES)('in the manner of $of', (one) => {
  const expected = EXPECTED[one.of];

  it('says what is there, and what is not known', async () => {
    const { pipelines } = await findEverything(system, workspaceOf(one));
    expect(Object.fromEntries(pipelines.map(({ path, workflow }) => [path, notes(workflow)]))).toEqual(expected?.notes);
  });

  it.each(one.pushes)('knows what a push of $files to $ref starts', async ({ files, ref, message }) => {
    const found = await askPush(system, workspaceOf(one), {
      files,
      ref: ref.startsWith('refs/tags/') ? { tag: ref.slice('refs/tags/'.length) } : { branch: ref },
      ...(message !== undefined && { message }),
    });
    const said = found.flatMap(({ workflow, runs, reason, jobs }) => [
      `${workflow} ${runs}: ${reason}`,
      ...(jobs ?? []).map((job) => `${job.name} ${job.runs}: ${job.reason}`),
    ]);
    expect(said).toEqual(expected?.pushes[`${files.join(' ')} on ${ref}`]);
  });

  it('leads to lines that exist, in the file that holds them', async () => {
    const { pipelines } = await findEverything(system, workspaceOf(one));
    for (const { workflow } of pipelines)
      for (const { place } of [...workflow.facts, ...workflow.jobs, ...workflow.diagnostics]) {
        const lines = readFileSync(place.file, 'utf8').split('\n');
        expect(lines[place.range?.start.line ?? 0]?.trim(), place.file).toBeTruthy();
      }
  });
});

describe.each(CASES)('moving over from $of', (one) => {
  it('names every build, job and step once: taken, or left with the reason', async () => {
    const root = workspaceOf(one);
    const { pipelines } = await findEverything(system, root);
    for (const { path, workflow } of pipelines) {
      const { proposal, report } = await migrateWorkflow(system, root, path);
      expect(readConfig(proposal.text, join(root, 'slipway.yaml'), root).diagnostics).toEqual([]);
      const parts = report.left.map(({ what, why, place }) => JSON.stringify([what, why, place]));
      expect(new Set(parts).size).toBe(parts.length);
      const said = [
        ...report.taken.map(({ what }) => what),
        ...report.left.map(({ what, why }) => `${what}: ${why}`),
      ].join('\n');
      for (const job of workflow.jobs) {
        const isSaid = job.steps.length === 0 ? said.includes(`"${job.id}"`) : said.includes(job.id);
        const hasJobs = workflow.jobs.some(({ id }) => id.startsWith(`${job.id} / `));
        // One that calls a workflow of another repository is named by what it calls.
        const isCall =
          workflow.host === 'github' && job.steps.length === 0 && /The called workflow \S+ is not read/.test(said);
        expect(isSaid || hasJobs || isCall, `${job.id} in\n${said}`).toBe(true);
      }
      // Called workflows of this repository were read.
      const isElsewhere = report.left.filter(({ why }) => why.includes('of another repository'));
      expect(isElsewhere).toEqual([]);
    }
  });
});

describe('the cases', () => {
  it('come from ten repositories and more, of all three kinds of host', () => {
    expect(new Set(CASES.map(({ of }) => of)).size).toBeGreaterThanOrEqual(10);
    const paths = CASES.flatMap(({ files }) => Object.keys(files));
    for (const part of ['.github/workflows/', '.gitlab-ci.yml', '.forgejo/workflows/'])
      expect(paths.some((path) => path.startsWith(part))).toBe(true);
    expect(Object.keys(EXPECTED).sort()).toEqual(CASES.map(({ of }) => of).sort());
  });
});
