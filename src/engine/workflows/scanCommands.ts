import { type Common, readFlags } from './flags.ts';
import type { ScanFact } from './model.ts';
import { literalOf, textOf, type Value } from './values.ts';

export const image = (value: Value | undefined) => (value === undefined ? {} : { image: value });

export const words = (value: Value | undefined): readonly string[] =>
  value === undefined
    ? []
    : textOf(value)
        .split(/[,\s]+/)
        .filter((word) => word !== '')
        .map((word) => word.toUpperCase());

export function trivy(args: readonly Value[], common: Common): readonly ScanFact[] {
  const flags = readFlags(args, [
    '--severity',
    '-s',
    '--exit-code',
    '--format',
    '-f',
    '--output',
    '-o',
    '--ignorefile',
    '--timeout',
    '--scanners',
    '--input',
    '--template',
    '-t',
    '--vuln-type',
    '--pkg-types',
    '--cache-dir',
    '--config',
    '-c',
    '--platform',
    '--skip-dirs',
    '--skip-files',
    '--username',
    '--password',
    '--db-repository',
    '--java-db-repository',
    '--server',
    '--ignore-policy',
    '--exit-on-eol',
    '--ignore-status',
  ]);
  const verb = literalOf(flags.rest[0]) ?? '';
  const target = {
    image: 'image',
    i: 'image',
    config: 'config',
    conf: 'config',
    fs: 'filesystem',
    filesystem: 'filesystem',
    repo: 'filesystem',
    rootfs: 'filesystem',
  }[verb];
  if (target === undefined) return [];
  const exit = flags.get('--exit-code');
  const ignoreFile = literalOf(flags.get('--ignorefile'));
  const format = literalOf(flags.get('--format', '-f'));
  return [
    {
      kind: 'scan',
      ...common,
      tool: 'trivy',
      target: target as 'image' | 'config' | 'filesystem',
      ...(target === 'image' && image(flags.rest[1])),
      severity: words(flags.get('--severity', '-s')),
      ignoreUnfixed:
        flags.has('--ignore-unfixed') && literalOf(flags.get('--ignore-unfixed')) !== 'false' ? 'yes' : 'no',
      gate:
        exit === undefined || literalOf(exit) === '0' ? 'reports' : literalOf(exit) === undefined ? 'unknown' : 'fails',
      ...(ignoreFile !== undefined && { ignoreFile }),
      ...(format !== undefined && { format }),
    },
  ];
}

/** Grype's cut-off means that severity and all above. */
export const severitiesFrom = (cutoff: string): readonly string[] => {
  const order = ['NEGLIGIBLE', 'LOW', 'MEDIUM', 'HIGH', 'CRITICAL'];
  const at = order.indexOf(cutoff.toUpperCase());
  return at === -1 ? [] : order.slice(Math.max(at, 1)).toReversed();
};

export function grype(args: readonly Value[], common: Common): readonly ScanFact[] {
  const flags = readFlags(args, [
    '--fail-on',
    '-f',
    '-o',
    '--output',
    '--config',
    '-c',
    '--platform',
    '--scope',
    '-s',
    '--file',
  ]);
  const target = flags.rest[0];
  if (target === undefined) return [];
  const cutoff = literalOf(flags.get('--fail-on', '-f'));
  return [
    {
      kind: 'scan',
      ...common,
      tool: 'grype',
      target: /^(dir|file|sbom):/.test(textOf(target)) ? 'filesystem' : 'image',
      image: target,
      severity: cutoff === undefined ? [] : severitiesFrom(cutoff),
      ignoreUnfixed: flags.has('--only-fixed') ? 'yes' : 'no',
      gate: flags.has('--fail-on', '-f') ? 'fails' : 'reports',
    },
  ];
}
