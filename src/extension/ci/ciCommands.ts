import * as vscode from 'vscode';
import type { CiJob, CiRun, CiStep } from '../../engine/ci/index.ts';
import { CancelledError, SlipwayError, toFailure } from '../../engine/problems/index.ts';
import type { System } from '../../engine/system/index.ts';
import type { CommandSpec } from '../commands/register.ts';
import { age } from '../words.ts';
import type { CiAccounts } from './accounts.ts';
import { downloadArtifacts } from './artifacts.ts';
import { openCiLog } from './ciLogs.ts';
import { type CiSource, SIGN_IN } from './ciSource.ts';
import type { CiSources } from './ciSources.ts';
import type { CiNode } from './ciTree.ts';
import { askInputs, dispatchable } from './dispatchInputs.ts';

export interface CiCommandParts {
  readonly sources: CiSources;
  readonly accounts: CiAccounts;
  readonly system: System;
}

export function ciCommands({ sources, accounts, system }: CiCommandParts): readonly CommandSpec[] {
  const act = async (
    argument: unknown,
    title: string,
    work: (source: CiSource, run: CiRun, signal: AbortSignal) => Promise<void>,
  ) => {
    const { source, run } = await pickRun(sources, argument, title);
    try {
      await work(source, run, AbortSignal.timeout(60_000));
    } catch (error) {
      if (!(await showWay(error, run.url))) throw error;
    }
    source.refresh();
  };
  return [
    { id: 'slipway.ci.refresh', needs: 'trusted', run: () => sources.refresh() },
    {
      id: 'slipway.ci.signIn',
      needs: 'trusted',
      run: async (argument) => {
        const source = await pickSource(sources, argument);
        await accounts.signIn(await repositoryOf(source));
      },
    },
    {
      id: 'slipway.ci.signOut',
      needs: 'trusted',
      run: async (argument) => {
        const source = await pickSource(sources, argument);
        await accounts.signOut(await repositoryOf(source));
      },
    },
    {
      id: 'slipway.ci.askHost',
      needs: 'trusted',
      run: async (argument) => {
        const source = await pickSource(sources, argument);
        const host = await sources.askHost(source, AbortSignal.timeout(60_000));
        if (host !== undefined) return;
        throw new SlipwayError({
          reason: 'usage',
          code: 'ci.unknown-host',
          message: vscode.l10n.t(
            'The host of the git remote is no GitHub, GitLab, Gitea or Forgejo that answers here.',
          ),
          fix: vscode.l10n.t('Name the remote of your CI host in the setting slipway.ci.remote.'),
        });
      },
    },
    {
      id: 'slipway.ci.openLog',
      needs: 'trusted',
      run: async (argument) => {
        const node = nodeOf(argument);
        const { source, run } = await pickRun(sources, argument, vscode.l10n.t('Open CI Log'));
        const job = node?.kind === 'job' || node?.kind === 'step' ? node.job : await pickJob(source, run);
        const step: CiStep | undefined = node?.kind === 'step' ? node.step : undefined;
        const title = `${run.number} ${job.name}${step === undefined ? '' : ` ${step.name}`}`;
        await openCiLog(
          { folder: source.folder, run: run.id, job: job.id, ...(step !== undefined && { step: timesOf(step) }) },
          title,
        );
      },
    },
    {
      id: 'slipway.ci.openPage',
      needs: 'nothing',
      run: async (argument) => {
        const node = nodeOf(argument);
        const url =
          node?.kind === 'job'
            ? node.job.url
            : (await pickRun(sources, argument, vscode.l10n.t('Open CI Run in Browser'))).run.url;
        if (/^https?:/.test(url)) await vscode.env.openExternal(vscode.Uri.parse(url, true));
      },
    },
    {
      id: 'slipway.ci.rerun',
      needs: 'trusted',
      run: (argument) =>
        act(argument, vscode.l10n.t('Run CI Again'), async (source, run, signal) =>
          (await source.connected()).rerun(run.id, 'all', signal),
        ),
    },
    {
      id: 'slipway.ci.rerunFailed',
      needs: 'trusted',
      run: (argument) =>
        act(argument, vscode.l10n.t('Run Failed CI Jobs Again'), async (source, run, signal) =>
          (await source.connected()).rerun(run.id, 'failed', signal),
        ),
    },
    {
      id: 'slipway.ci.cancel',
      needs: 'trusted',
      run: (argument) =>
        act(argument, vscode.l10n.t('Cancel CI Run'), async (source, run, signal) =>
          (await source.connected()).cancel(run.id, signal),
        ),
    },
    {
      id: 'slipway.ci.artifacts',
      needs: 'trusted',
      run: async (argument) =>
        downloadArtifacts(sources, system, await pickRun(sources, argument, vscode.l10n.t('Download CI Artifacts'))),
    },
    {
      id: 'slipway.ci.dispatch',
      needs: 'trusted',
      run: async (argument) => {
        const source = await pickSource(sources, argument);
        const client = await source.connected();
        const signal = AbortSignal.timeout(60_000);
        const can = await client.ability('dispatch', signal);
        if (!can.isAble) throw new SlipwayError({ reason: 'refused', code: 'ci.unsupported', message: `${can.why}.` });
        const workflows = (await client.workflows(signal)).filter(({ isEnabled }) => isEnabled);
        const top = source.found?.git.top ?? source.folder;
        const offered = await dispatchable(top, workflows, client.repository.kind, (await sources.engine()).readInputs);
        const picked = await vscode.window.showQuickPick(
          offered.map(({ workflow, inputs }) => ({
            label: workflow.name,
            description: workflow.file,
            workflow,
            inputs,
          })),
          {
            title: vscode.l10n.t('Start CI Workflow'),
            placeHolder: vscode.l10n.t('Workflow that can be started by hand'),
          },
        );
        if (picked === undefined) throw new CancelledError();
        const ref = await vscode.window.showInputBox({
          title: vscode.l10n.t('Branch or tag'),
          value: source.found?.git.branch ?? '',
          validateInput: (text) => (text.trim() === '' ? vscode.l10n.t('Name a branch or tag.') : undefined),
        });
        if (ref === undefined) throw new CancelledError();
        const inputs = await askInputs(picked.inputs);
        const run = await client.dispatch({ workflow: picked.workflow.id, ref: ref.trim(), inputs }, signal);
        source.refresh();
        if (run !== undefined) source.openRun(run.id);
      },
    },
  ];
}

