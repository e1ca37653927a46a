// `npm run check`: everything that needs no lab, in under a minute. Each gate prints one line; the first red one shows why.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';

interface Gate {
  readonly name: string;
  readonly argv: readonly [string, ...string[]];
}

const cases = 'test/conformance/cases';
const gates: readonly Gate[] = [
  { name: 'types', argv: ['tsc', '--noEmit', '-p', 'tsconfig.json'] },
  ...(existsSync('webview/rollout')
    ? [{ name: 'types of the webview', argv: ['tsc', '--noEmit', '-p', 'webview'] } satisfies Gate]
    : []),
  { name: 'types of the editor tests', argv: ['tsc', '--noEmit', '-p', 'test/editor'] },
  { name: 'lint', argv: ['biome', 'check', '.'] },
  { name: 'boundaries', argv: ['node', 'test/boundaries.ts'] },
  { name: 'unused code', argv: ['knip', '--no-progress'] },
  { name: 'unit', argv: ['vitest', 'run', '--config', 'test/vitest.config.ts'] },
  ...(existsSync(cases)
    ? [{ name: 'conformance', argv: ['node', 'test/conformance/main.ts', cases] } satisfies Gate]
    : []),
];

function run(
  gate: Gate,
): Promise<{ readonly gate: Gate; readonly isOk: boolean; readonly output: string; readonly ms: number }> {
  const started = Date.now();
  return new Promise((resolve) => {
    const child = spawn(gate.argv[0], gate.argv.slice(1), { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    child.stdout.on('data', (bytes) => {
      output += bytes;
    });
    child.stderr.on('data', (bytes) => {
      output += bytes;
    });
    child.on('error', (error) => resolve({ gate, isOk: false, output: error.message, ms: Date.now() - started }));
    child.on('close', (code) => resolve({ gate, isOk: code === 0, output, ms: Date.now() - started }));
  });
}

// Two at a time: the machine this must be fast on has two cores.
const waiting = [...gates];
let failed = 0;
let tests = { passed: 0, failed: 0 };
async function worker(): Promise<void> {
  for (;;) {
    const gate = waiting.shift();
    if (gate === undefined) return;
    const result = await run(gate);
    console.log(`${result.isOk ? 'ok  ' : 'FAIL'} ${gate.name} (${(result.ms / 1000).toFixed(1)} s)`);
    if (!result.isOk) {
      failed += 1;
      console.log(result.output);
    }
    if (gate.name === 'conformance') console.log(result.output.trim().split('\n').at(-1));
    const counts = /Tests\s+(?:(\d+) failed \| )?(\d+) passed/.exec(stripAnsi(result.output));
    if (counts) tests = { passed: tests.passed + Number(counts[2]), failed: tests.failed + Number(counts[1] ?? 0) };
  }
}

function stripAnsi(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the escape character is what is being removed
  return text.replace(/\u001b\[[0-9;]*m/g, '');
}

const started = Date.now();
await Promise.all([worker(), worker()]);
console.log(`check: ${((Date.now() - started) / 1000).toFixed(1)} s`);
// Each gate that is not a test runner counts as one test.
const gatesPassed = gates.length - failed;
console.log(`${tests.passed + gatesPassed} passed, ${tests.failed + failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;
