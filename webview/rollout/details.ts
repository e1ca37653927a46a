import { html, nothing, type TemplateResult } from 'lit';
import type { FindingView, PodView, WorkloadView } from '../../src/engine/events/index.ts';
import type { RunView } from '../../src/engine/run/projection.ts';
import { age, duration } from '../../src/extension/words.ts';
import { capital, icon, link, plural, type Send, section, type Tone } from './parts.ts';
import { shortPlatform } from './steps.ts';

const workloadTone: Readonly<Record<WorkloadView['state'], readonly [string, Tone]>> = {
  ready: ['pass', 'good'],
  progressing: ['sync', 'busy'],
  failed: ['error', 'bad'],
  unknown: ['question', 'warn'],
  paused: ['debug-pause', 'warn'],
};

/** `isLive`: somebody watches them now; otherwise they are shown as they were last seen. */
export function workloads(run: RunView, now: number, isLive: boolean): TemplateResult | typeof nothing {
  if (run.workloads.length === 0) return nothing;
  const { verdict, rollback } = run;
  const isOpen = verdict === undefined || verdict.state === 'unknown';
  // After a rollback the newest version is the one that is back.
  const isRestored = rollback?.finished?.outcome === 'restored';
  const elapsed = isRestored
    ? html`as restored`
    : isOpen
      ? isLive
        ? nothing
        : 'as last seen'
      : html`${verdict.state} after ${duration(verdict.elapsedMs)}`;
  return section(
    'workloads',
    'Workloads',
    elapsed,
    html`${run.workloads.map((workload) => {
      const isMoving = workload.state === 'progressing' && isLive;
      const [name, tone]: readonly [string, Tone] =
        workload.state === 'progressing' && !isLive ? ['circle-outline', 'quiet'] : workloadTone[workload.state];
      const title = `${workload.ref.kind} ${workload.ref.name}`;
      const hasAges = workload.pods.some(({ createdAt }) => createdAt !== undefined);
      return html`<div class="workload">
        <p class="workload-head">
          <span class="codicon codicon-${name} tone-${tone} ${isMoving ? 'spinning' : ''}" aria-hidden="true"></span>
          <span class="kind">${workload.ref.kind}</span> <strong>${workload.ref.name}</strong>
          <span class="hidden">, ${workload.state}</span>
          <span class="grow"></span>
          <span class="count">${workload.available} of ${workload.desired} available</span>
        </p>
        <p class="workload-words">${workload.message}</p>
        ${
          workload.pods.length === 0
            ? nothing
            : html`<div class="table-scroll" tabindex="0" role="region" aria-label="Pods of ${title}">
                <table class="pods stacked">
                  <thead>
                    <tr>
                      <th scope="col">Pod</th>
                      <th scope="col">Version</th>
                      <th scope="col">State</th>
                      <th scope="col" class="number">Restarts</th>
                      ${hasAges ? html`<th scope="col" class="number">Age</th>` : nothing}
                    </tr>
                  </thead>
                  <tbody>
                    ${workload.pods.map((pod) => podRow(pod, now, { isRestored, hasAges }))}
                  </tbody>
                </table>
              </div>`
        }
      </div>`;
    })}`,
  );
}

function podRow(
  pod: PodView,
  now: number,
  { isRestored, hasAges }: { readonly isRestored: boolean; readonly hasAges: boolean },
): TemplateResult {
  const [name, tone]: readonly [string, Tone] = pod.isReady
    ? ['pass', 'good']
    : pod.reason !== undefined && /Err|BackOff|Crash|Invalid|Failed|OOM/.test(pod.reason)
      ? ['error', 'bad']
      : ['circle-outline', 'busy'];
  const state = pod.isReady ? 'Ready' : (pod.reason ?? (pod.phase === 'Running' ? 'Not ready' : pod.phase));
  return html`<tr>
    <td class="name" title=${pod.name}><span class="pod-name">${pod.name}</span></td>
    <td>${versionOf(pod, isRestored)}</td>
    <td title=${pod.message ?? ''}>${icon(name, tone)} ${state}</td>
    <td class="number ${pod.restarts > 0 ? 'tone-warn' : 'faint zero'}" data-what=${pod.restarts === 1 ? 'restart' : 'restarts'}>${pod.restarts}</td>
    ${
      hasAges
        ? html`<td class="number faint" data-what="old">${pod.createdAt === undefined ? '' : age(pod.createdAt, now).replace(' ago', '')}</td>`
        : nothing
    }
  </tr>`;
}

