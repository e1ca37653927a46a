import { basename } from 'node:path';
import type { System } from '../system/index.ts';
import { readConfig } from './config.ts';
import type { Project } from './model.ts';

/** What can be told of a workspace that has no slipway.yaml. */
export async function discover(_system: System, root: string): Promise<Project> {
  return { ...readConfig('version: 1\n', root, root), name: basename(root).toLowerCase(), source: 'discovery' };
}
