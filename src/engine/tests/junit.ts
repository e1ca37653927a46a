import { XMLParser } from 'fast-xml-parser';

export interface TestReport {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  readonly failures: readonly {
    readonly name: string;
    readonly message: string;
    readonly file?: string;
    readonly line?: number;
  }[];
}

type Attributes = Readonly<Record<string, string | undefined>>;

/** Reads JUnit XML in the shapes that pytest, Django, Maven, Go and Jest write. Undefined when it is not JUnit. */
export function readJunit(text: string): TestReport | undefined {
  const parser = new XMLParser({
    ignoreAttributes: false,
    attributeNamePrefix: '',
    parseAttributeValue: false,
    isArray: (name) => ['testsuite', 'testcase', 'failure', 'error'].includes(name),
  });
  let root: Record<string, unknown>;
  try {
    root = parser.parse(text) as Record<string, unknown>;
  } catch {
    // A report cut off by a kill says nothing that can be trusted.
    return undefined;
  }
  const top = root.testsuites ?? root;
  const suites = suitesOf(top);
  if (suites.length === 0) return undefined;
  let passed = 0;
  let skipped = 0;
  const failures: { name: string; message: string; file?: string; line?: number }[] = [];
  for (const suite of suites) {
    for (const test of (suite.testcase ?? []) as readonly (Attributes & Record<string, unknown>)[]) {
      const bad = [...((test.failure ?? []) as unknown[]), ...((test.error ?? []) as unknown[])][0];
      if (bad !== undefined) {
        const detail = typeof bad === 'string' ? { '#text': bad } : (bad as Attributes);
        failures.push({
          name: [test.classname, test.name].filter(Boolean).join('.'),
          message: (detail.message ?? detail['#text'] ?? '').split('\n')[0] ?? '',
          ...(test.file !== undefined && { file: test.file }),
          ...(test.line !== undefined && { line: Number(test.line) }),
        });
      } else if ('skipped' in test) skipped += 1;
      else passed += 1;
    }
  }
  return { passed, failed: failures.length, skipped, failures };
}

function suitesOf(node: unknown): readonly Record<string, unknown>[] {
  const suites = (node as { readonly testsuite?: readonly Record<string, unknown>[] } | undefined)?.testsuite ?? [];
  return suites.flatMap((suite) => [suite, ...suitesOf(suite)]);
}
