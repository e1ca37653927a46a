// A lab test is a program: cases one after the other, a line each, and `N passed, N failed` at the end.
import assert from 'node:assert/strict';

interface Case {
  readonly name: string;
  readonly work: () => Promise<void>;
}
type AddCase = (name: string, work: () => Promise<void>) => void;

const strands: Case[][] = [];

/**
 * Cases that have nothing in common with others: those of one strand run one after the other, strands run side by side.
 * Only for work that does not block this process.
 */
export function strand(): AddCase {
  const cases: Case[] = [];
  strands.push(cases);
  return (name, work) => {
    cases.push({ name, work });
  };
}

export const test: AddCase = strand();

/** Runs the cases whose name contains the program's argument (all without one), then `finish`, and sets the exit code. */
export async function run(title: string, finish: () => Promise<void>): Promise<void> {
  const only = process.argv[2];
  const counts = { passed: 0, failed: 0 };
  await Promise.all(
    strands.map(async (cases) => {
      for (const one of cases.filter(({ name }) => only === undefined || name.includes(only))) {
        counts[(await passes(one)) ? 'passed' : 'failed'] += 1;
      }
    }),
  );
  await finish();
  console.log(`${title}: ${counts.passed} passed, ${counts.failed} failed`);
  process.exitCode = counts.failed > 0 || counts.passed === 0 ? 1 : 0;
}

async function passes({ name, work }: Case): Promise<boolean> {
  const started = Date.now();
  const took = () => `(${((Date.now() - started) / 1000).toFixed(1)} s)`;
  try {
    await work();
    console.log(`ok   ${name} ${took()}`);
    return true;
  } catch (error) {
    console.log(`FAIL ${name} ${took()}`);
    console.log(error instanceof Error ? (error.stack ?? error.message) : String(error));
    const evidence = (error as { evidence?: readonly string[] }).evidence;
    if (evidence !== undefined) console.log(evidence.map((line) => `     ${line}`).join('\n'));
    return false;
  }
}

/** Asks again until it is so; the time limit is only there to end a hopeless wait. */
export async function eventually(
  what: string,
  isTrue: () => Promise<boolean> | boolean,
  limitMs = 120_000,
): Promise<void> {
  for (const end = Date.now() + limitMs; ; ) {
    if (await isTrue()) return;
    assert.ok(Date.now() < end, what);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
