// What a row of the Workloads view says. No vscode here: words, icon names and colours as data.
import type { PodView } from '../../engine/events/index.ts';
import type { Drift, LiveWorkloadView } from '../../engine/main.ts';
import type { EnvironmentConfig } from '../../engine/project/model.ts';
import { driftMarkdown } from '../drift/driftWords.ts';
import { type Item, plural } from '../views/pipelineItems.ts';
import { age, firstSentence } from '../words.ts';
import type { Standing } from './workloadStore.ts';

const stateIcons: Readonly<Record<LiveWorkloadView['state'], Pick<Item, 'icon' | 'color'>>> = {
  ready: { icon: 'pass', color: 'charts.green' },
  progressing: { icon: 'sync~spin', color: 'charts.blue' },
  failed: { icon: 'error', color: 'testing.iconFailed' },
  paused: { icon: 'debug-pause', color: 'testing.iconQueued' },
  unknown: { icon: 'question', color: 'testing.iconUnset' },
};

/** An environment with what is known of it; `closed` while nobody has asked. */
export function liveEnvironmentItem(
  environment: EnvironmentConfig,
  standing: Standing,
  { project, drifts = [] }: { readonly project?: string | undefined; readonly drifts?: readonly Drift[] } = {},
): Item {
  const { name, namespace, context } = environment;
  const where = `namespace ${namespace}${context === undefined ? '' : `, context ${context}`}`;
  const state = wordsOf(standing);
  const differing =
    drifts.length === 0 ? [] : [`${drifts.length} ${drifts.length === 1 ? 'differs' : 'differ'} from the files`];
  const words = state === undefined ? undefined : [state, ...differing].join(' · ');
  const isBad = standing.kind === 'failed' || (standing.kind === 'live' && troubled(standing.state.workloads) > 0);
  const isDelivered = environment.deploy.kind === 'flux' || environment.deploy.kind === 'argocd';
  const isCut = standing.kind === 'live' && standing.state.contact.state !== 'connected';
  return {
    label: name,
    description: [...(project === undefined ? [] : [project]), ...(words === undefined ? [] : [words]), where].join(
      ' · ',
    ),
    icon: isCut ? 'debug-disconnect' : environment.isProtected ? 'shield' : 'server-environment',
    ...(isBad && { color: 'list.errorForeground' }),
    tooltip: [
      `**${name}**: ${words ?? 'not looked at yet; expand it to contact its cluster'}`,
      where,
      ...(standing.kind === 'failed' && standing.failure.fix !== undefined ? [`Fix: ${standing.failure.fix}`] : []),
      ...drifts.map((drift) => `${drift.object.kind} ${drift.object.name}: ${driftMarkdown(drift)}`),
    ],
    contextValue: `live.${standing.kind}${environment.isProtected ? '.protected' : ''}${isDelivered ? '.delivered' : ''}`,
    spoken: [name, words ?? 'not looked at yet', where].join(', '),
  };
}

function wordsOf(standing: Standing): string | undefined {
  switch (standing.kind) {
    case 'closed':
      return undefined;
    case 'opening':
      return 'connecting';
    case 'failed':
      return firstSentence(standing.failure.message);
    case 'live': {
      const { contact, workloads } = standing.state;
      if (contact.state === 'lost') return `contact lost: ${firstSentence(contact.message ?? 'no reason given')}`;
      if (contact.state === 'reconnecting') return 'reconnecting';
      if (workloads.length === 0) return 'nothing deployed';
      const bad = troubled(workloads);
      if (bad > 0) return `${bad} of ${workloads.length} not ready`;
      const paused = workloads.filter(({ state }) => state === 'paused').length;
      return `${plural(workloads.length, 'workload')}, ${paused === 0 ? 'all ready' : `${paused} paused`}`;
    }
  }
}

/** Workloads that are not as they should be. One that somebody has paused is, until something is wrong with it. */
export const troubled = (workloads: readonly LiveWorkloadView[]): number =>
  workloads.filter(({ state, cause }) => (state !== 'ready' && state !== 'paused') || cause !== undefined).length;

export interface WorkloadExtras {
  /** The replicas it had before it was scaled in this window. */
  readonly undo?: number | undefined;
  readonly drift?: Drift | undefined;
}

