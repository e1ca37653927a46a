import { makeDraft } from '../../src/engine/project/discovery/draft.ts';
import { draftProject, findEverything, type PrintBake } from '../../src/engine/project/discovery.ts';
import { proposeConfig as propose } from '../../src/engine/project/index.ts';
import type { Project } from '../../src/engine/project/model.ts';
import { createSystem } from '../../src/engine/system/index.ts';
import { workspace } from './workspaces.ts';

/** Discovery over these files, with what was asked of buildx on the way. No process can start. */
export async function discover(
  files: Readonly<Record<string, string>>,
  answer?: (...asked: Parameters<PrintBake>) => Promise<string>,
): Promise<{ readonly project: Project; readonly asked: readonly Parameters<PrintBake>[] }> {
  const asked: Parameters<PrintBake>[] = [];
  const system = createSystem({ isTrusted: () => false });
  const printBake: PrintBake = (...call) => {
    asked.push(call);
    return answer?.(...call) ?? Promise.reject(new Error('not asked for'));
  };
  const findings = await findEverything(system, workspace(files), answer === undefined ? {} : { printBake });
  return { project: draftProject(makeDraft(findings), findings), asked };
}

export const proposeConfig = (root: string, bake: 'may' | 'must') =>
  propose(createSystem({ isTrusted: () => false }), root, { bake });
