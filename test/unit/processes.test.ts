import { afterEach, describe, expect, it } from 'vitest';
import { isCancelled, SlipwayError } from '../../src/engine/problems/index.ts';
import { Processes } from '../../src/engine/system/index.ts';

const node = process.execPath;
const owners: Processes[] = [];
function processes(isTrusted = () => true): Processes {
  const made = new Processes({ env: process.env, isTrusted });
  owners.push(made);
  return made;
}
afterEach(async () => {
  for (const owner of owners.splice(0)) await owner.dispose(200);
});

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 10));
}

describe('Processes', () => {
  it('gives code and output, and passes arguments as they are', async () => {
    const result = await processes().run({
      file: node,
      args: ['-e', 'console.log(process.argv[1]); console.error("e"); process.exit(3)', '$(touch x); "quoted"'],
    });
    expect(result).toMatchObject({ code: 3, stdout: '$(touch x); "quoted"\n', stderr: 'e\n' });
  });

  it('refuses in an untrusted workspace', async () => {
    await expect(processes(() => false).run({ file: node, args: ['--version'] })).rejects.toSatisfy((error) =>
      SlipwayError.is(error, 'untrusted'),
    );
  });

  it('names a missing tool', async () => {
    await expect(processes().run({ file: 'no-such-tool-here', args: [] })).rejects.toSatisfy((error) =>
      SlipwayError.is(error, 'tool-missing'),
    );
  });

  it('stops grandchildren on cancel, also those that ignore a polite signal', async () => {
    const cancel = new AbortController();
    let output = '';
    const script = `
      const { spawn } = require('node:child_process');
      const child = spawn(process.execPath, ['-e', 'process.on("SIGINT",()=>{});process.on("SIGTERM",()=>{});console.log("up");setInterval(()=>{},1000)'], { stdio: ['ignore', 'pipe', 'ignore'] });
      child.stdout.once('data', () => console.log(child.pid));
      setInterval(() => {}, 1000);`;
    const owner = processes();
    const run = owner.run({
      file: node,
      args: ['-e', script],
      signal: cancel.signal,
      onStdout: (text) => {
        output += text;
      },
    });
    await until(() => output.includes('\n'));
    const grandchild = Number(output.trim());
    expect(isAlive(grandchild)).toBe(true);
    await owner.dispose(100);
    await expect(run).resolves.toBeDefined();
    // Killed, it stays in the process table until its new parent has taken notice.
    await until(() => !isAlive(grandchild));
    cancel.abort();
  });

  it('rejects with a cancellation when its signal aborts', async () => {
    const cancel = new AbortController();
    const run = processes().run({ file: node, args: ['-e', 'setInterval(() => {}, 1000)'], signal: cancel.signal });
    cancel.abort();
    await expect(run).rejects.toSatisfy(isCancelled);
  });

  it('decodes characters that arrive in two chunks', async () => {
    const script =
      'const b = Buffer.from("é"); process.stdout.write(b.subarray(0,1)); setTimeout(() => process.stdout.write(b.subarray(1)), 50)';
    const seen: string[] = [];
    const result = await processes().run({ file: node, args: ['-e', script], onStdout: (text) => seen.push(text) });
    expect(result.stdout).toBe('é');
    expect(seen.join('')).toBe('é');
  });
});
