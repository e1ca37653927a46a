// What a row of the Pipelines tree says. No vscode here: words, icon names and colours as data.
import type { EnvironmentConfig, Project } from '../../engine/project/model.ts';
import type { RunView, StepView } from '../../engine/run/projection.ts';
import type { RunEntry } from '../run/runStore.ts';
import {
  activityOf,
  age,
  causeOf,
  conditionOf,
  duration,
  firstSentence,
  progressWords,
  type RunCondition,
  type StepCondition,
  startedByWords,
  stepConditionOf,
} from '../words.ts';

export interface Item {
  readonly label: string;
  readonly description: string;
  /** Codicon id. */
  readonly icon: string;
  /** Theme colour id; absent = the icon's ordinary colour. */
  readonly color?: string;
  readonly tooltip: readonly string[];
  readonly contextValue: string;
  /** What a screen reader says: label, state and cause in words. */
  readonly spoken: string;
}

/** Green and blue of charts: those of test icons can hardly be seen in light themes. */
export const runIcons: Readonly<Record<RunCondition, Pick<Item, 'icon' | 'color'>>> = {
  running: { icon: 'sync~spin', color: 'charts.blue' },
  succeeded: { icon: 'pass', color: 'charts.green' },
  failed: { icon: 'error', color: 'testing.iconFailed' },
  'rolled back': { icon: 'discard', color: 'testing.iconFailed' },
  unknown: { icon: 'question', color: 'testing.iconQueued' },
  cancelled: { icon: 'circle-slash', color: 'testing.iconSkipped' },
  interrupted: { icon: 'debug-disconnect', color: 'testing.iconQueued' },
};

const stepIcons: Readonly<Record<StepCondition, Pick<Item, 'icon' | 'color'>>> = {
  waiting: { icon: 'circle-outline', color: 'testing.iconUnset' },
  running: { icon: 'sync~spin', color: 'charts.blue' },
  succeeded: { icon: 'pass', color: 'charts.green' },
  failed: { icon: 'error', color: 'testing.iconFailed' },
  cancelled: { icon: 'circle-slash', color: 'testing.iconSkipped' },
  skipped: { icon: 'debug-step-over', color: 'testing.iconSkipped' },
  interrupted: { icon: 'debug-disconnect', color: 'testing.iconQueued' },
};

export const plural = (count: number, one: string): string => `${count} ${one}${count === 1 ? '' : 's'}`;

export function projectItem(project: Project): Item {
  const errors = project.diagnostics.filter(({ severity }) => severity === 'error').length;
  const source = project.source === 'config' ? 'slipway.yaml' : 'discovered';
  const problems = errors === 0 ? [] : [plural(errors, 'problem')];
  return {
    label: project.name,
    description: [source, ...problems].join(' · '),
    icon: errors === 0 ? 'package' : 'warning',
    ...(errors > 0 && { color: 'list.warningForeground' }),
    tooltip: [
      `**${project.name}**`,
      `${plural(project.images.length, 'image')}, ${plural(project.environments.length, 'environment')}, ${
        project.source === 'config' ? 'from slipway.yaml' : 'found in this folder; there is no slipway.yaml'
      }`,
      ...project.diagnostics.slice(0, 5).map(({ message }) => message),
    ],
    contextValue: project.source === 'config' ? 'project.configured' : 'project.discovered',
    spoken: `Project ${project.name}, ${source}${errors === 0 ? '' : `, ${plural(errors, 'problem')}`}`,
  };
}

