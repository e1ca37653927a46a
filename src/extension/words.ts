// The words of the editor for states, times and amounts: one meaning in tree, webview and screen reader.
import type { RunView, StepView } from '../engine/run/projection.ts';

/** `41 ms`, `0.4 s`, `12 s`, `3 min 5 s`, `1 h 2 min`. */
export function duration(ms: number): string {
  if (ms > 0 && ms < 100) return `${Math.round(ms)} ms`;
  if (ms < 10_000) return `${(Math.max(0, ms) / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600)
    return seconds % 60 === 0 ? `${seconds / 60} min` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

/** `just now`, `5 min ago`, `3 h ago`, `2 days ago`. */
export function age(time: string, now: number): string {
  const seconds = Math.max(0, (now - Date.parse(time)) / 1000);
  if (seconds < 45) return 'just now';
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min ago`;
  const hours = Math.round(minutes / 60);
  if (hours < 24) return `${hours} h ago`;
  const days = Math.round(hours / 24);
  return days === 1 ? '1 day ago' : `${days} days ago`;
}

/**
 * How a run stands for a person: its own state, and what became of it when its process died, it was rolled back, or nobody
 * could see how its rollout ended.
 */
export type RunCondition = 'running' | 'succeeded' | 'failed' | 'rolled back' | 'unknown' | 'cancelled' | 'interrupted';

export function conditionOf(run: RunView, isLive: boolean): RunCondition {
  if (run.state === 'running') return isLive ? 'running' : 'interrupted';
  if (run.state === 'cancelled' && run.hostEnded === true) return 'interrupted';
  if (run.state === 'failed' && run.rolledBack) return 'rolled back';
  if (run.state === 'failed' && run.verdict?.state === 'unknown') return 'unknown';
  return run.state;
}

/** What a step is shown as. In a run whose process died, a running step is interrupted too. */
export type StepCondition = StepView['state'] | 'interrupted';

export const stepConditionOf = (step: StepView, run: RunView, isLive: boolean): StepCondition =>
  step.state === 'running' && run.state === 'running' && !isLive ? 'interrupted' : step.state;

/** Why the run ended as it did, short enough for a tree row. */
export function causeOf(run: RunView): string | undefined {
  if (run.hostEnded === true) return 'the window was closed';
  const cause = run.verdict?.state === 'failed' ? run.verdict.causes[0] : undefined;
  if (cause !== undefined) return firstSentence(cause.message);
  return run.failure === undefined ? undefined : firstSentence(run.failure.message);
}

/** Up to the first full stop that ends a sentence; dots inside versions and names do not. */
export function firstSentence(text: string): string {
  const line = text.split('\n', 1)[0] ?? '';
  const end = /[.!?](?=\s+[A-Z"'`])/.exec(line);
  return (end === null ? line : line.slice(0, end.index)).replace(/\.$/, '');
}

/** What happens now, for a running run: the steps under way. */
export function activityOf(run: RunView): string {
  const running = run.steps.filter((step) => step.state === 'running');
  if (running.length === 0) return 'starting';
  const [first] = running;
  return running.length === 1 ? (first?.title ?? '') : `${first?.title} and ${running.length - 1} more`;
}

export const startedByWords: Readonly<Record<RunView['startedBy'], string>> = {
  cli: 'from a terminal',
  editor: 'in the editor',
  agent: 'by an agent',
  ci: 'in CI',
  test: 'by a test',
};

/** `3 of 12 pods`. */
export function progressWords(progress: NonNullable<StepView['progress']>): string {
  const { done, total, unit } = progress;
  return unit === undefined ? `${done} of ${total}` : `${done} of ${total} ${unit}`;
}

/** What a run that succeeded has achieved: `subject` is a tag or name, `words` say the rest. No more than was done. */
export function achievementOf(run: RunView): { readonly subject?: string; readonly words: string } {
  const { environment, tag, steps, published, scans, rollback } = run;
  const has = (kind: StepView['kind']) => steps.some((step) => step.kind === kind);
  const count = (kind: StepView['kind']) => {
    const images = new Set(steps.flatMap(({ kind: of, image }) => (of === kind && image !== undefined ? [image] : [])));
    return images.size === 1 ? `Image ${[...images].join()}` : `${images.size} images`;
  };
  if (environment !== null && has('deploy')) {
    const words = `is live on ${environment}`;
    return tag === undefined ? { words: `The new version ${words}` } : { subject: tag, words };
  }
  if (environment !== null && has('rollback'))
    return { words: `${environment} is back at ${rollback?.finished?.target ?? 'an earlier version'}` };
  if (published.length > 0) return { words: `${published.length} image${published.length === 1 ? '' : 's'} published` };
  if (scans.length > 0) return { words: `${count('scan')} passed the gate` };
  if (has('build')) return { words: `${count('build')} built` };
  if (has('smoke')) return { words: `What is live on ${environment ?? 'the cluster'} passes its smoke checks` };
  return { words: has('test') ? 'The tests pass' : 'All steps are done' };
}

/** VS Code (1.139) lays the parts of a lens out in a row and swallows an ordinary space behind its icon. */
export const lensTitle = (title: string): string => title.replace(/^(\$\([\w~-]+\)) /, '$1\u00a0');
