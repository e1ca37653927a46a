import { createWriteStream } from 'node:fs';
import * as fs from 'node:fs/promises';
import { dirname, join, sep } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import * as yauzl from 'yauzl';

/** A zip file that is not unpacked, and why in one sentence without a full stop. */
export class ArchiveError extends Error {}

export interface ArchiveLimits {
  /** Of all files together, unpacked. */
  readonly bytes: number;
  readonly files: number;
}

const TYPE = 0o170000;
const LINK = 0o120000;

/**
 * Unpacks a zip file into a folder that must not exist yet. Throws ArchiveError, and leaves no folder, when it is damaged, holds a
 * name that leads out of the folder or a link, or is larger than the limits. Gives the names, with `/`. Apart from the other
 * ways to files, so that the reader is loaded only with what unpacks.
 */
export async function unzip(
  archive: string,
  folder: string,
  limits: ArchiveLimits,
  signal: AbortSignal,
): Promise<readonly string[]> {
  await fs.mkdir(dirname(folder), { recursive: true });
  // Made here and nowhere else, so no link of somebody else can stand in it.
  await fs.mkdir(folder);
  try {
    return await unpack(archive, folder, limits, signal);
  } catch (error) {
    await fs.rm(folder, { recursive: true, force: true });
    if (error instanceof ArchiveError || signal.aborted) throw error;
    throw new ArchiveError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

async function unpack(
  archive: string,
  folder: string,
  limits: ArchiveLimits,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const names: string[] = [];
  // The reader refuses names that are absolute, hold `..` or a backslash, and sizes that are not what they say.
  const zip = await yauzl.openPromise(archive, { strictFileNames: true, validateEntrySizes: true });
  let bytes = 0;
  const counted = () =>
    new Transform({
      transform(chunk: Uint8Array, _encoding, done) {
        bytes += chunk.byteLength;
        if (bytes > limits.bytes) done(new ArchiveError(`it holds more than ${limits.bytes} bytes`));
        else done(null, chunk);
      },
    });
  for await (const entry of zip.eachEntry()) {
    signal.throwIfAborted();
    const name = entry.fileName;
    const path = join(folder, name);
    if (!path.startsWith(`${folder}${sep}`) || /[:\0]/.test(name))
      throw new ArchiveError(`the name ${JSON.stringify(name)} leads out of the folder`);
    if (((entry.externalFileAttributes >>> 16) & TYPE) === LINK)
      throw new ArchiveError(`${JSON.stringify(name)} is a link, and may lead anywhere`);
    if (name.endsWith('/')) {
      await fs.mkdir(path, { recursive: true });
      continue;
    }
    if (names.length >= limits.files) throw new ArchiveError(`it holds more than ${limits.files} files`);
    await fs.mkdir(dirname(path), { recursive: true });
    // `wx`: a name that comes twice, also in other case on a file system that tells them not apart, is refused.
    await pipeline(await zip.openReadStreamPromise(entry), counted(), createWriteStream(path, { flags: 'wx' }), {
      signal,
    });
    names.push(name);
  }
  return names;
}
