import { SlipwayError } from '../problems/index.ts';
import type { ScanTarget } from './scanTarget.ts';

/**
 * What is left when a scanner failed for no reason of its own: the registry does not let it read, or something else.
 * `text` is searched; `words` is its error in one line, `denied` a better one where the registry said no.
 */
export function scanFailure(
  scanner: 'Trivy' | 'Grype',
  target: Pick<ScanTarget, 'reference'>,
  said: {
    readonly words: string;
    readonly text: string;
    readonly evidence: readonly string[];
    readonly denied?: string;
  },
): SlipwayError {
  const common = { reason: 'tool-failed', evidence: said.evidence } as const;
  if (/unauthorized|denied/i.test(said.text)) {
    return new SlipwayError({
      ...common,
      code: 'scan.denied',
      message: `${scanner} may not read ${target.reference}: ${said.denied ?? said.words}`,
      fix: `Log in: docker login ${target.reference.split('/')[0]}.`,
    });
  }
  return new SlipwayError({
    ...common,
    code: 'scan.failed',
    message: `${scanner} could not scan ${target.reference}: ${said.words}`,
    fix: 'See the log of the step.',
  });
}
