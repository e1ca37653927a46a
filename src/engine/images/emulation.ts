import { DockerfileParser, type Instruction } from 'dockerfile-ast';
import type { Diagnostic } from '../problems/index.ts';
import type { ImageConfig, Platform } from '../project/model.ts';
import { normalPlatform } from './reference.ts';

/**
 * Warnings before a build: a wanted platform that the builder does not run, while some stage that is not pinned to
 * $BUILDPLATFORM has RUN instructions. `available` empty = not known (a builder that was not started yet): no warning.
 */
export function emulationWarnings(
  image: ImageConfig,
  dockerfile: string,
  wanted: readonly Platform[],
  available: readonly Platform[],
): readonly Diagnostic[] {
  if (available.length === 0) return [];
  const known = new Set(available.map((platform) => normalPlatform(platform)));
  const foreign = wanted.filter((platform) => !known.has(normalPlatform(platform)));
  if (foreign.length === 0) return [];
  const emulated = onTarget(dockerfile);
  const first = emulated[0];
  if (first === undefined) return [];
  return [
    {
      severity: 'warning',
      code: 'build.emulation',
      message: `${image.name}: ${foreign.join(', ')} cannot run on this builder, and ${emulated.length} RUN instruction${emulated.length === 1 ? '' : 's'} would have to.`,
      place: { file: image.dockerfile, range: first.getRange() },
      fix: 'Install emulators (docker run --privileged --rm tonistiigi/binfmt --install all), use a builder with native nodes, or pin the stage with FROM --platform=$BUILDPLATFORM.',
    },
  ];
}

/** Whether something of the build runs on the platform that is built for, so that it matters which ones the builder has. */
export function runsOnTarget(dockerfile: string): boolean {
  return onTarget(dockerfile).length > 0;
}

/** RUN instructions of stages that are not pinned to $BUILDPLATFORM. */
function onTarget(dockerfile: string): readonly Instruction[] {
  let isPinned = false;
  const found: Instruction[] = [];
  for (const instruction of DockerfileParser.parse(dockerfile).getInstructions()) {
    const keyword = instruction.getKeyword();
    if (keyword === 'FROM') isPinned = /--platform=\$\{?BUILDPLATFORM\}?/.test(instruction.getTextContent());
    else if (keyword === 'RUN' && !isPinned) found.push(instruction);
  }
  return found;
}
