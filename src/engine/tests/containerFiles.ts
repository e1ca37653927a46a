import { posix } from 'node:path';
import type Docker from 'dockerode';
import picomatch from 'picomatch';

export interface ContainerFile {
  /** Absolute in the container. */
  readonly path: string;
  readonly bytes: Buffer;
}

/** More than any report; what a pattern brings beyond it is left. */
const MOST_BYTES = 64 * 1024 * 1024;

/**
 * Files of a container, also of one that has ended, that match absolute patterns and were written since (ms). The Docker
 * API gives them as tar; a path that is not there gives none.
 */
export async function filesInside(
  container: Docker.Container,
  patterns: readonly string[],
  since: number,
): Promise<readonly ContainerFile[]> {
  const found = new Map<string, ContainerFile>();
  for (const pattern of patterns) {
    const { base, isGlob } = picomatch.scan(pattern);
    const path = isGlob ? base : pattern;
    const isMatch = isGlob ? picomatch(pattern) : (each: string) => each === pattern;
    const tar = await archive(container, path);
    for (const file of tar === undefined ? [] : untar(tar)) {
      // Names begin with the last part of the path that was asked for. Times are whole seconds.
      const full = posix.join(posix.dirname(path), file.name);
      if (isMatch(full) && file.mtimeMs >= since - 1_000) found.set(full, { path: full, bytes: file.bytes });
    }
  }
  return [...found.values()];
}

async function archive(container: Docker.Container, path: string): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of await container.getArchive({ path })) {
      chunks.push(chunk as Buffer);
      length += (chunk as Buffer).length;
      if (length > MOST_BYTES) break;
    }
  } catch (error) {
    if ((error as { readonly statusCode?: number }).statusCode === 404) return undefined;
    throw error;
  }
  return Buffer.concat(chunks);
}

/** The regular files of a tar (ustar, with long names as pax or GNU write them). */
export function untar(
  tar: Buffer,
): readonly { readonly name: string; readonly mtimeMs: number; readonly bytes: Buffer }[] {
  const files: { name: string; mtimeMs: number; bytes: Buffer }[] = [];
  const text = (from: number, length: number): string =>
    tar
      .subarray(from, from + length)
      .toString('utf8')
      .replace(/\0.*$/s, '');
  let longName: string | undefined;
  for (let at = 0; at + 512 <= tar.length; ) {
    const size = Number.parseInt(text(at + 124, 12), 8) || 0;
    const bytes = tar.subarray(at + 512, at + 512 + size);
    const type = String.fromCharCode(tar[at + 156] ?? 0);
    const prefix = text(at + 345, 155);
    const short = text(at, 100);
    if (type === 'x') longName = /(?:^|\n)\d+ path=([^\n]*)\n/.exec(bytes.toString('utf8'))?.[1];
    else if (type === 'L') longName = bytes.toString('utf8').replace(/\0.*$/s, '');
    else {
      if ((type === '0' || type === '\0') && short !== '' && bytes.length === size) {
        const name = longName ?? (prefix === '' ? short : `${prefix}/${short}`);
        files.push({ name, mtimeMs: (Number.parseInt(text(at + 136, 12), 8) || 0) * 1_000, bytes });
      }
      longName = undefined;
    }
    at += 512 + Math.ceil(size / 512) * 512;
  }
  return files;
}
