// The page's one way out. In VS Code it is the webview API; in a test, whatever the page finds on its window.
import { parseToView, type ToHost, type ToView } from '../../src/extension/rollout/protocol.ts';

/** What is kept while the page is hidden, and over a reload of the window. */
export interface Remembered {
  readonly folder: string;
  readonly environment: string | null;
  readonly run: string;
  readonly step?: string;
  readonly filter?: string;
  readonly tab?: 'run' | 'diagnosis';
}

export interface Host {
  readonly post: (message: ToHost) => void;
  /** Calls back with each message that is one of ours. */
  readonly listen: (onMessage: (message: ToView) => void) => void;
  readonly recall: () => Remembered | undefined;
  readonly remember: (state: Remembered) => void;
}

declare global {
  interface Window {
    slipwayTestHost?: Host;
  }
}

export function acquireHost(): Host {
  if (window.slipwayTestHost !== undefined) return window.slipwayTestHost;
  const api = acquireVsCodeApi<Remembered>();
  return {
    post: (message) => api.postMessage(message),
    listen: (onMessage) =>
      window.addEventListener('message', (event: MessageEvent<unknown>) => {
        const message = parseToView(event.data);
        if (message !== undefined) onMessage(message);
      }),
    recall: () => api.getState(),
    remember: (state) => {
      api.setState(state);
    },
  };
}
