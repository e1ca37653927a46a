export const ciViewId = 'slipway.ci';

/** `when` key of the welcome texts. */
export const ciStateKey = 'slipway.ciState';

export const ciCommandIds = [
  'slipway.ci.refresh',
  'slipway.ci.signIn',
  'slipway.ci.signOut',
  'slipway.ci.askHost',
  'slipway.ci.openLog',
  'slipway.ci.openPage',
  'slipway.ci.rerun',
  'slipway.ci.rerunFailed',
  'slipway.ci.cancel',
  'slipway.ci.dispatch',
  'slipway.ci.artifacts',
  'slipway.ci.askPush',
  'slipway.ci.pin',
] as const;
