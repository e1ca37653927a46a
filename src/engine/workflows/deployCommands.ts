import { type Common, inFolder, pairs, readFlags } from './flags.ts';
import type { Fact } from './model.ts';
import type { ShellCommand } from './shell.ts';
import { literal, literalOf, split, textOf, type Value } from './values.ts';

export const deploy = (common: Common) =>
  ({ kind: 'deploy', ...common, values: [], set: [], images: [], flags: [] }) as const;

const HELM_FLAGS = [
  '-n',
  '--namespace',
  '-f',
  '--values',
  '--set',
  '--set-string',
  '--set-file',
  '--set-json',
  '--timeout',
  '--version',
  '--kube-context',
  '--kubeconfig',
  '--history-max',
  '--repo',
  '--description',
  '--post-renderer',
  '--username',
  '--password',
  '--ca-file',
  '--registry-config',
];

export function helm(args: readonly Value[], command: ShellCommand, common: Common): readonly Fact[] {
  const flags = readFlags(args, HELM_FLAGS);
  const [verb, release, chart] = flags.rest;
  if (!['upgrade', 'install'].includes(literalOf(verb) ?? '')) return [];
  const namespace = flags.get('-n', '--namespace');
  const timeout = flags.get('--timeout');
  return [
    {
      ...deploy(common),
      tool: 'helm',
      ...(release !== undefined && { release }),
      ...(chart !== undefined && { path: inFolder(command, chart) }),
      ...(namespace !== undefined && { namespace }),
      ...(timeout !== undefined && { timeout }),
      values: flags
        .all('-f', '--values')
        .flatMap((value) => split(value, /,/))
        .map((value) => inFolder(command, value)),
      set: pairs(flags.all('--set', '--set-string').flatMap((value) => split(value, /,/))),
      flags: ['--atomic', '--wait', '--install', '--rollback-on-failure', '--dry-run'].filter((name) =>
        flags.has(name),
      ),
    },
  ];
}

export function kubectl(args: readonly Value[], command: ShellCommand, common: Common): readonly Fact[] {
  const flags = readFlags(args, [
    '-n',
    '--namespace',
    '-f',
    '--filename',
    '-k',
    '--kustomize',
    '--context',
    '--kubeconfig',
    '-l',
    '--selector',
    '--timeout',
    '-o',
    '--field-manager',
  ]);
  const verb = literalOf(flags.rest[0]);
  const namespace = flags.get('-n', '--namespace');
  const shared = { ...deploy(common), ...(namespace !== undefined && { namespace }) };
  if (verb === 'apply' || verb === 'create' || verb === 'replace') {
    const folder = flags.get('-k', '--kustomize');
    if (folder !== undefined) return [{ ...shared, tool: 'kustomize', path: inFolder(command, folder) }];
    return flags
      .all('-f', '--filename')
      .flatMap((value) => split(value, /,/))
      .filter((path) => literalOf(path) !== '-' && !/^https?:/.test(textOf(path)))
      .map((path) => ({ ...shared, tool: 'kubectl', path: inFolder(command, path) }) as const);
  }
  if (verb === 'set' && literalOf(flags.rest[1]) === 'image') {
    const images = pairs(flags.rest.slice(2)).map(([, value]) => value);
    const workload = flags.rest[2];
    return [{ ...shared, tool: 'kubectl-set-image', ...(workload !== undefined && { path: workload }), images }];
  }
  return [];
}

export function kustomize(args: readonly Value[], command: ShellCommand, common: Common): readonly Fact[] {
  const verb = literalOf(args[0]);
  if (verb === 'build') {
    const folder = readFlags(args.slice(1), ['-o', '--output', '--load-restrictor']).rest[0] ?? literal('.');
    // Alone it only renders; what it is piped to applies.
    return command.isPiped ? [{ ...deploy(common), tool: 'kustomize', path: inFolder(command, folder) }] : [];
  }
  if (verb === 'edit' && literalOf(args[1]) === 'set' && literalOf(args[2]) === 'image') {
    const images = args.slice(3).map((value) => pairs([value])[0]?.[1] ?? value);
    return [{ ...deploy(common), tool: 'kustomize-set-image', path: literal(command.folder ?? '.'), images }];
  }
  return [];
}
