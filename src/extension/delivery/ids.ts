// Ids of this part that the manifest also holds.

export const deliveryCommandIds = [
  'slipway.reconcile',
  'slipway.suspend',
  'slipway.resumeDelivery',
  'slipway.initDelivery',
] as const;
