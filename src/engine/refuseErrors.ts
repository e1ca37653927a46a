import { basename } from 'node:path';
import { type Place, SlipwayError } from './problems/index.ts';
import type { Project } from './project/model.ts';

/** Throws the mistakes of slipway.yaml as one SlipwayError `config`, at the place of the first. */
export function refuseErrors(project: Project): void {
  const errors = project.diagnostics.filter((diagnostic) => diagnostic.severity === 'error');
  const first = errors[0];
  if (first === undefined) return;
  throw new SlipwayError({
    reason: 'config',
    code: first.code,
    message: errors.length === 1 ? first.message : `${first.message} (and ${errors.length - 1} more)`,
    place: first.place,
    ...(first.fix !== undefined && { fix: first.fix }),
    ...(errors.length > 1 && { evidence: errors.slice(1).map(({ place, message }) => `${lineOf(place)}: ${message}`) }),
  });
}

/** As `slipway.yaml:12`; the folder is that of the first mistake. */
const lineOf = ({ file, range }: Place): string =>
  `${basename(file)}${range === undefined ? '' : `:${range.start.line + 1}`}`;
