import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { CiClient, CiRun, RunWithJobs } from '../../engine/ci/index.ts';
import { Secrets } from '../../engine/events/secrets.ts';
import { SlipwayError } from '../../engine/problems/index.ts';
import { annotationLine, artifactLine, jobLines, runLine, runLines, storyLines } from '../ciWords.ts';
import type { CliContext } from '../context.ts';
import { liveLines } from '../liveLines.ts';

interface CiFlags {
  readonly remote?: string;
}

interface Connected {
  readonly cli: CliContext;
  readonly client: CiClient;
  readonly secrets: Secrets;
  /** The branch that is checked out. */
  readonly branch: string | undefined;
  /** One object in a line, or text; secrets are masked either way. */
  readonly print: (text: string) => void;
  readonly json: (value: object) => void;
}

/** Runs on the CI host behind the git remote: seen, followed, started, repeated, cancelled. */
export function addCiCommands(program: Command, context: () => CliContext): void {
  const ci = program
    .command('ci')
    .description('The runs of this repository on GitHub, GitLab, Gitea or Forgejo.')
    .option('--remote <name>', "git remote of the CI host; default: the branch's own, then origin");
  const connect = async (): Promise<Connected> => {
    const cli = context();
    const { connectCi } = await import('../../engine/ci/index.ts');
    const secrets = secretsOf(cli);
    const { remote } = ci.opts<CiFlags>();
    const { client, git } = await connectCi(cli.system, cli.root, secrets, {
      ...(remote !== undefined && { remote }),
      signal: cli.signal,
    });
    const print = (text: string) => cli.print(secrets.mask(text));
    return { cli, client, secrets, branch: git.branch, print, json: (value) => print(JSON.stringify(value)) };
  };
  ci.command('list', { isDefault: true })
    .description('The newest runs.')
    .option('-b, --branch <branch>', 'only of this branch')
    .option('-w, --workflow <file>', 'only of this workflow')
    .option('--commit <sha>', 'only of this commit')
    .option('-n, --count <number>', 'how many', '15')
    // The default command gets every word that is no command.
    .allowExcessArguments()
    .action(async (flags: ListFlags, { args: [word] }: Command) => {
      if (word === undefined) return list(await connect(), flags);
      throw new SlipwayError({
        reason: 'usage',
        code: 'ci.command',
        message: `"${word}" is no command of slipway ci.`,
        fix: 'slipway ci --help lists them.',
      });
    });
  ci.command('show')
    .description('A run with its jobs, the steps of those that failed, remarks, artifacts, images and environments.')
    .argument('[run]', 'number or id; default: the newest of this branch')
    .option('-b, --branch <branch>', 'the newest of this branch')
    .option('--images', 'also ask the registries which images were built from its commit')
    .action(async (run: string | undefined, flags: ShowFlags) => show(await connect(), run, flags));
  ci.command('logs')
    .description('The log of a job; without one, of those that failed.')
    .argument('[job]', 'name, part of the name, or id')
    .option('-r, --run <run>', 'number or id; default: the newest of this branch')
    .option('-b, --branch <branch>', 'the newest of this branch')
    .option('-f, --follow', 'go on until the job has ended')
    .option('--raw', 'as the host gives it, with times and colours')
    .action(async (job: string | undefined, flags: LogFlags) => logs(await connect(), job, flags));
  ci.command('artifacts')
    .description('What the jobs of a run left behind; with --get or --all it is fetched and unpacked.')
    .argument('[run]', 'number or id; default: the newest of this branch')
    .option('-b, --branch <branch>', 'the newest of this branch')
    .option('--get <name>', 'fetch the one of this name; repeatable', append)
    .option('--all', 'fetch all of them')
    .option('--dir <folder>', 'where to, a folder for each', '.')
    .action(async (run: string | undefined, flags: ArtifactFlags) => artifacts(await connect(), run, flags));
  ci.command('watch')
    .description('Follow a run until it has ended; exit code 1 when it failed.')
    .argument('[run]', 'number or id; default: the newest of this branch')
    .option('-b, --branch <branch>', 'the newest of this branch')
    .action(async (run: string | undefined, flags: { readonly branch?: string }) => {
      const connected = await connect();
      await watch(connected, await chosen(connected, run, flags.branch));
    });
  ci.command('workflows')
    .description('The workflows that can be started.')
    .action(async () => {
      const { client, cli, print, json } = await connect();
      for (const workflow of await client.workflows(cli.signal)) {
        if (cli.isJson) json(workflow);
        else print(`${workflow.id.padEnd(28)}  ${workflow.file}${workflow.isEnabled ? '' : '  disabled'}`);
      }
    });
  ci.command('run')
    .description('Start a workflow (GitLab: a pipeline).')
    .argument('[workflow]', 'file name of the workflow; GitLab needs none')
    .option('--ref <ref>', 'branch or tag; default: the branch that is checked out')
    .option('-f, --field <name=value>', 'input (GitLab: variable; input:NAME=VALUE for an input); repeatable', collect)
    .option('--watch', 'follow it until it has ended')
    .action(async (workflow: string | undefined, flags: RunFlags) => dispatch(await connect(), workflow, flags));
  ci.command('rerun')
    .description('Run a run again.')
    .argument('[run]', 'number or id; default: the newest of this branch')
    .option('--failed', 'only the jobs that failed')
    .option('--watch', 'follow it until it has ended')
    .action(async (run: string | undefined, flags: { readonly failed?: boolean; readonly watch?: boolean }) => {
      const connected = await connect();
      const found = await chosen(connected, run, undefined);
      await connected.client.rerun(found.id, flags.failed === true ? 'failed' : 'all', connected.cli.signal);
      done(connected, found, flags.failed === true ? 'Its failed jobs run again' : 'It runs again');
      if (flags.watch === true) await watch(connected, found);
    });
  ci.command('cancel')
    .description('Cancel a run.')
    .argument('[run]', 'number or id; default: the newest of this branch')
    .action(async (run: string | undefined) => {
      const connected = await connect();
      const found = await chosen(connected, run, undefined);
      await connected.client.cancel(found.id, connected.cli.signal);
      done(connected, found, 'Cancelling');
    });
}

