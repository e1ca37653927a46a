// Asks for a tool and its input, calls it, and shows the answer or the refusal as a document.
const vscode = require('vscode');

exports.activate = (context) => {
  context.subscriptions.push(
    vscode.commands.registerCommand('slipway-agent.call', async () => {
      const tool = await vscode.window.showInputBox({ title: 'Tool' });
      const input = await vscode.window.showInputBox({ title: 'Input' });
      if (tool === undefined || input === undefined) return;
      const answer = await vscode.lm
        .invokeTool(tool, { input: JSON.parse(input), toolInvocationToken: undefined })
        .then(
          ({ content }) => `answer: ${content.map(({ value }) => value).join('')}`,
          (error) => `refused: ${error instanceof Error ? error.message : String(error)}`,
        );
      const document = await vscode.workspace.openTextDocument({ content: `${tool} ${answer}` });
      await vscode.window.showTextDocument(document);
    }),
  );
};
