// Selects tags with the policies of image-reflector-controller, one JSON question per line in, one JSON answer per line
// out. Go's map order is random, so a question may ask for several runs; all different answers come back.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"

	reflectorv1 "github.com/fluxcd/image-reflector-controller/api/v1"
	"github.com/fluxcd/image-reflector-controller/internal/policy"
)

type question struct {
	Policy     reflectorv1.ImagePolicyChoice `json:"policy"`
	FilterTags *reflectorv1.TagFilter        `json:"filterTags"`
	Exclusions []string                      `json:"exclusionList"`
	Tags       []string                      `json:"tags"`
	Runs       int                           `json:"runs"`
	// A pattern alone: the groups of its first match in every text.
	Pattern *string  `json:"pattern"`
	Texts   []string `json:"texts"`
}

type answer struct {
	Error  string   `json:"error,omitempty"`
	Latest []string `json:"latest,omitempty"`
	// Processor time of the cheapest run.
	Microseconds int64 `json:"microseconds"`
	// Per text start and end of every group, nothing without a match.
	Groups [][]int `json:"groups,omitempty"`
}

// selectTag does what the reconcilers do between the registry's list and status.latestRef.
func selectTag(q question, sorted []string) (string, error) {
	policer, err := policy.PolicerFromSpec(q.Policy)
	if err != nil {
		return "", err
	}
	if q.FilterTags == nil {
		return policer.Latest(slices.Clone(sorted))
	}
	filter, err := policy.NewRegexFilter(q.FilterTags.Pattern, q.FilterTags.Extract)
	if err != nil {
		return "", err
	}
	filter.Apply(sorted)
	latest, err := policer.Latest(filter.Items())
	if err != nil {
		return "", err
	}
	return filter.GetOriginalTag(latest), nil
}

func scan(q question) ([]string, error) {
	exclusions := q.Exclusions
	if exclusions == nil {
		exclusions = []string{`^.*\.sig$`}
	}
	var tags []string
	var patterns []*regexp.Regexp
	for _, source := range exclusions {
		pattern, err := regexp.Compile(source)
		if err != nil {
			return nil, err
		}
		patterns = append(patterns, pattern)
	}
	for _, tag := range q.Tags {
		if !slices.ContainsFunc(patterns, func(p *regexp.Regexp) bool { return p.MatchString(tag) }) {
			tags = append(tags, tag)
		}
	}
	slices.SortStableFunc(tags, func(a, b string) int { return -strings.Compare(a, b) })
	return tags, nil
}

// processorTime counts what this process has used, in microseconds: other work on the machine does not show in it.
func processorTime() int64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return (usage.Utime.Nano() + usage.Stime.Nano()) / 1000
}

func run(q question) answer {
	sorted, err := scan(q)
	if err != nil {
		return answer{Error: err.Error()}
	}
	a := answer{}
	for range max(q.Runs, 1) {
		start := processorTime()
		latest, err := selectTag(q, sorted)
		took := processorTime() - start
		if a.Microseconds == 0 || took < a.Microseconds {
			a.Microseconds = took
		}
		if err != nil {
			return answer{Error: err.Error(), Microseconds: a.Microseconds}
		}
		if !slices.Contains(a.Latest, latest) {
			a.Latest = append(a.Latest, latest)
		}
	}
	return a
}

func match(q question) answer {
	pattern, err := regexp.Compile(*q.Pattern)
	if err != nil {
		return answer{Error: err.Error()}
	}
	a := answer{}
	for _, text := range q.Texts {
		a.Groups = append(a.Groups, pattern.FindStringSubmatchIndex(text))
	}
	return a
}

func main() {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(make([]byte, 1<<20), 1<<28)
	encoder := json.NewEncoder(os.Stdout)
	for in.Scan() {
		var q question
		if err := json.Unmarshal(in.Bytes(), &q); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		a := answer{}
		if q.Pattern != nil {
			a = match(q)
		} else {
			a = run(q)
		}
		if err := encoder.Encode(a); err != nil {
			panic(err)
		}
	}
}
