import type { Place } from '../problems/index.ts';
import type { YamlNode } from '../yaml/index.ts';
import {
  type ActionUse,
  type Job,
  type JobService,
  type Permissions,
  type Trigger,
  unfilteredTrigger,
} from './model.ts';
import { literal, unknown, type Value } from './values.ts';

/** Triggers of `on`, which may be a word, a list or a map. */
export function readTriggers(root: YamlNode): readonly Trigger[] {
  const on = root.get('on');
  if (on === undefined) return [];
  const word = on.text();
  if (word !== undefined) return [unfilteredTrigger(word, on.place)];
  if (on.kind === 'list')
    return on
      .items()
      .flatMap((item) => (item.text() === undefined ? [] : [unfilteredTrigger(item.text() ?? '', item.place)]));
  return on.entries().map(({ key, keyPlace, value }) => ({
    event: key,
    branches: value.strings('branches'),
    branchesIgnore: value.strings('branches-ignore'),
    tags: value.strings('tags'),
    tagsIgnore: value.strings('tags-ignore'),
    paths: value.strings('paths'),
    pathsIgnore: value.strings('paths-ignore'),
    place: keyPlace,
  }));
}

/** The `permissions` of a workflow or job; undefined when it has none. */
export function readPermissions(node: YamlNode, text: string): Permissions | undefined {
  const permissions = node.get('permissions');
  if (permissions === undefined) return undefined;
  const word = permissions.text();
  if (word === 'write-all' || word === 'read-all') return { level: word, scopes: new Map(), place: permissions.place };
  const entries = permissions.entries().map(({ key, keyPlace, value }) => ({
    key,
    indent: keyPlace.range?.start.character ?? 0,
    value: value.text() ?? '',
    place: value.place,
  }));
  const last = entries.at(-1);
  const isFlow = text.slice(permissions.offsets[0], permissions.offsets[0] + 1) === '{';
  return {
    level: 'listed',
    scopes: new Map(entries.map(({ key, value, place }) => [key, { value, place }])),
    place: permissions.place,
    ...(last !== undefined && !isFlow && { last }),
  };
}

/** More combinations than this tell nothing new. */
const MOST_COMBINATIONS = 64;

export function readJobFrame(
  id: string,
  place: Place,
  node: YamlNode,
  text: string,
  inherited: Permissions | undefined,
): Omit<Job, 'steps' | 'environment'> {
  const condition = node.string('if');
  const permissions = readPermissions(node, text) ?? inherited;
  const container = node.get('container');
  const image = container?.text() ?? container?.string('image');
  return {
    id,
    place,
    needs: node.strings('needs'),
    ...(condition !== undefined && { condition }),
    ...(permissions !== undefined && { permissions }),
    ...(container !== undefined && image !== undefined && { container: { image, place: container.place } }),
    services: (node.get('services')?.entries() ?? []).flatMap(
      ({ key, keyPlace, value }) => readService(key, keyPlace, value) ?? [],
    ),
    matrix: combinations(node.at('strategy', 'matrix')),
  };
}

function readService(name: string, place: Place, node: YamlNode): JobService | undefined {
  const image = node.text() ?? node.string('image');
  if (image === undefined) return undefined;
  const options = node.string('options') ?? '';
  const [, double, single, bare] = /--health-cmd[= ]+(?:"([^"]*)"|'([^']*)'|(\S+))/.exec(options) ?? [];
  const health = double ?? single ?? bare;
  return {
    name,
    image: literal(image),
    env: Object.fromEntries(
      (node.get('env')?.entries() ?? []).flatMap(({ key, value }) => {
        const text = value.text();
        return text === undefined || text.includes('${{') ? [] : [[key, text] as const];
      }),
    ),
    ports: node.strings('ports').flatMap((port) => {
      const number = Number(
        port
          .replace(/\/(tcp|udp)$/, '')
          .split(':')
          .at(-1),
      );
      return Number.isInteger(number) && number > 0 ? [number] : [];
    }),
    ...(health !== undefined && { health: ['sh', '-c', health] }),
    place,
  };
}

/** `strategy.matrix` with `include` and `exclude`, as the host expands it. An expression gives one unknown combination. */
function combinations(matrix: YamlNode | undefined): readonly ReadonlyMap<string, unknown>[] {
  if (matrix === undefined || matrix.kind !== 'map') return [new Map()];
  let all: Map<string, unknown>[] = [new Map()];
  const axes: string[] = [];
  for (const { key, value } of matrix.entries()) {
    if (key === 'include' || key === 'exclude' || value.kind !== 'list') continue;
    axes.push(key);
    all = all
      .flatMap((combination) => value.items().map((item) => new Map([...combination, [key, item.value()]])))
      .slice(0, MOST_COMBINATIONS);
  }
  const maps = (name: string) =>
    (matrix.get(name)?.items() ?? []).map(
      (item) => new Map(item.entries().map(({ key, value }) => [key, value.value()] as const)),
    );
  const isSame = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b);
  for (const exclude of maps('exclude')) {
    all = all.filter((combination) => ![...exclude].every(([key, value]) => isSame(combination.get(key), value)));
  }
  if (axes.length === 0) all = [];
  const original = all.map((combination) => new Map(combination));
  for (const include of maps('include')) {
    const fitting = all.filter((_combination, index) => {
      const before = original[index];
      return (
        before !== undefined &&
        [...include].every(([key, value]) => !axes.includes(key) || isSame(before.get(key), value))
      );
    });
    // One that overwrites nothing of the axes joins every combination it fits; else it is one of its own.
    if (fitting.length > 0)
      for (const combination of fitting) for (const [key, value] of include) combination.set(key, value);
    else all.push(new Map(include));
  }
  return all.length === 0 ? [new Map()] : all.slice(0, MOST_COMBINATIONS);
}

/** Defaults of `workflow_call` and `workflow_dispatch` inputs; one without a default differs from run to run. */
export function callDefaults(root: YamlNode, how: 'called' | 'by itself'): Map<string, Value> {
  const found = new Map<string, Value>();
  for (const event of ['workflow_dispatch', 'workflow_call']) {
    for (const { key, value } of root.at('on', event, 'inputs')?.entries() ?? []) {
      const fallback = value.string('default');
      // A called workflow sees an empty text for what the call leaves out.
      const missing = how === 'called' && event === 'workflow_call' ? literal('') : unknown(`inputs.${key}`);
      found.set(key, fallback === undefined ? missing : literal(fallback));
    }
  }
  return found;
}

/** A `uses`, with the comment behind it on its line. */
export function readUse(node: YamlNode, text: string): ActionUse {
  const written = node.text() ?? '';
  const [, name = '', ref = ''] = /^(?:https?:\/\/[^/]+\/)?([^@]*)(?:@(.*))?$/.exec(written) ?? [];
  const end = text.indexOf('\n', node.offsets[1]);
  const comment = /#\s*(.+?)\s*$/.exec(text.slice(node.offsets[1], end === -1 ? undefined : end))?.[1];
  return {
    action: name.toLowerCase().replace(/\/$/, ''),
    ref,
    text: written,
    place: node.place,
    ...(comment !== undefined && { comment }),
  };
}
