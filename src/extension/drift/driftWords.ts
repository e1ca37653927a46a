// What differs, in words. No vscode here.
import type { ObjectRef } from '../../engine/events/index.ts';
import type { Drift } from '../../engine/main.ts';

const MOST_CHANGES = 6;

/** `spec.replicas: live 3, files 2`, one line a field. */
export function driftLines(drift: Drift): readonly string[] {
  if (drift.kind === 'missing') return ['is in the files and not in the cluster'];
  const shown = drift.changes.slice(0, MOST_CHANGES);
  const more = drift.changes.length - shown.length;
  return [
    ...shown.map(
      ({ path, before, after }) => `${pathWords(path)}: live ${valueWords(before)}, files ${valueWords(after)}`,
    ),
    ...(more > 0 ? [`and ${more} more`] : []),
  ];
}

/** Plain text for the decoration of a file: which environment, which object, what. */
export function driftText(environment: string, drifts: readonly Drift[]): string {
  return drifts
    .map((drift) => `${environment}: ${drift.object.kind} ${drift.object.name} ${driftLines(drift).join('; ')}`)
    .join('\n');
}

/** Markdown for the row of a workload; values from outside stand in code spans. */
export function driftMarkdown(drift: Drift): string {
  return ['**Differs from the files**', ...driftLines(drift).map((line) => `- \`${line.replaceAll('`', "'")}\``)].join(
    '\n',
  );
}

export const driftOfObject = (drifts: readonly Drift[], { kind, namespace, name }: ObjectRef): Drift | undefined =>
  drifts.find(
    ({ object }) => object.kind === kind && object.name === name && (object.namespace ?? '') === (namespace ?? ''),
  );

/** The last parts of a path say what it is; the way through the pod template does not. */
const pathWords = (path: string): string =>
  path
    .replace(/^spec\.template\.spec\./, '')
    .replace(/^spec\.(?=\w+$)/, '')
    .replace(/^containers\[([^\]]+)\]\./, '$1 ');

function valueWords(value: unknown): string {
  if (value === undefined) return 'nothing';
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  // The digest says nothing to a person where the tag does.
  const short = text.replace(/(:[\w][\w.-]*)@sha256:[0-9a-f]{64}$/, '$1');
  return short.length > 120 ? `${short.slice(0, 117)}…` : short;
}
