// Writes the lab's advisories, the same that Trivy gets, into a Grype database (schema 6): `advisories IN.json OUTDIR`.
package main

import (
	"encoding/json"
	"log"
	"os"
	"path/filepath"
	"strings"
	"time"

	v6 "github.com/anchore/grype/grype/db/v6"
	"github.com/glebarez/sqlite"
	"github.com/spf13/afero"
	"gorm.io/gorm"
)

type advisory struct {
	FixedVersion       string
	PatchedVersions    []string
	VulnerableVersions []string
}

type advisories struct {
	// When the advisories were taken down; also the database's own date.
	Date    time.Time
	Sources []struct {
		// In Trivy's words: "debian 12", "pip::GitHub Security Advisory pip".
		Bucket, ID string
		Packages   map[string]map[string]advisory
	}
	Vulnerabilities map[string]struct{ Title, Severity string }
}

// An image says its release by number and name; Grype wants both to be the same.
var codenames = map[string]string{"debian 12": "bookworm"}

func debianRange(found advisory) []v6.Range {
	if found.FixedVersion == "" {
		return []v6.Range{{Version: v6.Version{Type: "dpkg"}, Fix: &v6.Fix{State: v6.NotFixedStatus}}}
	}
	return []v6.Range{{
		Version: v6.Version{Type: "dpkg", Constraint: "< " + found.FixedVersion},
		Fix:     &v6.Fix{Version: found.FixedVersion, State: v6.FixedStatus},
	}}
}

func pythonRanges(found advisory) []v6.Range {
	var ranges []v6.Range
	for index, constraint := range found.VulnerableVersions {
		fix := &v6.Fix{State: v6.NotFixedStatus}
		if index < len(found.PatchedVersions) {
			fix = &v6.Fix{Version: found.PatchedVersions[index], State: v6.FixedStatus}
		}
		ranges = append(ranges, v6.Range{Version: v6.Version{Type: "python", Constraint: constraint}, Fix: fix})
	}
	return ranges
}

func write(store v6.ReadWriter, in advisories) error {
	for _, source := range in.Sources {
		provider := &v6.Provider{ID: source.ID, Version: "1", Processor: "lab", DateCaptured: &in.Date}
		isDebian := strings.HasPrefix(source.Bucket, "debian ")
		for name, vulnerabilities := range source.Packages {
			for id, found := range vulnerabilities {
				about := in.Vulnerabilities[id]
				vulnerability := &v6.VulnerabilityHandle{
					Name:     id,
					Status:   v6.VulnerabilityActive,
					Provider: provider,
					BlobValue: &v6.VulnerabilityBlob{
						ID:          id,
						Description: about.Title,
						Severities:  []v6.Severity{{Scheme: v6.SeveritySchemeCHMLN, Value: strings.ToLower(about.Severity), Rank: 1}},
					},
				}
				if err := store.AddVulnerabilities(vulnerability); err != nil {
					return err
				}
				affected := &v6.AffectedPackageHandle{
					Vulnerability: vulnerability,
					Package:       &v6.Package{Name: name, Ecosystem: "python"},
					BlobValue:     &v6.PackageBlob{CVEs: []string{id}, Ranges: pythonRanges(found)},
				}
				if isDebian {
					affected.Package.Ecosystem = "deb"
					affected.OperatingSystem = &v6.OperatingSystem{Name: "debian", MajorVersion: strings.TrimPrefix(source.Bucket, "debian "), Codename: codenames[source.Bucket]}
					affected.BlobValue.Ranges = debianRange(found)
				}
				if err := store.AddAffectedPackages(affected); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// The writer dates a database by the clock; ours is as old as its advisories, so that its age is the same on every machine.
func setDate(path string, date time.Time) error {
	db, err := gorm.Open(sqlite.Open(path))
	if err != nil {
		return err
	}
	if err := db.Model(&v6.DBMetadata{}).Where("1 = 1").Update("build_timestamp", date).Error; err != nil {
		return err
	}
	connection, err := db.DB()
	if err != nil {
		return err
	}
	return connection.Close()
}

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: advisories IN.json OUTDIR")
	}
	text, err := os.ReadFile(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	var in advisories
	if err := json.Unmarshal(text, &in); err != nil {
		log.Fatal(err)
	}
	folder := filepath.Join(os.Args[2], "6")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		log.Fatal(err)
	}
	store, err := v6.NewWriter(v6.Config{DBDirPath: folder})
	if err != nil {
		log.Fatal(err)
	}
	if err := write(store, in); err != nil {
		log.Fatal(err)
	}
	if err := store.Close(); err != nil {
		log.Fatal(err)
	}
	if err := setDate(filepath.Join(folder, v6.VulnerabilityDBFileName), in.Date); err != nil {
		log.Fatal(err)
	}
	if _, err := v6.WriteImportMetadata(afero.NewOsFs(), folder, "lab"); err != nil {
		log.Fatal(err)
	}
}
