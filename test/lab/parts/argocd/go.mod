// Pins the module that holds Argo CD's definitions of kinds. Nothing of it is built: an inner module is not to be had.
module slipway.test/lab/argocd

go 1.26

require github.com/argoproj/argo-cd/v3 v3.5.7