/** `environment` null: the run that ends with published images. */
export function environmentItem(environment: EnvironmentConfig | null, entry: RunEntry | undefined, now: number): Item {
  const label = environment?.name ?? 'Images only';
  const kind = environment === null ? 'images' : 'environment';
  const where =
    environment === null
      ? 'Builds, scans and publishes, deploys nowhere'
      : `${deployWords(environment)} to namespace \`${environment.namespace}\`${
          environment.context === undefined ? '' : ` of context \`${environment.context}\``
        }`;
  const protection = environment?.isProtected === true ? ['Protected: asks before anything is changed'] : [];
  const guard = environment?.isProtected === true ? '.protected' : '';
  if (entry === undefined) {
    return {
      label,
      description: environment?.isProtected === true ? 'not run yet · protected' : 'not run yet',
      icon: environment?.isProtected === true ? 'shield' : 'circle-outline',
      tooltip: [`**${label}**: not run yet`, where, ...protection],
      contextValue: `${kind}.idle${guard}`,
      spoken: `${label}, not run yet${protection.length > 0 ? ', protected' : ''}`,
    };
  }
  const { view, isLive } = entry;
  const condition = conditionOf(view, isLive);
  const when = age(view.finishedAt ?? view.startedAt, now);
  const cause = condition === 'succeeded' ? undefined : causeOf(view);
  const detail =
    condition === 'running'
      ? [activityOf(view), duration(now - Date.parse(view.startedAt))]
      : [
          cause === undefined ? condition : `${condition}: ${cause}`,
          when,
          ...(view.tag === undefined ? [] : [view.tag]),
        ];
  return {
    label,
    description: detail.join(' · '),
    ...runIcons[condition],
    tooltip: [
      `**${label}**: ${condition}${cause === undefined ? '' : `, ${cause}`}`,
      where,
      runLine(view, now),
      ...(view.failure?.fix === undefined ? [] : [`Fix: ${view.failure.fix}`]),
      ...view.endpoints.map(({ title, url }) => `${title}: ${url}`),
      ...protection,
    ],
    contextValue: `${kind}.${condition.replace(' ', '-')}${guard}${view.endpoints.length > 0 ? '.endpoint' : ''}`,
    spoken: `${label}, ${detail.join(', ')}`,
  };
}

export const runLine = (view: RunView, now: number): string =>
  [
    `Run \`${view.id}\``,
    `started ${startedByWords[view.startedBy]} ${age(view.startedAt, now)}`,
    ...(view.durationMs === undefined ? [] : [`took ${duration(view.durationMs)}`]),
    ...(view.branch === undefined ? [] : [`branch ${view.branch}`]),
    ...(view.commit === undefined
      ? []
      : [`commit ${view.commit.slice(0, 7)}${view.isDirty === true ? ' with local changes' : ''}`]),
  ].join(', ');

function deployWords({ deploy }: EnvironmentConfig): string {
  switch (deploy.kind) {
    case 'helm':
      return `Helm release \`${deploy.release}\``;
    case 'manifests':
      return 'Manifests';
    case 'kustomize':
      return 'Kustomization';
    case 'flux':
      return 'Flux policies';
    case 'argocd':
      return `Argo CD application \`${deploy.application}\``;
  }
}

export function stepItem(step: StepView, run: RunView, isLive: boolean, now: number): Item {
  const condition = stepConditionOf(step, run, isLive);
  const message = step.failure === undefined ? step.message : step.failure.message;
  const short = message === undefined ? [] : [firstSentence(message)];
  const time =
    condition === 'running' && step.startedAt !== undefined
      ? [duration(now - Date.parse(step.startedAt))]
      : step.durationMs !== undefined &&
          step.startedAt !== undefined &&
          condition !== 'skipped' &&
          condition !== 'waiting'
        ? [duration(step.durationMs)]
        : [];
  const progress = step.progress === undefined ? [] : [progressWords(step.progress)];
  const words: readonly string[] =
    condition === 'waiting'
      ? run.state === 'running'
        ? ['waiting']
        : ['not reached']
      : condition === 'succeeded'
        ? [...time, ...short]
        : condition === 'cancelled' && step.startedAt === undefined
          ? ['not started']
          : condition === 'running'
            ? [...time, ...progress, ...short]
            : [condition, ...time, ...short];
  return {
    label: shortTitle(step.title),
    description: words.join(' · '),
    ...stepIcons[condition],
    tooltip: [
      `**${step.title}**: ${condition}`,
      ...(message === undefined ? [] : [message]),
      ...(step.failure?.fix === undefined ? [] : [`Fix: ${step.failure.fix}`]),
      ...(step.failure?.evidence ?? []).slice(0, 6).map((line) => `\`${line.replaceAll('`', "'")}\``),
    ],
    contextValue: `step.${step.kind}.${condition}`,
    spoken: `${step.title}, ${[condition, ...words.filter((word) => word !== condition)].join(', ')}`,
  };
}

/** `Scan api for amd64`: every container has linux, and the column is narrow. */
const shortTitle = (title: string): string => title.replace(/ for linux\//, ' for ');

/** A step as it will be, before any run. */
export function plannedStepItem(title: string): Item {
  return {
    label: shortTitle(title),
    description: '',
    icon: 'circle-outline',
    color: 'testing.iconUnset',
    tooltip: [`**${title}**: not run yet`],
    contextValue: 'step.planned',
    spoken: `${title}, not run yet`,
  };
}
