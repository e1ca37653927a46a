import type { CiAnnotation, CiArtifact, CiJob, CiRun, CiState, CommitStory, RunWithJobs } from '../engine/ci/index.ts';
import { isBad } from '../engine/ci/index.ts';
import { duration, shortDigest } from './words.ts';

const MARKS: Readonly<Record<CiState, string>> = {
  queued: '·',
  waiting: '⏸',
  running: '●',
  succeeded: '✓',
  warning: '!',
  failed: '✗',
  'timed-out': '✗',
  cancelled: '-',
  skipped: '↷',
  unknown: '?',
};

/** `5 min ago`; empty without a time. */
export function age(time: string, now: number): string {
  const seconds = (now - Date.parse(time)) / 1000;
  if (Number.isNaN(seconds)) return '';
  if (seconds < 60) return 'just now';
  if (seconds < 3600) return `${Math.round(seconds / 60)} min ago`;
  if (seconds < 48 * 3600) return `${Math.round(seconds / 3600)} h ago`;
  return `${Math.round(seconds / 86_400)} days ago`;
}

function took(of: { readonly startedAt?: string; readonly finishedAt?: string }, now: number): string {
  if (of.startedAt === undefined) return '';
  const end = of.finishedAt === undefined ? now : Date.parse(of.finishedAt);
  return duration(Math.max(0, end - Date.parse(of.startedAt)));
}

/** Texts of a host may hold line breaks and terminal sequences. */
const oneLine = (text: string): string =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is taken out
  text.replace(/[\u0000-\u001f\u007f-\u009f]+/g, ' ').trim();

export function runLine(run: CiRun, now: number): string {
  const title = oneLine(run.title).slice(0, 60);
  return [
    `${MARKS[run.state]} #${run.number}`.padEnd(8),
    run.state.padEnd(9),
    oneLine(run.workflow).slice(0, 24).padEnd(16),
    `${run.ref} ${run.commit.slice(0, 7)}`.padEnd(20),
    took(run, now).padStart(11),
    age(run.createdAt, now).padEnd(11),
    title,
  ].join('  ');
}

export function jobLines(job: CiJob, now: number, detail: 'steps' | 'brief'): readonly string[] {
  const stage = job.stage === undefined ? '' : `${job.stage}: `;
  const reason = job.reason === undefined ? '' : `  (${oneLine(job.reason)})`;
  const line = `  ${MARKS[job.state]} ${`${stage}${oneLine(job.name)}`.padEnd(36)}  ${job.state.padEnd(9)}  ${took(job, now)}${reason}`;
  if (detail === 'brief') return [line.trimEnd()];
  const steps = job.steps.map(
    (step) =>
      `      ${MARKS[step.state]} ${oneLine(step.name).padEnd(32)}  ${step.state.padEnd(9)}  ${took(step, now)}`,
  );
  return [line.trimEnd(), ...steps.map((step) => step.trimEnd())];
}

export function runLines({ run, jobs }: RunWithJobs, now: number): readonly string[] {
  return [
    `${MARKS[run.state]} #${run.number} ${oneLine(run.title)}: ${run.state}${run.detail === '' ? '' : ` (${oneLine(run.detail)})`}`,
    `  ${oneLine(run.workflow)}, ${run.event} of ${run.ref} at ${run.commit.slice(0, 7)}${run.actor === undefined ? '' : ` by ${run.actor}`}${run.createdAt === '' ? '' : `, ${age(run.createdAt, now)}`}${run.attempt > 1 ? `, attempt ${run.attempt}` : ''}`,
    ...(run.url === '' ? [] : [`  ${run.url}`]),
    ...jobs.flatMap((job) => jobLines(job, now, isBad(job.state) || job.state === 'running' ? 'steps' : 'brief')),
  ];
}

export const artifactLine = ({ name, bytes, isExpired }: CiArtifact): string =>
  `${oneLine(name)}${bytes === undefined ? '' : ` ${Math.ceil(bytes / 1024)} KiB`}${isExpired ? ', expired' : ''}`;

export function annotationLine({ path, line, severity, title, message }: CiAnnotation): string {
  return `  ${severity}: ${path}:${line}: ${title === undefined ? '' : `${oneLine(title)}: `}${oneLine(message)}`;
}

export function storyLines(story: CommitStory): readonly string[] {
  return [
    ...story.images.map(
      ({ image, reference, digest, from }) =>
        `  image ${image}: ${reference} ${shortDigest(digest)}${from === 'registry' ? ' (its label names the commit)' : ''}`,
    ),
    ...story.environments.map(
      ({ name, state, journalRun, isNewest }) =>
        `  environment ${name}: ${state}${isNewest ? '' : ', replaced since'} (run ${journalRun})`,
    ),
  ];
}
