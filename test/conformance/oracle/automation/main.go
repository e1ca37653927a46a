// Answers case files with the code that Flux itself runs, one JSON case per line in, one JSON answer per line out.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/fluxcd/pkg/version"
	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/Masterminds/semver/v3"

	"github.com/fluxcd/image-automation-controller/internal/update"
	reflectorv1 "github.com/fluxcd/image-reflector-controller/api/v1"
)

type markerPolicy struct {
	Name, Tag, Digest string
}

type question struct {
	Kind       string                  `json:"kind"`
	Constraint string                  `json:"constraint"`
	Versions   []string                `json:"versions"`
	File       string                  `json:"file"`
	Input      string                  `json:"input"`
	Policies   map[string]markerPolicy `json:"policies"`
	Namespace  string                  `json:"namespace"`
}

type answer struct {
	Error   string            `json:"error,omitempty"`
	Matches []bool            `json:"matches,omitempty"`
	Output  string            `json:"output,omitempty"`
	Changed bool              `json:"changed,omitempty"`
	Extra   map[string]string `json:"extra,omitempty"`
}

func constraint(q question) answer {
	c, err := semver.NewConstraint(q.Constraint)
	if err != nil {
		return answer{Error: err.Error()}
	}
	a := answer{}
	for _, text := range q.Versions {
		v, err := version.ParseVersion(text)
		a.Matches = append(a.Matches, err == nil && c.Check(v))
	}
	return a
}

func marker(q question) answer {
	dir, err := os.MkdirTemp("", "oracle")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, filepath.FromSlash(q.File))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		panic(err)
	}
	if err := os.WriteFile(path, []byte(q.Input), 0o644); err != nil {
		panic(err)
	}
	var policies []reflectorv1.ImagePolicy
	for key, ref := range q.Policies {
		namespace, name, _ := strings.Cut(key, ":")
		if q.Namespace != "" && q.Namespace != namespace {
			continue
		}
		p := reflectorv1.ImagePolicy{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
		if ref.Name != "" {
			p.Status.LatestRef = &reflectorv1.ImageRef{Name: ref.Name, Tag: ref.Tag, Digest: ref.Digest}
		}
		policies = append(policies, p)
	}
	if _, err := update.UpdateWithSetters(logr.Discard(), dir, dir, policies); err != nil {
		return answer{Error: err.Error()}
	}
	a := answer{Extra: map[string]string{}}
	_ = filepath.Walk(dir, func(p string, info os.FileInfo, err error) error {
		if err != nil || info.IsDir() {
			return err
		}
		content, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		if p == path {
			a.Output = string(content)
			a.Changed = a.Output != q.Input
		} else if rel, err := filepath.Rel(dir, p); err == nil {
			a.Extra[rel] = string(content)
		}
		return nil
	})
	return a
}

func main() {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(make([]byte, 1<<20), 1<<28)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	encoder := json.NewEncoder(out)
	for in.Scan() {
		var q question
		if err := json.Unmarshal(in.Bytes(), &q); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		var a answer
		switch q.Kind {
		case "constraint":
			a = constraint(q)
		case "marker":
			a = marker(q)
		}
		if err := encoder.Encode(a); err != nil {
			panic(err)
		}
	}
}
