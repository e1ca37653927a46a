// Ids of this part that the manifest also holds.

export const markerCommandIds = [
  'slipway.bumpTag',
  'slipway.bumpAll',
  'slipway.pickTag',
  'slipway.rollBackTag',
  'slipway.explainTag',
  'slipway.fetchTags',
] as const;

export const imagesViewId = 'slipway.images';

/** `loading`, `none` or `ready`: what the view's welcome goes by. */
export const imagesContextKey = 'slipway.imagesState';
