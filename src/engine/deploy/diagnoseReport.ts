import type { Failure } from '../problems/index.ts';
import type { DiagnosisData, HistoryFacts, NodeFacts, WorkloadFacts } from './diagnoseData.ts';
import type { EventLine, LogText, PodState } from './diagnoseFacts.ts';
import type { Trouble } from './troubles.ts';

const LOG_TAIL = 15;
const MOST_EVENTS = 20;
const MOST_REVISIONS = 5;

/** What happened and what to do, on a page: cause, likely troubles, pods, warnings, last words, files. */
export function reportOf(facts: DiagnosisData): string {
  const sections = [
    [`# ${facts.environment}: what was found`, `Namespace \`${facts.namespace}\`, ${facts.time}.`].join('\n\n'),
    failureText(facts.failure),
    troublesText(facts.troubles),
    workloadsText(facts.workloads),
    podsText(facts.pods),
    warningsText(facts.events),
    logsText(facts.logs),
    historySection(facts.history),
    nodesText(facts.nodes),
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

function workloadsText(workloads: readonly WorkloadFacts[]): string {
  const rows = workloads.map(({ name, desired, updated, ready, available, conditions }) => [
    name,
    desired,
    updated,
    ready,
    available,
    conditions.join(', '),
  ]);
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

function historySection(history: readonly HistoryFacts[]): string {
  const rows = history.flatMap(({ of, revisions }) =>
    revisions
      .slice(0, MOST_REVISIONS)
      .map(({ number, at: time, name, images, isVerified }) => [
        of,
        String(number),
        time,
        name,
        images.join(' '),
        isVerified ? 'verified' : '',
      ]),
  );
  return section('History', table(['of', 'revision', 'made', 'name', 'images', ''], rows));
}

function nodesText(nodes: readonly NodeFacts[]): string {
  const rows = nodes.map(({ name, cpu, memory, pods, troubles, taints }) => [
    name,
    `cpu ${cpu}, memory ${memory}, pods ${pods}`,
    troubles.join('; ') || 'no pressure',
    taints.join(' '),
  ]);
  return section('Nodes', table(['node', 'allocatable', 'state', 'taints'], rows));
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  if (rows.length === 0) return '';
  const line = (cells: readonly string[]) => `| ${cells.map(inline).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

/** One line without what would end a table cell or a code span. */
const inline = (text: string): string => text.replace(/\s+/g, ' ').replaceAll('|', '\\|').replaceAll('`', "'").trim();
