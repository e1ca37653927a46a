// What `up` found on the machine before it changed something, so that `down` can put it back and touches nothing else.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { paths } from './paths.ts';

interface Ledger {
  /** Paths that `up` mounted. */
  readonly mounts: readonly string[];
  /** Names of network devices that were there before. */
  readonly linksBefore?: readonly string[] | undefined;
  /** Names of network namespaces that were there before. */
  readonly namespacesBefore?: readonly string[] | undefined;
  /** Policy of the filter table's FORWARD chain before dockerd set it, by program (iptables, ip6tables). */
  readonly forwardPolicy: Readonly<Record<string, string>>;
  /** Kernel settings as they were, by path under /proc/sys. */
  readonly sysctls: Readonly<Record<string, string>>;
}

const path = join(paths.state, 'ledger.json');
const empty: Ledger = { mounts: [], forwardPolicy: {}, sysctls: {} };

export function readLedger(): Ledger {
  if (!existsSync(path)) return empty;
  return { ...empty, ...(JSON.parse(readFileSync(path, 'utf8')) as Partial<Ledger>) };
}

/** Applies a change and writes it before the machine is changed, so that a crash leaves no unknown change. */
export function record(change: (ledger: Ledger) => Partial<Ledger>): void {
  mkdirSync(paths.state, { recursive: true });
  const before = readLedger();
  writeFileSync(path, JSON.stringify({ ...before, ...change(before) }, null, 2));
}

/** Remembers a kernel setting once, the first value seen. */
export function recordSysctl(name: string): void {
  const file = `/proc/sys/${name}`;
  if (!existsSync(file)) return;
  record(({ sysctls }) =>
    name in sysctls ? {} : { sysctls: { ...sysctls, [name]: readFileSync(file, 'utf8').trim() } },
  );
}
