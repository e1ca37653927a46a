// Ids of this part that the manifest also holds.

export const workloadCommandIds = [
  'slipway.logs',
  'slipway.exec',
  'slipway.restart',
  'slipway.scale',
  'slipway.undoScale',
  'slipway.portForward',
  'slipway.stopForward',
  'slipway.describe',
] as const;
