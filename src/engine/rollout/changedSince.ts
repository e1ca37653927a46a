// What the new version's template has other than the one before: the first thing to look at when it does not start.
import { at, type Fields, fieldsOf, type KubeObject, listOf, numberOf, textOf } from '../cluster/object.ts';
import { hashOf, podTemplate } from './attribution.ts';
import type { ContainerScene, Finding, Scene } from './causes.ts';

/** More than this is another program, and a list of it helps nobody. */
const MOST = 6;
const TELLING = /^(crash|probe|container\.start)/;

/** Adds to the fix of a program that does not stay up what was changed in its container since the version before. */
export function withChanges(scene: Scene, container: ContainerScene, finding: Finding): Finding {
  if (!TELLING.test(finding.code)) return finding;
  const before = templateBefore(scene);
  if (before === undefined) return finding;
  const part = container.kind === 'main' ? 'containers' : 'initContainers';
  // Template against template: what webhooks add to the pods is no change of the person's.
  const [old, now] = [before.template, podTemplate(scene.target.object)].map((template) =>
    listOf(at(template, 'spec', part)).find(({ name }) => name === container.name),
  );
  if (old === undefined || now === undefined) return finding;
  const changes = changesOf(old, now);
  if (changes.length === 0) return finding;
  const rest = changes.length > MOST ? `, and ${changes.length - MOST} more` : '';
  return {
    ...finding,
    fix: `${finding.fix} Changed since revision ${before.revision}: ${changes.slice(0, MOST).join(', ')}${rest}.`,
  };
}

/** The template that was live before the write; undefined for a first version, an unchanged one, and where it is not kept. */
function templateBefore({
  target,
  index,
}: Scene): { readonly template: unknown; readonly revision: string } | undefined {
  const { before, object, template } = target;
  if (before === undefined || before.template === template) return undefined;
  const uid = object.metadata.uid ?? '';
  const set = (index.setsByOwner.get(uid) ?? []).find((one) => hashOf(one) === before.template);
  if (set !== undefined) {
    const revision = set.metadata.annotations?.['deployment.kubernetes.io/revision'] ?? set.metadata.name;
    return { template: at(set, 'spec', 'template'), revision };
  }
  const current = numberOf(target.revisionObject?.revision);
  const kept = [...(index.revisionsByOwner.get(uid) ?? [])]
    .filter((one) => current !== undefined && (numberOf(one.revision) ?? current) < current)
    .sort((a, b) => (numberOf(b.revision) ?? 0) - (numberOf(a.revision) ?? 0));
  const last: KubeObject | undefined = kept[0];
  return last === undefined
    ? undefined
    : { template: at(last, 'data', 'spec', 'template'), revision: String(last.revision) };
}

/** In short words, in the order in which one would suspect them. Values of variables are not said: they may be secret. */
export function changesOf(old: Fields, now: Fields): readonly string[] {
  const changes: string[] = [];
  const simple = (label: string, ...path: readonly string[]): void => {
    const [from, to] = [at(old, ...path), at(now, ...path)];
    if (same(from, to)) return;
    const text = (value: unknown): string =>
      value === undefined ? 'none' : Array.isArray(value) ? value.join(' ') : String(value);
    changes.push(`${label} ${text(from)} → ${text(to)}`);
  };
  simple('image', 'image');
  simple('command', 'command');
  simple('arguments', 'args');
  changes.push(...variableChanges(old, now));
  simple('memory limit', 'resources', 'limits', 'memory');
  simple('cpu limit', 'resources', 'limits', 'cpu');
  simple('user', 'securityContext', 'runAsUser');
  for (const probe of ['startupProbe', 'livenessProbe', 'readinessProbe']) {
    const [from, to] = [at(old, probe), at(now, probe)];
    if (!same(from, to)) {
      changes.push(`${probe} ${from === undefined ? 'added' : to === undefined ? 'removed' : 'changed'}`);
    }
  }
  const ports = (spec: Fields): readonly string[] =>
    listOf(spec.ports).map(({ containerPort }) => String(containerPort));
  if (!same(ports(old), ports(now))) changes.push(`ports ${ports(old).join(' ')} → ${ports(now).join(' ')}`);
  return changes;
}

function variableChanges(old: Fields, now: Fields): readonly string[] {
  const variables = (spec: Fields) => new Map(listOf(spec.env).map((one) => [textOf(one.name) ?? '', one]));
  const [from, to] = [variables(old), variables(now)];
  const sources = (spec: Fields): readonly string[] =>
    listOf(spec.envFrom).map(
      (one) => textOf(at(one, 'configMapRef', 'name')) ?? textOf(at(one, 'secretRef', 'name')) ?? '',
    );
  return [
    ...[...to.keys()].filter((name) => !from.has(name)).map((name) => `variable ${name} added`),
    ...[...from.keys()].filter((name) => !to.has(name)).map((name) => `variable ${name} removed`),
    ...[...to].flatMap(([name, one]) => {
      const other = from.get(name);
      return other === undefined || same(fieldsOf(other), one) ? [] : [`variable ${name} changed`];
    }),
    ...sources(now)
      .filter((name) => !sources(old).includes(name))
      .map((name) => `variables of ${name} added`),
    ...sources(old)
      .filter((name) => !sources(now).includes(name))
      .map((name) => `variables of ${name} removed`),
  ];
}

/** Of fields as the API server writes them: the same in the same order. */
const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);
