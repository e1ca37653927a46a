import type { SimpleGit } from 'simple-git';
import { SlipwayError } from '../problems/index.ts';
import type { System } from './index.ts';

/** A git repository, or undefined where there is none. Loaded on first use: most of activation needs no git. */
export interface Git {
  /** Absolute top folder of the working tree. */
  readonly top: string;
  /** A shallow clone: its history ends before the first commit. */
  readonly isShallow: boolean;
  /** Runs one git command and gives its stdout. Throws SlipwayError `tool-failed` with git's own words. */
  raw(...args: readonly string[]): Promise<string>;
  /** The same repository with another index file, so that a tree can be made beside what the person has staged. */
  withIndex(file: string): Git;
}

/**
 * Opens the repository that holds a folder. Refuses in an untrusted workspace: a repository's own configuration can name
 * programs that git would run (CVE-2022-24765 and its kin).
 */
export async function openGit(system: System, folder: string): Promise<Git | undefined> {
  if (!system.isTrusted()) {
    throw new SlipwayError({
      reason: 'untrusted',
      message: 'git was not asked: this workspace is not trusted.',
      fix: 'Trust the workspace, then try again.',
    });
  }
  const { simpleGit } = await import('simple-git');
  const open = (index?: string): SimpleGit => {
    const git = simpleGit({
      baseDir: folder,
      timeout: { block: 60_000 },
      // Those that keep git from waiting for a person and from taking locks or files that the person's own git may want.
      allowEnvironment: ['GIT_OPTIONAL_LOCKS', 'GIT_TERMINAL_PROMPT', 'GIT_INDEX_FILE'],
    });
    // Prompts would hang behind a pipe; optional locks would fight with the person's own git.
    return git.env({
      ...definedEnv(system),
      GIT_OPTIONAL_LOCKS: '0',
      GIT_TERMINAL_PROMPT: '0',
      LC_ALL: 'C',
      ...(index !== undefined && { GIT_INDEX_FILE: index }),
    });
  };
  try {
    const git = open();
    const [top = '', shallow] = (await run(git, ['rev-parse', '--show-toplevel', '--is-shallow-repository'])).split(
      '\n',
    );
    const asGit = (one: SimpleGit): Git => ({
      top: top.trim(),
      isShallow: shallow?.trim() === 'true',
      raw: (...args) => run(one, args),
      withIndex: (file) => asGit(open(file)),
    });
    return asGit(git);
  } catch (error) {
    if (error instanceof SlipwayError && /not a git repository/i.test(error.message)) return undefined;
    throw error;
  }
}

async function run(git: SimpleGit, args: readonly string[]): Promise<string> {
  try {
    return await git.raw([...args]);
  } catch (error) {
    // git repeats the address of a remote in its words, and that may carry a password.
    const text = (error instanceof Error ? error.message.trim() : String(error)).replace(/\/\/[^@/\s]+@/g, '//');
    throw new SlipwayError({
      reason: 'tool-failed',
      code: `git.${args[0] ?? ''}`,
      message: `git ${args[0] ?? ''} failed: ${text}`,
    });
  }
}

/** git's own steering variables would make our calls look at another repository or start other programs. */
function definedEnv(system: System): Record<string, string> {
  const env: Record<string, string> = {};
  for (const [key, value] of Object.entries(system.env)) {
    if (value !== undefined && !/^(GIT_|EDITOR$|PAGER$|SSH_ASKPASS$|PREFIX$|VISUAL$)/i.test(key)) env[key] = value;
  }
  return env;
}
