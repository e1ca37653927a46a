import { DockerfileParser, type From, type Instruction } from 'dockerfile-ast';
import type { ScanReport } from './report.ts';

export interface Origin {
  readonly origin?: 'base' | 'own';
  /** 0-based line of the instruction that made the layer. */
  readonly dockerfileLine?: number;
}

/** Instructions that make a layer. */
const MAKING = new Set(['RUN', 'COPY', 'ADD', 'WORKDIR']);

/**
 * Which layers are ours: the last instructions of the built stage that make layers, and of the stages it starts from, made
 * the top layers, in order; what lies below came with the base image.
 */
export function originsOf(
  report: Pick<ScanReport, 'layers'>,
  dockerfile: string | undefined,
  target?: string,
): (layer: string | undefined) => Origin {
  if (dockerfile === undefined || report.layers.every(({ createdBy }) => createdBy === '')) return () => ({});
  const making = instructionsOf(dockerfile, target)
    .filter((instruction) => MAKING.has(instruction.getKeyword()))
    .map((instruction) => ({ keyword: instruction.getKeyword(), line: instruction.getRange().start.line }));
  // WORKDIR makes a layer only when the folder was new, so both are matched from the top by the words of the history.
  const lines = new Map<string, number>();
  let at = making.length - 1;
  for (const layer of report.layers.toReversed()) {
    const keyword =
      /(?:^|#\(nop\)\s*)(RUN|COPY|ADD|WORKDIR)\b/.exec(layer.createdBy)?.[1] ??
      (layer.createdBy.includes('buildkit') ? 'RUN' : undefined);
    while (at >= 0 && making[at]?.keyword === 'WORKDIR' && keyword !== 'WORKDIR') at -= 1;
    const instruction = making[at];
    if (instruction === undefined || keyword !== instruction.keyword) break;
    lines.set(layer.diffId, instruction.line);
    at -= 1;
  }
  const known = new Set(report.layers.map((layer) => layer.diffId));
  return (layer) => {
    if (layer === undefined || !known.has(layer)) return {};
    const line = lines.get(layer);
    return line === undefined ? { origin: 'base' } : { origin: 'own', dockerfileLine: line };
  };
}

interface Stage {
  readonly name: string | undefined;
  readonly from: string;
  readonly instructions: Instruction[];
}

/** What is in the built image, from the bottom: the stage's own, below them those of the stage of this file it starts from. */
function instructionsOf(dockerfile: string, target: string | undefined): readonly Instruction[] {
  const stages: Stage[] = [];
  for (const instruction of DockerfileParser.parse(dockerfile).getInstructions()) {
    if (instruction.getKeyword() === 'FROM') {
      const from = instruction as From;
      stages.push({
        name: from.getBuildStage()?.toLowerCase(),
        from: (from.getImage() ?? '').toLowerCase(),
        instructions: [],
      });
    } else stages.at(-1)?.instructions.push(instruction);
  }
  // As BuildKit: names without regard to case, of two alike the last one, else a number.
  const wanted = target?.toLowerCase();
  const named = wanted === undefined ? -1 : stages.findLastIndex(({ name }) => name === wanted);
  const numbered = wanted !== undefined && /^\d+$/.test(wanted) ? Number(wanted) : stages.length - 1;
  const found: Instruction[] = [];
  let at = named === -1 ? numbered : named;
  while (at >= 0) {
    const stage = stages[at];
    if (stage === undefined) break;
    found.unshift(...stage.instructions);
    // Only stages above it can be meant; of two with one name the nearer one.
    at = stages.slice(0, at).findLastIndex(({ name }) => name !== undefined && name === stage.from);
  }
  return found;
}
