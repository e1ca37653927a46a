import { styleText } from 'node:util';
import { createLogUpdate } from 'log-update';
import type { RunEvent } from '../engine/events/index.ts';
import { failedStep, project, type RunView, type StepView } from '../engine/run/index.ts';
import { MOST_PROBLEMS, ProblemLines } from './problemLines.ts';
import { duration, eventLine, failureLines, markOf, shortDigest, testCounts } from './words.ts';

/** Where a run is told to: a terminal that redraws, plain lines, or JSON lines. */
export interface RunOutput {
  event(event: RunEvent): void;
  end(view: RunView): void;
}

export interface OutputOptions {
  readonly stdout: NodeJS.WriteStream;
  readonly isJson: boolean;
  readonly isVerbose: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
}

export function createOutput(options: OutputOptions): RunOutput {
  if (options.isJson) return jsonOutput(options.stdout);
  const isLive = options.stdout.isTTY === true && !options.env.CI && options.env.TERM !== 'dumb' && !options.isVerbose;
  return isLive ? liveOutput(options.stdout) : plainOutput(options.stdout, options.isVerbose);
}

function jsonOutput(stdout: NodeJS.WriteStream): RunOutput {
  return {
    event: (event) => void stdout.write(`${JSON.stringify(event)}\n`),
    end: () => {},
  };
}

function plainOutput(stdout: NodeJS.WriteStream, isVerbose: boolean): RunOutput {
  const titles = new Map<string, string>();
  const problems = new ProblemLines(isVerbose ? Number.POSITIVE_INFINITY : MOST_PROBLEMS);
  return {
    event(event) {
      if (event.type === 'run.started') for (const step of event.steps) titles.set(step.id, step.title);
      const titleOf = (step: string) => titles.get(step) ?? step;
      const time = event.time.slice(11, 19);
      if (event.type === 'log') {
        if (!isVerbose) return;
        for (const line of event.text.replace(/\n$/, '').split('\n')) {
          stdout.write(`${time} ${event.step === undefined ? '' : titleOf(event.step)} | ${line}\n`);
        }
        return;
      }
      for (const line of problems.linesOf(event, titleOf)) stdout.write(`${time} ${line}\n`);
      const line = eventLine(event, titleOf);
      if (line !== undefined) stdout.write(`${time} ${line}\n`);
    },
    end: (view) => void stdout.write(`\n${summary(view, (_style, text) => text).join('\n')}\n`),
  };
}

type Style = 'green' | 'red' | 'yellow' | 'dim' | 'bold' | 'cyan';
/** styleText heeds NO_COLOR, NODE_DISABLE_COLORS and FORCE_COLOR by itself. */
const colour = (style: Style, text: string): string => styleText(style, text, { stream: process.stdout });

const FRAME_MS = 100;
const SPINNER = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];

function liveOutput(stdout: NodeJS.WriteStream): RunOutput {
  const update = createLogUpdate(stdout);
  let view: RunView | undefined;
  let frame = 0;
  const problems = new ProblemLines(MOST_PROBLEMS);
  const draw = (): void => {
    if (view === undefined) return;
    frame += 1;
    update(stepLines(view, frame, stdout.rows ?? 24).join('\n'));
  };
  const timer = setInterval(draw, FRAME_MS);
  timer.unref();
  return {
    event(event) {
      if (event.type !== 'log') view = project([event], view);
      const titleOf = (step: string) => view?.steps.find(({ id }) => id === step)?.title ?? step;
      // They stay above what is redrawn: a warning before a build is to be read before it.
      for (const line of problems.linesOf(event, titleOf)) update.persist(colour('yellow', line));
    },
    end(last) {
      clearInterval(timer);
      view = last;
      update(stepLines(last, 0, Number.POSITIVE_INFINITY).join('\n'));
      update.done();
      stdout.write(`\n${summary(last, colour).join('\n')}\n`);
    },
  };
}

function stepLines(view: RunView, frame: number, rows: number): readonly string[] {
  const now = Date.now();
  const lines = view.steps.flatMap((step) => {
    const took =
      step.durationMs ??
      (step.state === 'running' && step.startedAt !== undefined ? now - Date.parse(step.startedAt) : undefined);
    const time = took === undefined || step.state === 'skipped' ? '' : duration(took);
    const mark = step.state === 'running' ? colour('cyan', SPINNER[frame % SPINNER.length] ?? '●') : markedState(step);
    const line = `${mark} ${step.title.padEnd(36)} ${colour('dim', time.padStart(9))}  ${colour('dim', note(view, step))}`;
    return [line];
  });
  // A list longer than the terminal cannot be redrawn: the middle of it is always what runs now.
  if (lines.length <= rows - 2) return lines;
  const running = Math.max(
    0,
    view.steps.findIndex((step) => step.state === 'running'),
  );
  const from = Math.max(0, Math.min(running - 3, lines.length - (rows - 2)));
  return lines.slice(from, from + rows - 2);
}

