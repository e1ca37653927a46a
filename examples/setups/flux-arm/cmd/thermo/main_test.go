package main

import (
	"net/http/httptest"
	"testing"
)

func TestHealth(t *testing.T) {
	answer := httptest.NewRecorder()
	routes().ServeHTTP(answer, httptest.NewRequest("GET", "/healthz", nil))
	if answer.Code != 200 {
		t.Fatalf("status %d", answer.Code)
	}
}
