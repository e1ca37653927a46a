package main

import (
	"net/http/httptest"
	"strings"
	"testing"
)

func TestAnswers(t *testing.T) {
	for path, want := range map[string]string{"/healthz": "ok", "/": `"version":"development"`, "/nothing": "404"} {
		answer := httptest.NewRecorder()
		handler().ServeHTTP(answer, httptest.NewRequest("GET", path, nil))
		if !strings.Contains(answer.Body.String(), want) {
			t.Errorf("%s answers %q, not %q", path, answer.Body.String(), want)
		}
	}
}