function markedState(step: StepView): string {
  const mark = markOf(step.state);
  switch (step.state) {
    case 'succeeded':
      return colour('green', mark);
    case 'failed':
      return colour('red', mark);
    case 'cancelled':
      return colour('yellow', mark);
    default:
      return colour('dim', mark);
  }
}

/** The most telling words about a step now. */
function note(view: RunView, step: StepView): string {
  if (step.state === 'failed') return step.failure?.message ?? '';
  if (step.state === 'running' && step.kind === 'build') {
    const known = step.vertexes.length;
    const done = step.vertexes.filter((vertex) => vertex.state === 'done' || vertex.state === 'cached').length;
    const current = step.vertexes.findLast((vertex) => vertex.state === 'running');
    if (known > 0) return `${done}/${known} ${current?.name ?? ''}`.slice(0, 70);
  }
  if (
    step.kind === 'rollout' &&
    (step.state === 'running' || step.state === 'succeeded') &&
    view.workloads.length > 0
  ) {
    return view.workloads.map(({ ref, available, desired }) => `${ref.name} ${available}/${desired}`).join(', ');
  }
  if (step.kind === 'scan') {
    const scan = view.scans.find((other) => other.image === step.image && other.platform === step.platform);
    if (scan !== undefined) return scan.message;
  }
  if (step.kind === 'build' && step.state === 'succeeded') {
    const cached = step.vertexes.filter((vertex) => vertex.state === 'cached').length;
    if (cached > 0) return `${cached} of ${step.vertexes.length} cached`;
  }
  return step.message ?? testCounts(step.outputs) ?? '';
}

/** What a person wants to know at the end: images with digests, what runs where, the URL, or why not. */
function summary(view: RunView, style: (style: Style, text: string) => string): readonly string[] {
  const lines: string[] = [];
  // In the order of the plan: they end in any.
  const orderOf = (image: string) => view.steps.findIndex((step) => step.kind === 'publish' && step.image === image);
  const width = Math.max(...view.published.map(({ image }) => image.length), 0);
  for (const image of view.published.toSorted((a, b) => orderOf(a.image) - orderOf(b.image))) {
    lines.push(
      `${style('bold', image.image.padEnd(width))}  ${image.repository}:${image.tags[0] ?? ''}  ${shortDigest(image.digest)}  ${image.platforms.join(', ')}`,
    );
  }
  if (view.deployed !== undefined && view.state === 'succeeded') {
    lines.push(
      `${style('bold', view.deployed.environment)}  ${view.deployed.deployer}${view.deployed.revision === undefined ? '' : ` revision ${view.deployed.revision}`}: ${view.verdict?.message ?? 'applied'}`,
    );
  }
  for (const check of view.smoke)
    lines.push(`${check.isOk ? style('green', '✓') : style('red', '✗')} ${check.check}: ${check.message}`);
  if (view.failure !== undefined) {
    const failed = failedStep(view);
    const [first = '', ...rest] = failureLines(view.failure);
    const title = failed?.title ?? 'The run';
    lines.push(style('red', `✗ ${first.startsWith(title) ? '' : `${title}: `}${first}`), ...rest);
  }
  if (view.rollback !== undefined) lines.push(`Rollback: ${view.rollback.finished?.message ?? 'it did not finish'}`);
  for (const { title, path } of view.reports) lines.push(`${title}: .slipway/runs/${view.id}/${path}`);
  const total = view.durationMs === undefined ? '' : ` in ${duration(view.durationMs)}`;
  const word = { succeeded: 'Succeeded', failed: 'Failed', cancelled: 'Cancelled', running: 'Still running' }[
    view.state
  ];
  lines.push(
    style(view.state === 'succeeded' ? 'green' : view.state === 'failed' ? 'red' : 'yellow', `${word}${total}`) +
      style('dim', `  run ${view.id}`),
  );
  for (const { title, url } of view.endpoints) lines.push(`${title}: ${style('cyan', url)}`);
  return lines;
}
