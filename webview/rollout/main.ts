document.querySelector('slipway-rollout')?.append('…');