/** After a rollback, what serves is the version that is back, whatever made its pods. */
function versionOf(pod: PodView, isRestored: boolean): TemplateResult | string {
  if (isRestored && pod.isReady) return 'restored';
  return pod.isNew ? 'new' : html`<span class="faint">old</span>`;
}

export function smoke(run: RunView, send: Send): TemplateResult | typeof nothing {
  if (run.smoke.length === 0) return nothing;
  const passed = run.smoke.filter(({ isOk }) => isOk).length;
  return section(
    'smoke',
    'Smoke tests',
    `${passed} of ${run.smoke.length} passed`,
    html`<ul class="plain">
      ${run.smoke.map(
        (check) =>
          html`<li class="check">
            ${icon(check.isOk ? 'pass' : 'error', check.isOk ? 'good' : 'bad')}
            <span class="check-words"
              ><span class="hidden">${check.isOk ? 'Passed: ' : 'Failed: '}</span><code>${check.check}</code
              ><span class="faint"> ${check.message}</span>
              ${check.url === undefined ? nothing : link('open', () => send({ kind: 'openEndpoint', url: check.url ?? '' }), check.url)}</span
            >
            <span class="number faint"
              >${check.attempts > 1 ? `${check.attempts} attempts, ` : ''}${duration(check.durationMs)}</span
            >
          </li>`,
      )}
    </ul>`,
  );
}

export function images(run: RunView): TemplateResult | typeof nothing {
  if (run.published.length === 0) return nothing;
  return section(
    'images',
    'Images',
    nothing,
    html`<ul class="plain">
      ${run.published.map(
        (image) =>
          html`<li class="image">
            <strong>${image.image}</strong>
            <span class="image-words"
              ><code>${image.repository}:${image.tags[0] ?? ''}</code
              >${image.tags.length > 1 ? html`<span class="faint"> and ${image.tags.slice(1).join(', ')}</span>` : nothing}<br /><span
                class="faint digest"
                title=${image.digest}
                >${image.digest.slice(0, 19)}</span
              ><span class="faint"> for ${image.platforms.join(', ')}</span></span
            >
          </li>`,
      )}
    </ul>`,
  );
}

const severities = ['CRITICAL', 'HIGH', 'MEDIUM', 'LOW'] as const;
/** Beyond this many findings a filter helps more than it costs. */
const MANY_FINDINGS = 8;
/** How many are shown before somebody asks for the rest; what a filter leaves is shown whole. */
const FIRST_FINDINGS = 40;

export interface ScanOptions {
  readonly run: RunView;
  readonly filter: string;
  readonly onFilter: (text: string) => void;
  readonly extent: 'first' | 'all';
  readonly onAll: () => void;
  readonly send: Send;
}

