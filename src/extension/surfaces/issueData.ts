// What a report of a problem says of the installation and the newest run. Pure; no names of projects, hosts or people.
import type { Project, RunView } from '../../engine/main.ts';

export interface IssueFacts {
  readonly version: string;
  readonly editor: string;
  /** Where the extension runs: `desktop`, `ssh-remote`, `dev-container` … */
  readonly host: string;
  readonly platform: string;
  readonly isTrusted: boolean;
  readonly roots: readonly { readonly project: Project | undefined; readonly newest: RunView | undefined }[];
}

export function issueData(facts: IssueFacts): string {
  const lines = [
    `Slipway ${facts.version}`,
    `${facts.editor}, ${facts.host}`,
    facts.platform,
    facts.isTrusted ? 'trusted workspace' : 'Restricted Mode',
    ...facts.roots.flatMap(({ project, newest }, index) => [
      '',
      `folder ${index + 1}: ${project === undefined ? 'no project' : projectWords(project)}`,
      ...(newest === undefined ? [] : runWords(newest)),
    ]),
  ];
  return `${lines.join('\n')}\n`;
}

function projectWords({ source, images, environments, diagnostics }: Project): string {
  const platforms = new Set(images.flatMap((image) => image.platforms));
  const deployers = environments.map(({ deploy }) => deploy.kind);
  return [
    source === 'config' ? 'slipway.yaml' : 'discovered',
    `${images.length} images for ${platforms.size} platforms`,
    deployers.length === 0 ? 'no environment' : `deploys by ${[...new Set(deployers)].join(', ')}`,
    `${diagnostics.length} diagnostics${diagnostics.length === 0 ? '' : `: ${[...new Set(diagnostics.map(({ code }) => code))].join(', ')}`}`,
  ].join('; ');
}

function runWords({ state, startedBy, steps, failure }: RunView): readonly string[] {
  return [
    `newest run: ${state}, started by ${startedBy}`,
    ...steps.map(({ kind, state: of, durationMs, failure: why }) =>
      `  ${kind}: ${of}${durationMs === undefined ? '' : ` in ${Math.round(durationMs)} ms`}${why === undefined ? '' : `, ${why.reason} ${why.code ?? ''}`}`.trimEnd(),
    ),
    ...(failure === undefined ? [] : [`failure: ${failure.reason} ${failure.code ?? ''}`.trimEnd()]),
  ];
}
