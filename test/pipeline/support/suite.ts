// A lab test is a program: cases one after the other, a line each, and `N passed, N failed` at the end.
interface Case {
  readonly name: string;
  readonly work: () => Promise<void>;
}

const cases: Case[] = [];

export function test(name: string, work: () => Promise<void>): void {
  cases.push({ name, work });
}

/** Runs the cases whose name contains the program's argument (all without one), then `finish`, and sets the exit code. */
export async function run(title: string, finish: () => Promise<void>): Promise<void> {
  const only = process.argv[2];
  let passed = 0;
  let failed = 0;
  for (const { name, work } of cases.filter((one) => only === undefined || one.name.includes(only))) {
    const started = Date.now();
    try {
      await work();
      passed += 1;
      console.log(`ok   ${name} (${((Date.now() - started) / 1000).toFixed(1)} s)`);
    } catch (error) {
      failed += 1;
      console.log(`FAIL ${name} (${((Date.now() - started) / 1000).toFixed(1)} s)`);
      console.log(error instanceof Error ? (error.stack ?? error.message) : String(error));
      const evidence = (error as { evidence?: readonly string[] }).evidence;
      if (evidence !== undefined) console.log(evidence.map((line) => `     ${line}`).join('\n'));
    }
  }
  await finish();
  console.log(`${title}: ${passed} passed, ${failed} failed`);
  process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
}
