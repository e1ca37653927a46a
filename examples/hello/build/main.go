// Cross-compiles hello for every platform of slipway.yaml into bin/<arch><variant>/hello, where the Dockerfile takes it
// from. No base image and no emulator is needed.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

func main() {
	for _, target := range []struct{ folder, arch, arm string }{
		{"amd64", "amd64", ""},
		{"arm64", "arm64", ""},
		{"armv7", "arm", "7"},
	} {
		out := filepath.Join("bin", target.folder, "hello")
		build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", out, ".")
		build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+target.arch, "GOARM="+target.arm)
		build.Stdout, build.Stderr = os.Stdout, os.Stderr
		if err := build.Run(); err != nil {
			fmt.Fprintln(os.Stderr, target.folder, err)
			os.Exit(1)
		}
		fmt.Println("built", out)
	}
}
