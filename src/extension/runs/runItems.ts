// What a row of the Runs view says. No vscode here: words, icon names and colours as data.
import type { RunEntry } from '../run/runStore.ts';
import { type Item, runIcons, runLine } from '../views/pipelineItems.ts';
import { activityOf, age, causeOf, conditionOf, duration, startedByWords } from '../words.ts';

/** One run: what it was for, how it ended and why, how long it took, when and by whom it was started. */
export function runItem(entry: RunEntry, now: number): Item {
  const { view, isLive } = entry;
  const condition = conditionOf(view, isLive);
  const cause = condition === 'succeeded' || condition === 'running' ? undefined : causeOf(view);
  const label = nameOf(entry);
  const took = view.durationMs ?? (condition === 'running' ? now - Date.parse(view.startedAt) : undefined);
  const words = [
    condition === 'running' ? activityOf(view) : cause === undefined ? condition : `${condition}: ${cause}`,
    ...(took === undefined ? [] : [duration(took)]),
    age(view.startedAt, now),
    startedByWords[view.startedBy],
    ...(view.tag === undefined ? [] : [view.tag]),
  ];
  const hasReport = view.scans.some(({ reports }) => reports.length > 0);
  return {
    label,
    description: words.join(' · '),
    ...runIcons[condition],
    tooltip: [
      `**${label}**: ${condition}${cause === undefined ? '' : `, ${cause}`}`,
      runLine(view, now),
      ...(view.failure?.fix === undefined ? [] : [`Fix: ${view.failure.fix}`]),
      ...view.published.map(({ image, repository, digest }) => `${image}: \`${repository}@${digest.slice(0, 19)}\``),
    ],
    contextValue: [
      `run.${condition.replace(' ', '-')}`,
      ...(hasReport ? ['report'] : []),
      ...(view.endpoints.length > 0 ? ['endpoint'] : []),
    ].join('.'),
    spoken: `${label}, ${words.join(', ')}`,
  };
}

/** What the run was for, in a word: its environment, or what a run without one does. */
export function nameOf({ view }: RunEntry): string {
  const kinds = new Set(view.steps.map(({ kind }) => kind));
  const first = view.steps[0];
  if (view.environment === null) return kinds.has('publish') ? 'Images only' : (first?.title ?? 'Images only');
  if (kinds.has('deploy') || first === undefined) return view.environment;
  return kinds.size === 1 ? `${view.environment} (${first.kind})` : view.environment;
}