interface ListFlags {
  readonly branch?: string;
  readonly workflow?: string;
  readonly commit?: string;
  readonly count: string;
}

interface ShowFlags {
  readonly branch?: string;
  readonly images?: boolean;
}

interface LogFlags {
  readonly run?: string;
  readonly branch?: string;
  readonly follow?: boolean;
  readonly raw?: boolean;
}

interface ArtifactFlags {
  readonly branch?: string;
  readonly get?: readonly string[];
  readonly all?: boolean;
  readonly dir: string;
}

interface RunFlags {
  readonly ref?: string;
  readonly field?: Readonly<Record<string, string>>;
  readonly watch?: boolean;
}

const append = (text: string, before: readonly string[] = []): readonly string[] => [...before, text];

function collect(text: string, before: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
  const at = text.indexOf('=');
  if (at < 1) {
    throw new SlipwayError({
      reason: 'usage',
      code: 'ci.field',
      message: `"${text}" is no input.`,
      fix: 'Write it as name=value.',
    });
  }
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) };
}

function secretsOf(cli: CliContext): Secrets {
  const secrets = new Secrets();
  for (const [name, value] of Object.entries(cli.system.env)) {
    if (/(TOKEN|SECRET|PASSWORD|API_?KEY)$/i.test(name) && (value?.length ?? 0) >= 8) secrets.add(value);
  }
  return secrets;
}

async function chosen(connected: Connected, run: string | undefined, branch: string | undefined): Promise<CiRun> {
  const { pickRun } = await import('../../engine/ci/index.ts');
  return pickRun(connected.client, run, branch ?? connected.branch, connected.cli.signal);
}

function done({ cli, print, json }: Connected, run: CiRun, words: string): void {
  if (cli.isJson) json({ id: run.id, number: run.number, url: run.url, done: words });
  else print(`${words}: #${run.number} ${run.url}`);
}

async function list({ cli, client, print, json }: Connected, flags: ListFlags): Promise<void> {
  const most = Number(flags.count);
  if (!Number.isInteger(most) || most < 1) {
    throw new SlipwayError({ reason: 'usage', message: `"${flags.count}" is no count.`, fix: 'Give a whole number.' });
  }
  const runs = await client.runs(
    {
      most,
      ...(flags.branch !== undefined && { branch: flags.branch }),
      ...(flags.workflow !== undefined && { workflow: flags.workflow }),
      ...(flags.commit !== undefined && { commit: flags.commit }),
    },
    cli.signal,
  );
  const now = cli.system.clock.now();
  for (const run of runs) {
    if (cli.isJson) json(run);
    else print(runLine(run, now).trimEnd());
  }
  if (runs.length === 0 && !cli.isJson)
    print(`${client.repository.path} on ${client.repository.host} has no such runs.`);
}

