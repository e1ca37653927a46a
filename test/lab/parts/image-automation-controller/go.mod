module slipway.test/lab/image-automation-controller

go 1.26.0

require github.com/fluxcd/image-automation-controller v1.2.4

replace (
	sigs.k8s.io/kustomize/api => sigs.k8s.io/kustomize/api v0.21.1
	sigs.k8s.io/kustomize/kyaml => sigs.k8s.io/kustomize/kyaml v0.21.1
)
