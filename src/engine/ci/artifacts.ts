import { join } from 'node:path';
import { SlipwayError } from '../problems/index.ts';
import { ArchiveError, unzip } from '../system/archive.ts';
import type { System } from '../system/index.ts';
import { MOST_DOWNLOAD } from './http.ts';
import type { CiArtifact, CiClient } from './model.ts';

/** More than a run leaves behind in earnest; what goes beyond is meant to fill a disk. */
const LIMITS = { bytes: 4 * MOST_DOWNLOAD, files: 200_000 };

export interface SavedArtifact {
  readonly name: string;
  /** Absolute; named after the artifact, without what a file system would take amiss. */
  readonly folder: string;
  /** Names in it, with `/`. */
  readonly files: readonly string[];
}

/**
 * Fetches an artifact and unpacks it into a new folder below `into`. Throws SlipwayError `ci.artifact-there` when the folder
 * stands there already, `ci.artifact` when the archive is damaged or holds what must not be unpacked; nothing is left then.
 */
export async function saveArtifact(
  system: System,
  client: CiClient,
  artifact: CiArtifact,
  into: string,
  signal: AbortSignal,
): Promise<SavedArtifact> {
  const { name } = artifact;
  const folder = join(into, folderName(name));
  if ((await system.files.entry(folder)) !== undefined) {
    throw new SlipwayError({
      reason: 'usage',
      code: 'ci.artifact-there',
      message: `${folder} stands there already; ${name} was not fetched.`,
      fix: 'Remove it, or name another folder with --dir.',
    });
  }
  if (artifact.isExpired) {
    throw new SlipwayError({
      reason: 'network',
      code: 'ci.gone',
      message: `${client.repository.host} no longer keeps ${name}.`,
      fix: 'Run it again to get a new one.',
    });
  }
  const archive = `${folder}.${system.pid}.zip`;
  try {
    await client.download(artifact, archive, signal);
    return { name, folder, files: await unzip(archive, folder, LIMITS, signal) };
  } catch (error) {
    if (!(error instanceof ArchiveError)) throw error;
    throw new SlipwayError(
      {
        reason: 'network',
        code: 'ci.artifact',
        message: `${name} of ${client.repository.path} was not unpacked: ${error.message}.`,
        fix: 'Look at the job that made it before you open it by other means.',
      },
      { cause: error },
    );
  } finally {
    await system.files.remove(archive);
  }
}

/** Names come from whoever wrote the workflow: only letters, digits and `. _ -`, and no name that means something else. */
function folderName(name: string): string {
  const plain = name.replaceAll(/[^\p{L}\p{N}._-]+/gu, '-').replace(/^[.-]+|[.-]+$/g, '');
  return plain === '' || /^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/i.test(plain)
    ? `artifact-${plain}`
    : plain.slice(0, 120);
}
