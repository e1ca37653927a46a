module slipway.test/lab/trivy

go 1.26.0

require (
	github.com/aquasecurity/trivy v0.70.0
	go.etcd.io/bbolt v1.4.3
)

require golang.org/x/sys v0.43.0 // indirect