async function show(connected: Connected, wanted: string | undefined, flags: ShowFlags): Promise<void> {
  const { cli, client, print, json } = connected;
  const { isBad } = await import('../../engine/ci/index.ts');
  const { commitStories } = await import('../../engine/ciStories.ts');
  const { signal } = cli;
  const run = await chosen(connected, wanted, flags.branch);
  const plain = await client.jobs(run.id, signal);
  const jobs = await Promise.all(
    plain.map(async (job) => (!isBad(job.state) ? job : { ...job, steps: await client.steps(job, signal) })),
  );
  const failed = jobs.filter(({ state }) => isBad(state) || state === 'warning');
  const annotations = (await Promise.all(failed.map((job) => client.annotations(job, signal)))).flat();
  const artifacts = await client.artifacts(run.id, signal);
  const registry = flags.images === true ? 'ask' : 'leave';
  const unread: string[] = [];
  const onUnread = (message: string) => unread.push(message);
  const [story] = await commitStories(cli.system, cli.root, [run], { registry, onUnread, signal });
  if (cli.isJson) {
    const { images = [], environments = [] } = story ?? {};
    json({ run, jobs, annotations, artifacts, images, environments, ...(unread.length > 0 && { unread }) });
    return;
  }
  for (const line of runLines({ run, jobs }, cli.system.clock.now())) print(line);
  for (const annotation of annotations) print(annotationLine(annotation));
  for (const artifact of artifacts) print(`  artifact ${artifactLine(artifact)}`);
  for (const line of story === undefined ? [] : storyLines(story)) print(line);
  for (const message of unread) print(`  images: ${message}`);
}

async function artifacts(connected: Connected, wanted: string | undefined, flags: ArtifactFlags): Promise<void> {
  const { cli, client, print, json } = connected;
  const run = await chosen(connected, wanted, flags.branch);
  const found = await client.artifacts(run.id, cli.signal);
  const isFetch = flags.all === true || flags.get !== undefined;
  const missing = (flags.get ?? []).filter((name) => !found.some((each) => each.name === name));
  if (missing.length > 0) {
    throw new SlipwayError({
      reason: 'usage',
      code: 'ci.artifact-unknown',
      message: `Run #${run.number} has no artifact ${missing.join(', ')}.`,
      fix: `It has: ${found.map(({ name }) => name).join(', ') || 'none'}.`,
    });
  }
  if (!isFetch) {
    for (const artifact of found) {
      if (cli.isJson) json({ run: run.id, ...artifact });
      else print(artifactLine(artifact));
    }
    if (found.length === 0 && !cli.isJson) print(`Run #${run.number} left nothing behind.`);
    return;
  }
  const { saveArtifact } = await import('../../engine/ci/index.ts');
  for (const artifact of found) {
    const isWanted = flags.get === undefined ? !artifact.isExpired : flags.get.includes(artifact.name);
    if (!isWanted) continue;
    const saved = await saveArtifact(cli.system, client, artifact, resolve(flags.dir), cli.signal);
    if (cli.isJson) json(saved);
    else print(`${saved.folder}: ${saved.files.length} file${saved.files.length === 1 ? '' : 's'} of ${saved.name}`);
  }
}

async function logs(connected: Connected, wanted: string | undefined, flags: LogFlags): Promise<void> {
  const { cli, client, print, json } = connected;
  const { isBad, pickJob, plainLog } = await import('../../engine/ci/index.ts');
  const run = await chosen(connected, flags.run, flags.branch);
  const all = await client.jobs(run.id, cli.signal);
  const jobs = wanted === undefined ? all.filter(({ state }) => isBad(state)) : [pickJob(all, wanted, run)];
  if (jobs.length === 0) {
    throw new SlipwayError({
      reason: 'usage',
      code: 'ci.no-job',
      message: `No job of run #${run.number} failed.`,
      fix: all.length === 0 ? 'It has no jobs yet.' : `Name a job: ${all.map(({ name }) => name).join(', ')}.`,
    });
  }
  const shown = (text: string) => (flags.raw === true ? text : plainLog(text)).replace(/\n$/, '');
  for (const job of jobs) {
    if (flags.follow === true) {
      await followJob(connected, job.id, run, shown);
      continue;
    }
    const log = await client.log(job.id, cli.signal);
    if (cli.isJson) json({ job: job.id, name: job.name, ...log });
    else {
      if (jobs.length > 1) print(`== ${job.name}`);
      print(log.state === 'text' ? shown(log.text) : `(${log.why})`);
    }
  }
}

