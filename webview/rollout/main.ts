// The rollout page: shows what the host sends, asks by intent, keeps nothing but what is selected.
import '@vscode-elements/elements/dist/vscode-button/index.js';
import '@vscode-elements/elements/dist/vscode-textfield/index.js';
import { LogView } from './logView.ts';
import { RolloutPage } from './page.ts';

customElements.define('slipway-log', LogView);
customElements.define('slipway-rollout', RolloutPage);
