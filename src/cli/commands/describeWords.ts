import type { Description } from '../../engine/main.ts';

/** A description in lines, for a terminal. */
export function descriptionLines(description: Description): readonly string[] {
  const { object, workload, createdAt } = description;
  const lines = [`${object.kind} ${object.namespace === undefined ? '' : `${object.namespace}/`}${object.name}`];
  if (workload !== undefined) {
    lines.push(
      `  ${workload.state}: ${workload.message}${workload.revision === undefined ? '' : ` (revision ${workload.revision})`}`,
    );
  }
  for (const { title, evidence, fix } of description.troubles) {
    lines.push(`  ! ${title}: ${evidence}`, `    Fix: ${fix}`);
  }
  if (createdAt !== undefined) lines.push(`  Created ${createdAt}`);
  for (const owner of description.owners) lines.push(`  Owned: ${owner.kind}, by ${owner.evidence}`);
  for (const { name, value } of description.facts) lines.push(`  ${name}: ${value}`);
  section(
    lines,
    'Conditions',
    description.conditions,
    ({ type, status, reason, message }) =>
      `${type}=${status}${reason === '' ? '' : ` ${reason}`}${message === '' ? '' : `: ${message}`}`,
  );
  section(
    lines,
    'Leads here',
    description.related,
    ({ object: other, message }) => `${other.kind.toLowerCase()}/${other.name}  ${message}`,
  );
  section(lines, 'Pods', description.pods, (pod) => {
    const containers = pod.containers.map(
      ({ name, state, message, restarts, exitCode, lastReason, lastExitCode }) =>
        `${name} ${state}${exitCode === undefined ? '' : ` (exit ${exitCode})`}${restarts === 0 ? '' : `, ${restarts} restarts`}${lastReason === undefined ? '' : `, last ${lastReason}${lastExitCode === undefined ? '' : ` exit ${lastExitCode}`}`}${message === '' ? '' : `: ${message}`}`,
    );
    const why = pod.unschedulable === undefined ? '' : `  ${pod.unschedulable}`;
    return `${pod.name}  ${pod.isReady ? 'ready' : pod.phase}${pod.node === '' ? '' : ` on ${pod.node}`}  ${containers.join('; ')}${why}`;
  });
  section(
    lines,
    'Events',
    description.events,
    ({ at, type, reason, object: of, message, count }) =>
      `${at.slice(11, 19)}  ${type.padEnd(7)} ${reason}  ${of}${count > 1 ? ` ×${count}` : ''}  ${message}`,
  );
  return lines;
}

function section<T>(lines: string[], title: string, items: readonly T[], text: (item: T) => string): void {
  if (items.length === 0) return;
  lines.push(`${title}:`);
  for (const item of items) lines.push(`  ${text(item)}`);
}
