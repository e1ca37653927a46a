import { isAbsolute, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Diagnostic, Place } from '../problems/index.ts';

interface Sarif {
  readonly runs?: readonly {
    readonly tool?: { readonly driver?: { readonly name?: string; readonly rules?: readonly Rule[] } };
    readonly results?: readonly Result[] | null;
  }[];
}
interface Rule {
  readonly id?: string;
  readonly helpUri?: string;
  readonly shortDescription?: { readonly text?: string };
  readonly defaultConfiguration?: { readonly level?: string };
}
interface Result {
  readonly ruleId?: string;
  readonly ruleIndex?: number;
  readonly level?: string;
  readonly kind?: string;
  readonly message?: { readonly text?: string };
  readonly suppressions?: readonly unknown[];
  readonly locations?: readonly {
    readonly physicalLocation?: {
      readonly artifactLocation?: { readonly uri?: string };
      readonly region?: {
        readonly startLine?: number;
        readonly startColumn?: number;
        readonly endLine?: number;
        readonly endColumn?: number;
      };
    };
  }[];
}

export interface SarifReport {
  readonly tools: readonly string[];
  readonly diagnostics: readonly Diagnostic[];
}

/**
 * Reads SARIF 2.1.0 as Snyk, Sonar, CodeQL, Semgrep and Trivy write it. Relative places are taken from `folder`; a result
 * without one stands at `fallback`. Suppressed results and those of kind `pass` are left out. Undefined for other files.
 */
export function readSarif(text: string, folder: string, fallback: Place): SarifReport | undefined {
  let sarif: Sarif | null;
  try {
    sarif = JSON.parse(text) as Sarif | null;
  } catch {
    // Cut off by a kill, or no JSON at all.
    return undefined;
  }
  const runs = sarif?.runs;
  if (typeof runs?.flatMap !== 'function') return undefined;
  const diagnostics = runs.flatMap((run) => {
    const rules = run.tool?.driver?.rules ?? [];
    const tool = run.tool?.driver?.name ?? 'sarif';
    return (run.results ?? [])
      .filter((result) => (result.suppressions ?? []).length === 0 && (result.kind ?? 'fail') !== 'pass')
      .map((result): Diagnostic => {
        const rule = rules[result.ruleIndex ?? -1] ?? rules.find(({ id }) => id === result.ruleId);
        const id = result.ruleId ?? rule?.id;
        const words = result.message?.text ?? rule?.shortDescription?.text ?? 'a finding without words';
        return {
          severity: severityOf(result.level ?? rule?.defaultConfiguration?.level),
          code: id === undefined ? tool : `${tool}.${id}`,
          message: words.split('\n')[0] ?? words,
          place: placeOf(result, folder) ?? fallback,
          ...(rule?.helpUri !== undefined && { fix: `See ${rule.helpUri}.` }),
        };
      });
  });
  const tools = runs.flatMap((run) => run.tool?.driver?.name ?? []);
  return { tools, diagnostics };
}

function severityOf(level: string | undefined): Diagnostic['severity'] {
  // SARIF: a result without a level is a warning.
  return level === 'error' ? 'error' : level === 'note' || level === 'none' ? 'info' : 'warning';
}

function placeOf(result: Result, folder: string): Place | undefined {
  const { artifactLocation, region } = result.locations?.[0]?.physicalLocation ?? {};
  const uri = artifactLocation?.uri;
  if (uri === undefined || uri === '') return undefined;
  let path: string;
  try {
    path = uri.startsWith('file:') ? fileURLToPath(uri) : decodeURIComponent(uri);
  } catch {
    path = uri;
  }
  const file = isAbsolute(path) ? path : join(folder, path);
  if (region?.startLine === undefined) return { file };
  const line = Math.max(0, region.startLine - 1);
  const character = Math.max(0, (region.startColumn ?? 1) - 1);
  const endLine = Math.max(line, (region.endLine ?? region.startLine) - 1);
  const endCharacter = Math.max(0, (region.endColumn ?? (region.startColumn ?? 1) + 1) - 1);
  return { file, range: { start: { line, character }, end: { line: endLine, character: endCharacter } } };
}
