// The remotes of a working tree, read from git's own files: no process, so it is allowed before anything is asked for.
import { dirname, isAbsolute, join, resolve } from 'node:path';
import type { System } from '../system/index.ts';
import { parseRemote, type Remote, sshHostName } from './remote.ts';

export interface GitRemotes {
  readonly remotes: readonly Remote[];
  /** The branch that is checked out; undefined when detached. */
  readonly branch?: string;
  /** Name of the remote that the branch follows. */
  readonly upstream?: string;
  /** Absolute top folder of the working tree. */
  readonly top: string;
}

/** Undefined when the folder is in no git repository. */
export async function readRemotes(system: System, folder: string): Promise<GitRemotes | undefined> {
  const found = await findGit(system, folder);
  if (found === undefined) return undefined;
  const read = async (path: string) => (await system.files.readText(path).catch(() => undefined)) ?? '';
  const head = await read(join(found.git, 'HEAD'));
  const branch = /^ref: refs\/heads\/(\S+)/.exec(head)?.[1];
  const sections = parseConfig(await read(join(found.common, 'config')));
  const home = system.env.HOME ?? system.env.USERPROFILE;
  const ssh = home === undefined ? '' : await read(join(home, '.ssh', 'config'));
  const remotes = sections.flatMap(({ kind, name, values }) => {
    const url = kind === 'remote' ? values.get('url') : undefined;
    const remote = url === undefined ? undefined : parseRemote(name, url, (alias) => sshHostName(ssh, alias));
    return remote === undefined ? [] : [remote];
  });
  const upstream = sections.find(({ kind, name }) => kind === 'branch' && name === branch)?.values.get('remote');
  return {
    remotes,
    top: found.top,
    ...(branch !== undefined && { branch }),
    ...(upstream !== undefined && { upstream }),
  };
}

/** The branch's own remote, then `origin`, then the only one. `wanted` names one. */
export function chooseRemote({ remotes, upstream }: GitRemotes, wanted?: string): Remote | undefined {
  const named = (name: string | undefined) => remotes.find((remote) => remote.name === name);
  if (wanted !== undefined) return named(wanted);
  return named(upstream) ?? named('origin') ?? (remotes.length === 1 ? remotes[0] : undefined);
}

async function findGit(
  system: System,
  folder: string,
): Promise<{ readonly top: string; readonly git: string; readonly common: string } | undefined> {
  for (let at = resolve(folder); ; at = dirname(at)) {
    const path = join(at, '.git');
    const stat = await system.files.stat(path).catch(() => undefined);
    if (stat?.isFolder === true) return { top: at, git: path, common: path };
    if (stat !== undefined) {
      // A worktree or submodule: a file that names the folder, which itself names the one it shares.
      const target = /^gitdir:\s*(.+?)\s*$/m.exec((await system.files.readText(path)) ?? '')?.[1];
      if (target === undefined) return undefined;
      const git = isAbsolute(target) ? target : join(at, target);
      const shared = (await system.files.readText(join(git, 'commondir')))?.trim();
      return { top: at, git, common: shared === undefined ? git : resolve(git, shared) };
    }
    if (dirname(at) === at) return undefined;
  }
}

interface Section {
  readonly kind: string;
  readonly name: string;
  readonly values: ReadonlyMap<string, string>;
}

function parseConfig(text: string): readonly Section[] {
  const sections: { kind: string; name: string; values: Map<string, string> }[] = [];
  for (const line of text.split(/\r?\n/)) {
    const header = /^\s*\[\s*([\w.-]+)(?:\s+"((?:[^"\\]|\\.)*)")?\s*\]/.exec(line);
    if (header !== null) {
      sections.push({
        kind: (header[1] ?? '').toLowerCase(),
        name: (header[2] ?? '').replaceAll(/\\(.)/g, '$1'),
        values: new Map(),
      });
      continue;
    }
    const entry = /^\s*([\w-]+)\s*=\s*(.*?)\s*$/.exec(line);
    if (entry !== null)
      sections.at(-1)?.values.set((entry[1] ?? '').toLowerCase(), (entry[2] ?? '').replace(/^"(.*)"$/, '$1'));
  }
  return sections;
}
