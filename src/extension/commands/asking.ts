import * as vscode from 'vscode';

/** Shows that something is asked of a cluster, and lets the person stop it. */
export async function asking<T>(
  title: string,
  work: (signal: AbortSignal, report: (message: string) => void) => Promise<T>,
): Promise<T> {
  return vscode.window.withProgress(
    { location: vscode.ProgressLocation.Notification, title, cancellable: true },
    (progress, token) => {
      const stop = new AbortController();
      token.onCancellationRequested(() => stop.abort());
      return work(stop.signal, (message) => progress.report({ message }));
    },
  );
}
