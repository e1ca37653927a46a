// One case of the corpus: what is there before, what is deployed, what happens meanwhile, and what the verdict must be.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import type { KubeObject } from '../../src/engine/cluster/index.ts';

export interface CorpusCase {
  readonly name: string;
  readonly about: string;
  /** `healthy` cases must never be called failed; of the others the class must be named right. */
  readonly kind: 'healthy' | 'broken' | 'other';
  readonly expect: {
    readonly state: 'ready' | 'failed' | 'stalled' | 'superseded' | 'paused';
    /** One of these as the first cause (for `stalled`, among the causes). */
    readonly codes?: readonly string[];
    /** Must occur in what the person is told. */
    readonly says?: string;
  };
  readonly options: { readonly stabilityMs?: number; readonly noProgressMs?: number; readonly timeoutMs?: number };
  readonly namespaceLabels: Readonly<Record<string, string>>;
  readonly during: readonly During[];
  /** Deployed and waited for before; empty = nothing is there. */
  readonly old: readonly KubeObject[];
  readonly objects: readonly KubeObject[];
  /** Left out of quick runs. */
  readonly isSlow: boolean;
  /** The version before must have failed. */
  readonly isOldBroken: boolean;
}

export type During = { readonly afterMs: number } & (
  | { readonly apply: readonly KubeObject[] }
  /** `kind/name`. */
  | { readonly delete: string }
  | { readonly scale: string; readonly replicas: number }
  | { readonly evict: string }
  | { readonly restart: string }
);

const folder = join(import.meta.dirname, 'corpus');

interface Raw {
  readonly about: string;
  readonly kind: CorpusCase['kind'];
  readonly expect: CorpusCase['expect'];
  readonly options?: CorpusCase['options'];
  readonly namespaceLabels?: CorpusCase['namespaceLabels'];
  readonly during?: readonly (During | { readonly afterMs: number; readonly apply: string })[];
  readonly isSlow?: boolean;
  readonly isOldBroken?: boolean;
}

export function readCorpus(): readonly CorpusCase[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith('.json'))
    .sort()
    .map((file) => {
      const name = file.replace(/\.json$/, '');
      const raw = JSON.parse(readFileSync(join(folder, file), 'utf8')) as Raw;
      const { during = [], options = {}, namespaceLabels = {}, isSlow = false, isOldBroken = false, ...rest } = raw;
      return {
        name,
        ...rest,
        options,
        namespaceLabels,
        isSlow,
        isOldBroken,
        during: during.map((one) =>
          'apply' in one && typeof one.apply === 'string' ? { ...one, apply: readObjects(one.apply) } : (one as During),
        ),
        old: existsSync(join(folder, `${name}.old.yaml`)) ? readObjects(`${name}.old.yaml`) : [],
        objects: readObjects(`${name}.yaml`),
      };
    });
}

function readObjects(file: string): readonly KubeObject[] {
  return parseAllDocuments(readFileSync(join(folder, file), 'utf8')).map((document) => {
    const object = document.toJS() as KubeObject | null;
    if (object === null || typeof object.kind !== 'string') throw new Error(`${file}: not a manifest`);
    return object;
  });
}
