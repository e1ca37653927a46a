import { listIn, toArtifact, toJob, toRun } from './actionsShape.ts';
import { HostClient } from './hostClient.ts';
import type { CiArtifact, CiJob, CiRun } from './model.ts';

/** GitHub's API for Actions, which Gitea and Forgejo follow. */
export abstract class ActionsClient extends HostClient {
  /** What the host calls the size of a page, and the most it gives. */
  protected abstract readonly pages: { readonly sizeName: 'per_page' | 'limit'; readonly size?: number };

  async run(id: string, signal: AbortSignal): Promise<CiRun> {
    const path = this.path(`actions/runs/${encodeURIComponent(id)}`);
    return toRun(await this.http.json({ path, signal, what: `run ${id}` }), this.repository);
  }

  async jobs(run: string, signal: AbortSignal): Promise<readonly CiJob[]> {
    const path = this.path(`actions/runs/${encodeURIComponent(run)}/jobs`);
    const query = this.repository.kind === 'github' ? { filter: 'latest' } : {};
    const found = await this.http.list({ path, query, signal, what: `the jobs of run ${run}` }, listIn('jobs'), {
      most: 1000,
      ...this.pages,
    });
    return found.map((job) => toJob(job, run, this.repository));
  }

  async job(id: string, run: string, signal: AbortSignal): Promise<CiJob> {
    const path = this.path(`actions/jobs/${encodeURIComponent(id)}`);
    return toJob(await this.http.json({ path, signal, what: `job ${id}` }), run, this.repository);
  }

  async artifacts(run: string, signal: AbortSignal): Promise<readonly CiArtifact[]> {
    const path = this.path(`actions/runs/${encodeURIComponent(run)}/artifacts`);
    const found = await this.http.list({ path, signal, what: `artifacts of run ${run}` }, listIn('artifacts'), {
      most: 200,
      ...this.pages,
    });
    return found.map((artifact) => toArtifact(artifact, this.repository));
  }

  /** A zip file. The host sends on to a store of its own, which gets no token. */
  async download({ id, name }: CiArtifact, file: string, signal: AbortSignal): Promise<void> {
    const path = this.path(`actions/artifacts/${encodeURIComponent(id)}/zip`);
    await this.http.download({ path, signal, what: `the artifact ${name}` }, file);
  }

  async rerun(run: string, which: 'all' | 'failed', signal: AbortSignal): Promise<void> {
    await this.post({
      path: this.path(`actions/runs/${encodeURIComponent(run)}/${which === 'failed' ? 'rerun-failed-jobs' : 'rerun'}`),
      signal,
      what: `running ${which === 'failed' ? 'the failed jobs of ' : ''}run ${run} again`,
    });
  }

  protected path(rest: string): string {
    return `repos/${this.repository.path.split('/').map(encodeURIComponent).join('/')}/${rest}`;
  }
}
