import type { StepContext } from '../plan/step.ts';
import { type Place, SlipwayError } from '../problems/index.ts';

/**
 * The variables of an env file: `KEY=value` lines, `export` and quotes allowed, `#` comments. Values whose names say that
 * they are secret are masked from here on. Throws SlipwayError `config` when the file does not exist.
 */
export async function readEnvFile(
  owner: string,
  { envFile, place }: { readonly envFile?: string; readonly place: Place },
  { system, secrets }: Pick<StepContext, 'system' | 'secrets'>,
): Promise<Readonly<Record<string, string>>> {
  if (envFile === undefined) return {};
  const text = await system.files.readText(envFile);
  if (text === undefined) {
    throw new SlipwayError({
      reason: 'config',
      code: 'config.missing-file',
      message: `The env file ${envFile} of ${owner} does not exist.`,
      place,
      fix: 'Correct "envFile".',
    });
  }
  const env: Record<string, string> = {};
  for (const line of text.split(/\r?\n/)) {
    const match = /^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*?)\s*$/.exec(line);
    if (match === null || line.trimStart().startsWith('#')) continue;
    const [, name = '', raw = ''] = match;
    const value = /^(["'])(.*)\1$/.exec(raw)?.[2] ?? raw;
    env[name] = value;
    if (/(TOKEN|SECRET|PASSWORD|KEY)$/i.test(name)) secrets.add(value);
  }
  return env;
}