export function scans({ run, filter, onFilter, extent, onAll, send }: ScanOptions): TemplateResult | typeof nothing {
  if (run.scans.length === 0) return nothing;
  const database = run.scans.find(({ database: used }) => used?.updatedAt !== undefined)?.database;
  const all = run.scans.flatMap((scan) => scan.gating.map((finding) => ({ scan, finding })));
  // The same finding on two platforms is one thing to mend.
  const grouped = new Map<
    string,
    { readonly finding: FindingView; readonly scan: (typeof all)[number]['scan']; readonly platforms: string[] }
  >();
  for (const { scan, finding } of all) {
    const key = `${scan.image} ${finding.id} ${finding.package}`;
    const known = grouped.get(key);
    if (known === undefined) grouped.set(key, { finding, scan, platforms: [scan.platform] });
    else known.platforms.push(scan.platform);
  }
  const wanted = filter.trim().toLowerCase();
  const findings = [...grouped.values()].filter(
    ({ finding, scan }) =>
      wanted === '' ||
      `${finding.id} ${finding.package} ${finding.severity} ${finding.title ?? ''} ${scan.image}`
        .toLowerCase()
        .includes(wanted),
  );
  const shown = wanted === '' && extent === 'first' ? findings.slice(0, FIRST_FINDINGS) : findings;
  const images = new Set(run.scans.map(({ image }) => image));
  // What is true of every finding is not said with each.
  const placeOf = (image: string, platforms: readonly string[]): readonly string[] => [
    ...(images.size > 1 ? [image] : []),
    ...(platforms.length < run.scans.filter((scan) => scan.image === image).length ? platforms.map(shortPlatform) : []),
  ];
  return section(
    'scans',
    'Scans',
    database === undefined ? nothing : html`${database.engine} advisories of ${database.updatedAt?.slice(0, 10)}`,
    html`<div class="table-scroll" tabindex="0" role="region" aria-label="Findings by image">
        <table class="gates stacked">
          <thead>
            <tr>
              <th scope="col">Image</th>
              <th scope="col">Platform</th>
              ${severities.map((severity) => html`<th scope="col" class="number">${capital(severity.toLowerCase())}</th>`)}
              <th scope="col">Gate</th>
              <th scope="col"><span class="hidden">Report</span></th>
            </tr>
          </thead>
          <tbody>
            ${run.scans.map(
              (scan) =>
                html`<tr>
                  <td title=${scan.image}>${scan.image}</td>
                  <td class="faint" title=${scan.platform}>${shortPlatform(scan.platform)}</td>
                  ${severities.map(
                    (severity) =>
                      html`<td
                        class="number ${scan.counts[severity] === 0 ? 'faint' : `severity-${severity}`}"
                        data-what=${severity.toLowerCase()}
                      >${scan.counts[severity]}</td>`,
                  )}
                  <td title=${scan.message}>
                    ${
                      scan.outcome === 'clean'
                        ? html`${icon('pass', 'good')} passed`
                        : html`${icon(scan.outcome === 'findings' ? 'error' : 'warning', scan.outcome === 'findings' ? 'bad' : 'warn')}
                          ${scan.outcome === 'findings' ? plural(scan.gating.length, 'finding') : scan.outcome.replace('-', ' ')}`
                    }
                  </td>
                  <td>
                    ${scan.reports[0] === undefined ? nothing : link('report', () => send({ kind: 'openReport', path: scan.reports[0] ?? '' }))}
                  </td>
                </tr>`,
            )}
          </tbody>
        </table>
      </div>
      ${
        grouped.size > MANY_FINDINGS
          ? html`<vscode-textfield
              class="filter"
              type="search"
              label="Filter findings"
              placeholder="Filter by package, id or severity"
              .value=${filter}
              @input=${(event: Event) => onFilter((event.target as HTMLInputElement).value)}
            ></vscode-textfield>`
          : nothing
      }
      ${
        grouped.size === 0
          ? nothing
          : html`<ul class="plain findings" aria-label="Findings that stop the run">
              ${shown.map(({ finding, scan, platforms }) => findingRow(finding, scan, placeOf(scan.image, platforms), send))}
              ${findings.length === 0 ? html`<li class="faint">No finding matches “${filter}”.</li>` : nothing}
            </ul>
            ${
              shown.length === findings.length
                ? nothing
                : html`<p class="more">${link(`Show all ${findings.length} findings`, onAll)}</p>`
            }`
      }`,
  );
}

function findingRow(
  finding: FindingView,
  scan: { readonly image: string; readonly platform: string },
  place: readonly string[],
  send: Send,
): TemplateResult {
  const about = [
    ...(finding.title === undefined ? [] : [finding.title]),
    ...(place.length === 0 ? [] : [place.join(', ')]),
    ...(finding.origin === 'base' ? ['from the base image'] : []),
  ];
  const ask = (what: 'advisory' | 'dockerfile') =>
    send({
      kind: 'openFinding',
      image: scan.image,
      platform: scan.platform,
      id: finding.id,
      package: finding.package,
      what,
    });
  return html`<li class="finding">
    <span class="severity"
      >${icon('circle-filled', finding.severity === 'CRITICAL' ? 'bad' : finding.severity === 'HIGH' ? 'warn' : 'quiet')}
      ${capital(finding.severity.toLowerCase())}</span
    >
    <span class="finding-words">
      <strong>${finding.package}</strong> ${finding.installed}${
        finding.fixed === undefined
          ? html`<span class="faint">, no fix yet</span>`
          : html`, fixed in <strong>${finding.fixed}</strong>`
      }
      ${finding.isNew === true ? html`<span class="chip">new</span>` : nothing}<br />
      ${finding.url === undefined ? finding.id : link(finding.id, () => ask('advisory'), finding.url)}
      <span class="faint">${about.join(' · ')}</span>
      ${
        finding.dockerfileLine === undefined
          ? nothing
          : html`${about.length === 0 ? nothing : html`<span class="faint"> · </span>`}${link(`Dockerfile line ${finding.dockerfileLine + 1}`, () => ask('dockerfile'))}`
      }
    </span>
  </li>`;
}
