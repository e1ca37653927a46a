// Reading where there is no disk: a repository opened from a host, an archive. For checks and completion of slipway.yaml.
import type { Dirent } from 'node:fs';
import * as vscode from 'vscode';
import { SlipwayError } from '../../engine/problems/index.ts';
import type { EngineSystem } from './documents.ts';

type Files = EngineSystem['files'];

/** The paths of `near`'s file system, as the engine reads files. It writes nothing. */
export function virtualFiles(near: vscode.Uri): Files {
  const uriOf = (path: string): vscode.Uri => near.with({ path: path.replaceAll('\\', '/'), query: '', fragment: '' });
  const { fs } = vscode.workspace;
  const readBytes = (path: string) => orUndefined(fs.readFile(uriOf(path)));
  const stat = (path: string) => orUndefined(fs.stat(uriOf(path)));
  const isFolder = (type: vscode.FileType): boolean => (type & vscode.FileType.Directory) !== 0;
  const refuse = (): never => {
    throw new SlipwayError({
      reason: 'refused',
      code: 'workspace.virtual',
      message: vscode.l10n.t('The files of this workspace are not on a disk, so Slipway only reads them.'),
      fix: vscode.l10n.t('Clone the repository and open its folder.'),
    });
  };
  return {
    readBytes,
    readText: async (path) => {
      const bytes = await readBytes(path);
      return bytes === undefined ? undefined : new TextDecoder().decode(bytes);
    },
    readFrom: async (path, offset) => (await readBytes(path))?.subarray(offset),
    list: async (path) => {
      const entries = await orUndefined(fs.readDirectory(uriOf(path)));
      return entries?.map(([name, type]) => direntOf(path, name, type));
    },
    stat: async (path) => {
      const found = await stat(path);
      return found === undefined
        ? undefined
        : { size: found.size, mtimeMs: found.mtime, isFolder: isFolder(found.type) };
    },
    entry: async (path) => {
      const found = await stat(path);
      if (found === undefined) return undefined;
      const { size, mtime, ctime, type } = found;
      return { kind: isFolder(type) ? 'folder' : 'file', isExecutable: false, size, mtimeMs: mtime, ctimeMs: ctime };
    },
    writeAtomic: refuse,
    linkFolder: refuse,
    createExclusive: refuse,
    withPrivateFile: refuse,
    append: refuse,
    openAppend: refuse,
    touch: refuse,
    makeFolder: refuse,
    remove: refuse,
    writeStream: refuse,
    watch: () => {},
  };
}

/** Undefined for what is not there; other faults go on. */
async function orUndefined<T>(work: Thenable<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    const missing = ['FileNotFound', 'EntryNotFound', 'FileNotADirectory', 'EntryNotADirectory'];
    if (error instanceof vscode.FileSystemError && missing.includes(error.code)) return undefined;
    throw error;
  }
}

function direntOf(parentPath: string, name: string, type: vscode.FileType): Dirent {
  const is = (wanted: vscode.FileType) => () => (type & wanted) !== 0;
  const never = () => false;
  return {
    name,
    parentPath,
    isFile: is(vscode.FileType.File),
    isDirectory: is(vscode.FileType.Directory),
    isSymbolicLink: is(vscode.FileType.SymbolicLink),
    isBlockDevice: never,
    isCharacterDevice: never,
    isFIFO: never,
    isSocket: never,
  } as Dirent;
}
