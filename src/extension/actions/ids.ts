// Ids of this part that the manifest also holds.

export const actionCommandIds = [
  'slipway.runStep',
  'slipway.build',
  'slipway.scan',
  'slipway.push',
  'slipway.deploy',
  'slipway.smoke',
  'slipway.rollBack',
  'slipway.diagnose',
  'slipway.unlock',
  'slipway.compare',
  'slipway.previewDeploy',
  'slipway.selectEnvironment',
  'slipway.environmentMenu',
] as const;