/** What waiting does not mend is said with a button that does. False when there is none, and the error is still to be shown. */
async function showWay(error: unknown, page: string): Promise<boolean> {
  const { code, message, fix = '' } = toFailure(error);
  const open = vscode.l10n.t('Open Page of the Run');
  const signIn = vscode.l10n.t('Sign In');
  const hasPage = code === 'ci.unsupported' && /^https?:/.test(page);
  if (!hasPage && !SIGN_IN.has(code ?? '')) return false;
  const text = hasPage ? message : `${message} ${fix}`;
  const chosen = await vscode.window.showErrorMessage(text, hasPage ? open : signIn);
  if (chosen === open) await vscode.env.openExternal(vscode.Uri.parse(page, true));
  if (chosen === signIn) await vscode.commands.executeCommand('slipway.ci.signIn');
  return true;
}

const timesOf = ({ startedAt, finishedAt }: CiStep) => ({
  ...(startedAt !== undefined && { startedAt }),
  ...(finishedAt !== undefined && { finishedAt }),
});

function nodeOf(argument: unknown): CiNode | undefined {
  const node = argument as CiNode | undefined;
  return typeof node === 'object' && node !== null && 'source' in node ? node : undefined;
}

async function repositoryOf(source: CiSource) {
  const known = source.client?.repository ?? source.found?.repository;
  return known ?? (await source.connected()).repository;
}

async function pickSource(sources: CiSources, argument: unknown): Promise<CiSource> {
  const given = nodeOf(argument)?.source;
  if (given !== undefined) return given;
  const [only] = sources.all;
  if (only === undefined) {
    throw new SlipwayError({
      reason: 'usage',
      message: vscode.l10n.t('No folder is open.'),
      fix: vscode.l10n.t('Open a git repository.'),
    });
  }
  if (sources.all.length === 1) return only;
  const picked = await vscode.window.showQuickPick(
    sources.all.map((source) => ({ label: source.client?.repository.path ?? source.folder, source })),
    { title: vscode.l10n.t('Repository') },
  );
  if (picked === undefined) throw new CancelledError();
  return picked.source;
}

async function pickRun(
  sources: CiSources,
  argument: unknown,
  title: string,
): Promise<{ readonly source: CiSource; readonly run: CiRun }> {
  const node = nodeOf(argument);
  const source = await pickSource(sources, argument);
  const id = node?.kind === 'run' ? node.id : node?.kind === 'job' || node?.kind === 'step' ? node.run : undefined;
  const signal = AbortSignal.timeout(60_000);
  const known = id === undefined ? undefined : (source.run(id) ?? (await (await source.connected()).run(id, signal)));
  if (known !== undefined) return { source, run: known };
  const runs = source.runs.length > 0 ? source.runs : await (await source.connected()).runs({}, signal);
  const now = Date.now();
  const picked = await vscode.window.showQuickPick(
    runs.map((run) => ({
      label: `#${run.number} ${run.title}`,
      description: `${run.state}, ${run.ref}, ${age(run.createdAt, now)}`,
      run,
    })),
    { title, matchOnDescription: true },
  );
  if (picked === undefined) throw new CancelledError();
  return { source, run: picked.run };
}

async function pickJob(source: CiSource, run: CiRun): Promise<CiJob> {
  const jobs = await source.loadJobs(run.id, AbortSignal.timeout(60_000));
  const [only] = jobs;
  if (jobs.length === 1 && only !== undefined) return only;
  const picked = await vscode.window.showQuickPick(
    jobs.map((job) => ({ label: job.name, description: job.state, job })),
    { title: vscode.l10n.t('Open CI Log') },
  );
  if (picked === undefined) throw new CancelledError();
  return picked.job;
}
