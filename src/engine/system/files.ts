import { randomBytes } from 'node:crypto';
import { closeSync, type Dirent, fsyncSync, mkdirSync, openSync, watch, writeSync } from 'node:fs';
import * as fs from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

export interface FileChange {
  /** Absolute path, or the watched folder itself when the platform did not say which file. */
  readonly path: string;
}

/** What stands at a path, links not followed. */
export interface FileEntry {
  readonly kind: 'file' | 'link' | 'folder' | 'other';
  readonly isExecutable: boolean;
  readonly size: number;
  readonly mtimeMs: number;
  /** Last change of content or metadata: a copy that keeps its modification time still changes this. */
  readonly ctimeMs: number;
  /** Where a link points, as it is written. */
  readonly target?: string;
}

/** A file that only grows. Writes are synchronous, so what was written before a crash of this process is in the file. */
export interface AppendFile {
  write(text: string): void;
  /** Also survives a crash of the machine. */
  sync(): void;
  close(): void;
}

/** File access by absolute path. A missing file is `undefined` where the type says so; other faults throw Node's error. */
export interface Files {
  readText(path: string): Promise<string | undefined>;
  readBytes(path: string): Promise<Uint8Array | undefined>;
  /** Writes so that a reader or a crash sees the old or the new content, never a mixture. Keeps the file's mode. */
  writeAtomic(path: string, content: string | Uint8Array): Promise<void>;
  /**
   * Writes what comes, at most `most` bytes; throws RangeError beyond. A file that is not whole is removed.
   */
  writeStream(path: string, bytes: ReadableStream<Uint8Array>, most: number): Promise<void>;
  /** Makes `path` a link to a folder (a junction on Windows); what stands there already stays. */
  linkFolder(target: string, path: string): Promise<void>;
  /** Creates the file only when it does not exist; false when it did. The base of locks. */
  createExclusive(path: string, content: string): Promise<boolean>;
  /** Gives `use` the path of a file that only this user may read, and removes it afterwards whatever happens. */
  withPrivateFile<T>(name: string, content: string, use: (path: string) => Promise<T>): Promise<T>;
  append(path: string, content: string): Promise<void>;
  openAppend(path: string): AppendFile;
  /** Bytes from `offset` to the end; undefined when the file does not exist. */
  readFrom(path: string, offset: number): Promise<Uint8Array | undefined>;
  /** Sets the modification time to now; false when the file does not exist. */
  touch(path: string): Promise<boolean>;
  makeFolder(path: string): Promise<void>;
  list(path: string): Promise<readonly Dirent[] | undefined>;
  stat(
    path: string,
  ): Promise<{ readonly size: number; readonly mtimeMs: number; readonly isFolder: boolean } | undefined>;
  entry(path: string): Promise<FileEntry | undefined>;
  remove(path: string): Promise<void>;
  /** Calls back on any change below the folder until the signal aborts. Changes are hints: re-read what matters. */
  watch(folder: string, onChange: (change: FileChange) => void, signal: AbortSignal): void;
}

const isMissing = (error: unknown): boolean => {
  const code = (error as NodeJS.ErrnoException).code;
  return code === 'ENOENT' || code === 'ENOTDIR';
};

async function orUndefined<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

export const realFiles: Files = {
  readText: (path) => orUndefined(fs.readFile(path, 'utf8')),
  readBytes: (path) => orUndefined(fs.readFile(path)),
  async linkFolder(target, path) {
    await fs.symlink(target, path, 'junction').catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
  },
  async writeAtomic(path, content) {
    // A link is written through, as an editor does: replacing it by a file would surprise.
    const target = (await orUndefined(fs.realpath(path))) ?? path;
    await fs.mkdir(dirname(target), { recursive: true });
    const mode = (await orUndefined(fs.stat(target)))?.mode;
    const temporary = join(dirname(target), `.${randomBytes(6).toString('hex')}.tmp`);
    try {
      await fs.writeFile(temporary, content, mode === undefined ? {} : { mode: mode & 0o7777 });
      await fs.rename(temporary, target);
    } catch (error) {
      await fs.rm(temporary, { force: true });
      throw error;
    }
  },
  async writeStream(path, bytes, most) {
    await fs.mkdir(dirname(path), { recursive: true });
    const handle = await fs.open(path, 'w');
    try {
      let count = 0;
      for await (const chunk of bytes) {
        count += chunk.byteLength;
        if (count > most) throw new RangeError(`more than ${most} bytes`);
        await handle.writeFile(chunk);
      }
    } catch (error) {
      await handle.close();
      await fs.rm(path, { force: true });
      throw error;
    }
    await handle.close();
  },
  async withPrivateFile(name, content, use) {
    // The folder is made for this user alone (mkdtemp: 0700), so nobody can put a link where the file will be.
    const folder = await fs.mkdtemp(join(tmpdir(), 'slipway-'));
    try {
      const path = join(folder, name);
      await fs.writeFile(path, content, { mode: 0o600, flag: 'wx' });
      return await use(path);
    } finally {
      await fs.rm(folder, { recursive: true, force: true });
    }
  },
  async createExclusive(path, content) {
    await fs.mkdir(dirname(path), { recursive: true });
    try {
      await fs.writeFile(path, content, { flag: 'wx' });
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
      throw error;
    }
  },
  append: (path, content) => fs.appendFile(path, content),
  openAppend(path) {
    mkdirSync(dirname(path), { recursive: true });
    const handle = openSync(path, 'a');
    return {
      write: (text) => {
        writeSync(handle, text);
      },
      sync: () => fsyncSync(handle),
      close: () => closeSync(handle),
    };
  },
  async readFrom(path, offset) {
    const handle = await orUndefined(fs.open(path, 'r'));
    if (handle === undefined) return undefined;
    try {
      const { size } = await handle.stat();
      const buffer = Buffer.alloc(Math.max(0, size - offset));
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, offset);
      return buffer.subarray(0, bytesRead);
    } finally {
      await handle.close();
    }
  },
  async touch(path) {
    const now = new Date();
    return (await orUndefined(fs.utimes(path, now, now).then(() => true))) ?? false;
  },
  async makeFolder(path) {
    await fs.mkdir(path, { recursive: true });
  },
  list: (path) => orUndefined(fs.readdir(path, { withFileTypes: true })),
  async stat(path) {
    const found = await orUndefined(fs.stat(path));
    return found && { size: found.size, mtimeMs: found.mtimeMs, isFolder: found.isDirectory() };
  },
  async entry(path) {
    const found = await orUndefined(fs.lstat(path));
    if (found === undefined) return undefined;
    const { size, mtimeMs, ctimeMs } = found;
    const isExecutable = (found.mode & 0o111) !== 0;
    const target = found.isSymbolicLink() ? await orUndefined(fs.readlink(path)) : undefined;
    const kind = found.isFile() ? 'file' : found.isDirectory() ? 'folder' : target === undefined ? 'other' : 'link';
    return { kind, isExecutable, size, mtimeMs, ctimeMs, ...(target !== undefined && { target }) };
  },
  remove: (path) => fs.rm(path, { recursive: true, force: true }),
  watch(folder, onChange, signal) {
    const watcher = watch(folder, { recursive: true, signal, persistent: false });
    watcher.on('change', (_kind, name) => onChange({ path: name === null ? folder : join(folder, name.toString()) }));
    // The folder may go away while watched; readers then find it missing by themselves.
    watcher.on('error', () => watcher.close());
  },
};
