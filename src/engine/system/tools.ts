import { accessSync, constants, statSync } from 'node:fs';
import { extname, isAbsolute, join, win32 } from 'node:path';
import { SlipwayError } from '../problems/index.ts';

type Env = Readonly<Record<string, string | undefined>>;

/**
 * The absolute path of a program by the rules of the platform's PATH, or undefined. Relative folders on PATH (`.`) are
 * passed over: what lies in the workspace must not be taken for a tool.
 */
export function findTool(name: string, env: Env, platform = process.platform): string | undefined {
  const isWindows = platform === 'win32';
  // Node refuses to spawn .cmd and .bat without a shell (CVE-2024-27980), so only real executables count.
  const endings = isWindows && !['.exe', '.com'].includes(extname(name).toLowerCase()) ? ['.exe', '.com'] : [''];
  const isPath = isAbsolute(name) || name.includes('/') || (isWindows && name.includes('\\'));
  const folders = isPath ? [''] : foldersOf(env, isWindows);
  for (const folder of folders) {
    for (const ending of endings) {
      const path = folder === '' ? name + ending : join(folder, name + ending);
      try {
        if (!statSync(path).isFile()) continue;
        if (!isWindows) accessSync(path, constants.X_OK);
        return path;
      } catch {
        // Not here, or not executable: the next folder may have it.
      }
    }
  }
  return undefined;
}

/** Throws SlipwayError `tool-missing` with where to get it, when a program is not on PATH. */
export function requireTool(name: string, env: Env, platform = process.platform): void {
  if (findTool(name, env, platform) === undefined) throw missingTool(name);
}

export const missingTool = (name: string): SlipwayError =>
  new SlipwayError({
    reason: 'tool-missing',
    code: `tool.${name}`,
    message: `${name} was not found on PATH.`,
    fix: howToInstall(name),
  });

const INSTALL: Readonly<Record<string, string>> = {
  cosign: 'https://docs.sigstore.dev/cosign/system_config/installation/',
  docker: 'https://docs.docker.com/engine/install/',
  git: 'https://git-scm.com/downloads',
  grype: 'https://github.com/anchore/grype#installation',
  helm: 'https://helm.sh/docs/intro/install/',
  kubectl: 'https://kubernetes.io/docs/tasks/tools/',
  kustomize: 'https://kubectl.docs.kubernetes.io/installation/kustomize/',
  trivy: 'https://trivy.dev/docs/latest/getting-started/installation/',
};

/** The fix for a program that is not on PATH. */
export function howToInstall(tool: string): string {
  const where = INSTALL[tool] === undefined ? '' : ` (${INSTALL[tool]})`;
  return `Install ${tool}${where}, or add its folder to PATH; an editor that was open before has to be started again.`;
}

/** Windows writes `Path`, separates by semicolons and allows quotes around a folder. */
function foldersOf(env: Env, isWindows: boolean): readonly string[] {
  const key = isWindows ? (Object.keys(env).find((name) => name.toUpperCase() === 'PATH') ?? 'PATH') : 'PATH';
  return (env[key] ?? '')
    .split(isWindows ? ';' : ':')
    .map((folder) => (isWindows ? folder.replace(/^"(.*)"$/, '$1') : folder))
    .filter((folder) => (isWindows ? win32.isAbsolute(folder) : isAbsolute(folder)));
}

/**
 * The environment of a child: `more` wins, and `undefined` removes. On Windows names differ by case only in writing, so
 * `PATH` replaces `Path` instead of standing beside it.
 */
export function mergeEnv(base: Env, more: Env, platform = process.platform): Record<string, string> {
  const merged = new Map<string, readonly [name: string, value: string]>();
  for (const [name, value] of [...Object.entries(base), ...Object.entries(more)]) {
    const key = platform === 'win32' ? name.toUpperCase() : name;
    if (value === undefined) merged.delete(key);
    else merged.set(key, [merged.get(key)?.[0] ?? name, value]);
  }
  return Object.fromEntries(merged.values());
}
