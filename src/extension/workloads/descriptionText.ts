// All there is to see of an object, for reading: facts first, the object itself last. Pure.
import type { Description } from '../../engine/main.ts';
import { age } from '../words.ts';

/** YAML with the facts as comments, so that an editor colours it and a person can copy from it. */
export function descriptionText(description: Description, now: number = Date.now()): string {
  const { object, workload, facts, conditions, pods, events, related, owners, troubles, createdAt } = description;
  const lines = [
    `${object.kind} ${object.name}${createdAt === undefined ? '' : `, created ${age(createdAt, now)}`}`,
    ...(workload === undefined ? [] : [`${workload.state}: ${workload.message}`]),
    ...section(
      'Troubles',
      troubles.map((trouble) => wordsOf(trouble)),
    ),
    ...section(
      'Facts',
      facts.map(({ name, value }) => `${name}: ${value}`),
    ),
    ...section(
      'Conditions',
      conditions.map(({ type, status, reason, message }) => `${type}=${status} ${reason} ${message}`.trim()),
    ),
    ...section(
      'Pods',
      pods.map((pod) => wordsOf(pod)),
    ),
    ...section(
      'Events, newest last',
      events.map((event) => wordsOf(event)),
    ),
    ...section(
      'Related',
      related.map(({ object: other, message }) => `${other.kind} ${other.name}: ${message}`),
    ),
    ...section(
      'Written by',
      owners.map((owner) => wordsOf(owner)),
    ),
  ];
  return `${lines.map((line) => (line === '' ? '#' : `# ${line}`)).join('\n')}\n\n${description.yaml}`;
}

const section = (title: string, lines: readonly string[]): readonly string[] =>
  lines.length === 0 ? [] : ['', `${title}:`, ...lines.flatMap((line) => line.split('\n')).map((line) => `  ${line}`)];

/** One line of a record: its texts and numbers, in their order. */
function wordsOf(record: object): string {
  return Object.values(record)
    .filter((value): value is string | number => typeof value === 'string' || typeof value === 'number')
    .join('  ');
}
