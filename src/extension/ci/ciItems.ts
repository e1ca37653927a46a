// What a row of the CI view says. No vscode here.
import type { CommitStory } from '../../engine/ci/index.ts';
import type { CiJob, CiRun, CiState, CiStep } from '../../engine/ci/model.ts';
import type { Item } from '../views/pipelineItems.ts';
import { age, duration } from '../words.ts';

const ICONS: Readonly<Record<CiState, Pick<Item, 'icon' | 'color'>>> = {
  queued: { icon: 'clock', color: 'testing.iconQueued' },
  waiting: { icon: 'debug-pause', color: 'testing.iconQueued' },
  running: { icon: 'sync~spin', color: 'charts.blue' },
  succeeded: { icon: 'pass', color: 'charts.green' },
  warning: { icon: 'warning', color: 'list.warningForeground' },
  failed: { icon: 'error', color: 'testing.iconFailed' },
  'timed-out': { icon: 'watch', color: 'testing.iconFailed' },
  cancelled: { icon: 'circle-slash', color: 'testing.iconSkipped' },
  skipped: { icon: 'debug-step-over', color: 'testing.iconSkipped' },
  unknown: { icon: 'question', color: 'testing.iconUnset' },
};

const WORDS: Readonly<Record<CiState, string>> = {
  queued: 'queued',
  waiting: 'waiting',
  running: 'running',
  succeeded: 'succeeded',
  warning: 'failed, allowed to',
  failed: 'failed',
  'timed-out': 'timed out',
  cancelled: 'cancelled',
  skipped: 'skipped',
  unknown: 'state unknown',
};

const isOver = (state: CiState): boolean => state !== 'queued' && state !== 'waiting' && state !== 'running';

function took(of: { readonly startedAt?: string; readonly finishedAt?: string }, now: number): readonly string[] {
  if (of.startedAt === undefined) return [];
  const end = of.finishedAt === undefined ? now : Date.parse(of.finishedAt);
  return [duration(Math.max(0, end - Date.parse(of.startedAt)))];
}

/** `cause`: the jobs that failed, once they are known. */
export function runItem(run: CiRun, jobs: readonly CiJob[] | undefined, now: number): Item {
  const bad = (jobs ?? []).filter(({ state }) => state === 'failed' || state === 'timed-out');
  const [first] = bad;
  const cause =
    first === undefined
      ? undefined
      : `${first.name}${first.reason === undefined ? '' : `: ${first.reason}`}${bad.length > 1 ? ` and ${bad.length - 1} more` : ''}`;
  const state = cause === undefined ? WORDS[run.state] : `${WORDS[run.state]}: ${cause}`;
  const when = run.createdAt === '' ? [] : [age(run.createdAt, now)];
  const description = [state, `${run.ref} ${run.commit.slice(0, 7)}`, ...when].join(' · ');
  const kind = isOver(run.state) ? (run.state === 'failed' || run.state === 'timed-out' ? 'bad' : 'over') : 'live';
  return {
    label: `#${run.number} ${run.title}`,
    description,
    ...ICONS[run.state],
    tooltip: [
      `**#${run.number} ${plain(run.title)}**: ${state}`,
      `${plain(run.workflow)}, ${run.event} of \`${run.ref}\` at \`${run.commit.slice(0, 7)}\`${run.actor === undefined ? '' : ` by ${plain(run.actor)}`}`,
      [...took(run, now).map((text) => `took ${text}`), ...(run.attempt > 1 ? [`attempt ${run.attempt}`] : [])].join(
        ', ',
      ),
    ].filter((line) => line !== ''),
    contextValue: `ci.run.${kind}`,
    spoken: `Run ${run.number}, ${run.title}, ${description}`,
  };
}

export function jobItem(job: CiJob, now: number): Item {
  const reason = job.reason === undefined ? [] : [job.reason];
  const words = [WORDS[job.state], ...took(job, now), ...reason];
  return {
    label: job.stage === undefined ? job.name : `${job.stage}: ${job.name}`,
    description: words.join(' · '),
    ...ICONS[job.state],
    tooltip: [
      `**${plain(job.name)}**: ${WORDS[job.state]}`,
      ...reason.map(plain),
      ...(job.runner === undefined ? [] : [`Runner ${plain(job.runner)}`]),
    ],
    contextValue: 'ci.job',
    spoken: `Job ${job.name}, ${words.join(', ')}`,
  };
}

export function stepItem(step: CiStep, now: number): Item {
  const words = [WORDS[step.state], ...took(step, now)];
  return {
    label: step.name,
    description: words.join(' · '),
    ...ICONS[step.state],
    tooltip: [`**${plain(step.name)}**: ${WORDS[step.state]}`],
    contextValue: 'ci.step',
    spoken: `Step ${step.name}, ${words.join(', ')}`,
  };
}

type StoryImage = CommitStory['images'][number];
type StoryEnvironment = CommitStory['environments'][number];

/** The row below a run that leads to what became of its commit. */
export function storyItem(run: CiRun): Item {
  const commit = run.commit.slice(0, 7);
  return {
    label: `Images and environments of ${commit}`,
    description: '',
    icon: 'package',
    tooltip: [
      'What the journal of this workspace and the registries of its images say of this commit. They are asked when this row is expanded.',
    ],
    contextValue: 'ci.story',
    spoken: `Images and environments of commit ${commit}`,
  };
}

export function storyImageItem({ image, reference, digest, from }: StoryImage): Item {
  const where = from === 'journal' ? 'published from here' : 'in the registry';
  return {
    label: image,
    description: `${reference} · ${digest.slice(0, 19)} · ${where}`,
    icon: 'package',
    tooltip: [`**${plain(image)}**: \`${reference}\``, `\`${digest}\``, where],
    contextValue: 'ci.image',
    spoken: `Image ${image}, ${reference}, ${where}`,
  };
}

export function storyEnvironmentItem({ name, state, at, isNewest }: StoryEnvironment, now: number): Item {
  const words = [state, age(at, now), isNewest ? 'the newest deploy' : 'replaced since'];
  return {
    label: name,
    description: words.join(' · '),
    icon: 'server-environment',
    ...(state === 'rolled back' && { color: 'testing.iconFailed' }),
    tooltip: [`**${plain(name)}**: ${plain(words.join(', '))}`],
    contextValue: 'ci.environment',
    spoken: `Environment ${name}, ${words.join(', ')}`,
  };
}

/** A row that says that what is below it grows old, or why there is nothing. */
export function noteItem(label: string, detail: string, icon: 'warning' | 'info'): Item {
  return {
    label,
    description: detail,
    icon,
    tooltip: [label, plain(detail)],
    contextValue: 'ci.note',
    spoken: `${label}, ${detail}`,
  };
}

export function signInItem(host: string): Item {
  const label = host === '' ? 'Sign In' : `Sign In to ${host}`;
  return {
    label,
    description: '',
    icon: 'sign-in',
    tooltip: [plain(label)],
    contextValue: 'ci.sign-in',
    spoken: label,
  };
}

export function sourceItem(path: string, host: string, credential: string | undefined): Item {
  const who = credential ?? 'not contacted';
  return {
    label: path,
    description: host,
    icon: 'repo',
    tooltip: [`**${plain(path)}** on ${plain(host)}`, plain(who)],
    contextValue: 'ci.source',
    spoken: `${path} on ${host}`,
  };
}

/** Titles come from commits: nothing of them may become a link or a picture. */
const plain = (text: string): string => text.replace(/[\\`*_{}[\]()#+!|<>~-]/g, '\\$&').replace(/\s+/g, ' ');
