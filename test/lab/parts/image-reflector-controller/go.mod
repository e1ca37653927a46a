module slipway.test/lab/image-reflector-controller

go 1.26.0

require github.com/fluxcd/image-reflector-controller v1.1.1