export function workloadItem(workload: LiveWorkloadView, now: number, { undo, drift }: WorkloadExtras = {}): Item {
  const { ref, state, cause } = workload;
  const isTroubled = cause !== undefined && state !== 'ready';
  const tags = [...new Set(workload.images.map(imageTag))];
  const words = [
    ...(cause !== undefined
      ? [firstSentence(cause)]
      : state === 'ready'
        ? []
        : [state === 'paused' ? 'paused' : firstSentence(workload.message)]),
    ...(drift === undefined ? [] : ['differs from the files']),
    countWords(workload),
    ...(undo === undefined ? [] : [`scaled from ${undo}`]),
    ...(tags.length === 0 ? [] : [tags.length > 2 ? `${tags.slice(0, 2).join(', ')} and more` : tags.join(', ')]),
    ...(workload.createdAt === undefined ? [] : [short(age(workload.createdAt, now))]),
    ...(ref.kind === 'Deployment' ? [] : [ref.kind]),
  ].filter((word) => word !== '');
  return {
    label: ref.name,
    description: words.join(' · '),
    ...(isTroubled ? stateIcons.failed : stateIcons[state]),
    tooltip: [
      `**${ref.kind} ${ref.name}**: ${state}`,
      workload.message,
      ...(cause === undefined ? [] : [cause]),
      ...workload.images.map((image) => `\`${image}\``),
      ...(workload.revision === undefined ? [] : [`Revision ${workload.revision}`]),
      ...(drift === undefined ? [] : [driftMarkdown(drift)]),
    ],
    contextValue: `workload.${ref.kind}.${state}${undo === undefined ? '' : '.scaled'}`,
    spoken: [`${ref.kind} ${ref.name}`, state, ...words.filter((word) => word !== ref.kind)].join(', '),
  };
}

const countWords = ({ ref, available, desired }: LiveWorkloadView): string =>
  ref.kind === 'CronJob' || ref.kind === 'PersistentVolumeClaim'
    ? ''
    : desired === 0
      ? 'scaled to 0'
      : `${available} of ${desired} available`;

export function podItem(pod: PodView, now: number): Item {
  const isBad =
    !pod.isReady && pod.reason !== undefined && /Err|BackOff|Crash|Invalid|Failed|OOM|Evicted/.test(pod.reason);
  const state = pod.isReady ? 'ready' : (pod.reason ?? (pod.phase === 'Running' ? 'not ready' : pod.phase));
  const words = [
    pod.message === undefined || pod.isReady ? state : `${state}: ${firstSentence(pod.message)}`,
    ...(pod.restarts > 0 ? [plural(pod.restarts, 'restart')] : []),
    ...(pod.createdAt === undefined ? [] : [short(age(pod.createdAt, now))]),
    ...(pod.isNew ? [] : ['old version']),
  ];
  return {
    label: pod.name,
    description: words.join(' · '),
    ...(pod.isReady ? stateIcons.ready : isBad ? stateIcons.failed : { icon: 'circle-outline', color: 'charts.blue' }),
    tooltip: [
      `**Pod ${pod.name}**: ${state}`,
      ...(pod.message === undefined ? [] : [pod.message]),
      ...(pod.node === undefined ? [] : [`On node ${pod.node}`]),
      ...(pod.image === undefined ? [] : [`\`${pod.image}\``]),
    ],
    contextValue: `pod.${pod.isReady ? 'ready' : isBad ? 'failed' : 'waiting'}`,
    spoken: [`Pod ${pod.name}`, ...words].join(', '),
  };
}

/** A row that says why there are no others. */
export function noteItem(text: string, kind: 'info' | 'error'): Item {
  return {
    label: text,
    description: '',
    icon: kind === 'error' ? 'error' : 'info',
    ...(kind === 'error' && { color: 'testing.iconFailed' }),
    tooltip: [text],
    contextValue: 'note',
    spoken: text,
  };
}

/** `main-4f2a9c1` of `ghcr.io/acme/api:main-4f2a9c1@sha256:…`; the digest's beginning where there is no tag. */
export function imageTag(reference: string): string {
  const [name = '', digest] = reference.split('@');
  const tag = /:([\w][\w.-]*)$/.exec(name)?.[1];
  return tag ?? digest?.slice(0, 19) ?? 'latest';
}

const short = (text: string): string => text.replace(/ ago$/, '');
