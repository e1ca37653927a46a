import { at, type KubeObject, listOf, nameOf, refOf, textOf } from '../cluster/index.ts';
import type { Failure } from '../problems/index.ts';
import type { EventLine, LogText, PodState } from './diagnoseFacts.ts';
import type { Trouble } from './troubles.ts';

export interface ReportFacts {
  readonly environment: string;
  readonly namespace: string;
  readonly failure?: Failure;
  readonly workloads: readonly KubeObject[];
  readonly states: readonly PodState[];
  readonly events: readonly EventLine[];
  readonly nodes: readonly KubeObject[];
  readonly logs: readonly LogText[];
  readonly troubles: readonly Trouble[];
  readonly files: readonly string[];
  readonly missing: readonly string[];
  /** ISO time. */
  readonly time: string;
}

const LOG_TAIL = 15;
const MOST_EVENTS = 20;

/** What happened and what to do, on a page: cause, likely troubles, pods, warnings, last words, files. */
export function reportOf(facts: ReportFacts): string {
  const sections = [
    [`# ${facts.environment}: what was found`, `Namespace \`${facts.namespace}\`, ${facts.time}.`].join('\n\n'),
    failureText(facts.failure),
    troublesText(facts.troubles),
    workloadsText(facts.workloads),
    podsText(facts.states),
    warningsText(facts.events),
    logsText(facts.logs),
    section('Files', facts.files.map((file) => `- [${file}](${encodeURI(file)})`).join('\n')),
    section('Could not be read', facts.missing.map((text) => `- ${text}`).join('\n')),
  ];
  return `${sections.filter((text) => text !== '').join('\n\n')}\n`;
}

const section = (title: string, body: string): string => (body === '' ? '' : `## ${title}\n\n${body}`);

function failureText(failure: Failure | undefined): string {
  if (failure === undefined) return '';
  const code = failure.code === undefined ? '' : ` (\`${failure.code}\`)`;
  const evidence = (failure.evidence ?? []).map((line) => `> ${line}`).join('\n');
  return section(
    'Cause',
    [`${failure.message}${code}`, failure.fix === undefined ? '' : `**Do:** ${failure.fix}`, evidence]
      .filter((text) => text !== '')
      .join('\n\n'),
  );
}

function troublesText(troubles: readonly Trouble[]): string {
  return section(
    'Recognised',
    troubles
      .map(({ title, evidence, fix }, index) => `${index + 1}. **${title}**: ${fix}\n   \`${inline(evidence)}\``)
      .join('\n'),
  );
}

function workloadsText(workloads: readonly KubeObject[]): string {
  const rows = workloads.map((workload) => {
    const status = (name: string) => String(at(workload, 'status', name) ?? 0);
    const conditions = listOf(at(workload, 'status', 'conditions'))
      .map(({ type, status: value, reason }) => `${String(type)}=${String(value)} (${textOf(reason) ?? ''})`)
      .join(', ');
    const desired = String(at(workload, 'spec', 'replicas') ?? at(workload, 'status', 'desiredNumberScheduled') ?? '-');
    return [
      nameOf(refOf(workload)),
      desired,
      status('updatedReplicas'),
      status('readyReplicas'),
      status('availableReplicas'),
      conditions,
    ];
  });
  return section('Workloads', table(['workload', 'wanted', 'updated', 'ready', 'available', 'conditions'], rows));
}

function podsText(states: readonly PodState[]): string {
  const rows = states.flatMap((pod) =>
    (pod.containers.length > 0 ? pod.containers : [undefined]).map((container) => [
      pod.name,
      pod.node || (pod.unschedulable === undefined ? '-' : 'not scheduled'),
      pod.isReady ? 'ready' : pod.phase,
      container?.name ?? '-',
      container === undefined ? (pod.unschedulable ?? '-') : stateText(container),
      String(container?.restarts ?? 0),
      container?.image ?? '-',
    ]),
  );
  return section('Pods', table(['pod', 'node', 'state', 'container', 'is', 'restarts', 'image'], rows));
}

function stateText({ state, exitCode, lastReason, lastExitCode, message }: PodState['containers'][number]): string {
  const code = exitCode === undefined ? '' : ` (exit ${exitCode})`;
  const last = lastExitCode === undefined ? '' : `, before: ${lastReason ?? ''} (exit ${lastExitCode})`;
  return `${state}${code}${last}${message === '' ? '' : `: ${message}`}`.slice(0, 300);
}

function warningsText(events: readonly EventLine[]): string {
  const warnings = events.filter(({ type }) => type === 'Warning').slice(-MOST_EVENTS);
  const rows = warnings.map(({ at: time, object, reason, message, count }) => [
    time.slice(11, 19),
    object,
    reason,
    count > 1 ? `${message} (x${count})` : message,
  ]);
  return section('Warnings', table(['time', 'object', 'reason', 'message'], rows));
}

function logsText(logs: readonly LogText[]): string {
  const blocks = logs.slice(0, 4).map(({ name, text }) => {
    const tail = text.trimEnd().split('\n').slice(-LOG_TAIL).join('\n');
    // A log may hold a fence itself.
    return `\`${name}\`\n\n~~~~text\n${tail.replaceAll('~~~~', '~ ~ ~ ~')}\n~~~~`;
  });
  return section('Last words', blocks.join('\n\n'));
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  if (rows.length === 0) return '';
  const line = (cells: readonly string[]) => `| ${cells.map(inline).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

/** One line without what would end a table cell or a code span. */
const inline = (text: string): string => text.replace(/\s+/g, ' ').replaceAll('|', '\\|').replaceAll('`', "'").trim();