async function followJob(
  connected: Connected,
  job: string,
  run: CiRun,
  shown: (text: string) => string,
): Promise<void> {
  const { cli, client, print, json } = connected;
  const { followLog, isBad } = await import('../../engine/ci/index.ts');
  let waiting = '';
  // A piece may end inside a line: the rest comes with the next.
  let rest = '';
  for await (const piece of followLog(cli.system, client, job, run.id, { signal: cli.signal })) {
    if (cli.isJson) {
      json(piece.kind === 'stale' ? { kind: 'stale', message: piece.error.message } : piece);
      continue;
    }
    if (piece.kind === 'text') {
      const text = `${piece.isReset ? '' : rest}${piece.text}`;
      const end = text.lastIndexOf('\n') + 1;
      rest = text.slice(end);
      if (end > 0) print(shown(text.slice(0, end)));
    } else if (piece.kind === 'pending') {
      const words = jobLines(piece.job, cli.system.clock.now(), 'steps').map((line) =>
        line.replace(/ {2,}[\d.]+ \w+.*$/, ''),
      );
      const text = [`(${piece.why})`, ...words].join('\n');
      // Only what changed is news.
      if (text !== waiting) print(text);
      waiting = text;
    } else if (piece.kind === 'stale') print(`(${piece.error.message})`);
    else {
      if (rest !== '') print(shown(rest));
      if (piece.why !== undefined) print(`(${piece.why})`);
      if (isBad(piece.job.state)) cli.exitWith(1);
    }
  }
}

async function dispatch(connected: Connected, workflow: string | undefined, flags: RunFlags): Promise<void> {
  const { cli, client, branch, print, json } = connected;
  const ref = flags.ref ?? branch;
  if (ref === undefined || (workflow === undefined && client.repository.kind !== 'gitlab')) {
    throw new SlipwayError({
      reason: 'usage',
      code: 'ci.what',
      message: ref === undefined ? 'No branch is checked out.' : 'No workflow was named.',
      fix: ref === undefined ? 'Name a branch or tag with --ref.' : 'slipway ci workflows lists them.',
    });
  }
  const request = { workflow: workflow ?? 'pipeline', ref, inputs: flags.field ?? {} };
  const run = await client.dispatch(request, cli.signal);
  if (run === undefined) {
    const words = 'It was started; its run has not shown up yet.';
    if (cli.isJson) json({ started: true });
    else print(`${words} slipway ci list will show it.`);
    return;
  }
  done(connected, run, 'Started');
  if (flags.watch === true) await watch(connected, run);
}

async function watch({ cli, client, print, json, secrets }: Connected, run: CiRun): Promise<void> {
  const { followRun, isBad } = await import('../../engine/ci/index.ts');
  const live = liveLines(process.stdout, cli);
  let last: RunWithJobs | undefined;
  let before = '';
  for await (const look of followRun(cli.system, client, run.id, { signal: cli.signal })) {
    if (look.state === 'stale') {
      if (cli.isJson) json({ stale: look.error.message });
      else if (live === undefined) print(`(${look.error.message})`);
      else
        live.draw([
          ...(last === undefined ? [] : runLines(last, cli.system.clock.now())),
          secrets.mask(look.error.message),
        ]);
      continue;
    }
    last = look.value;
    if (live !== undefined) {
      live.draw(runLines(last, cli.system.clock.now()).map((line) => secrets.mask(line)));
      continue;
    }
    // Without a terminal only changes of state are worth a line.
    const state = JSON.stringify([last.run.state, last.jobs.map(({ id, state: of }) => [id, of])]);
    if (state === before) continue;
    before = state;
    if (cli.isJson) json(last);
    else for (const line of runLines(last, cli.system.clock.now())) print(line);
  }
  live?.end();
  if (last !== undefined && (isBad(last.run.state) || last.run.state === 'cancelled')) cli.exitWith(1);
}
