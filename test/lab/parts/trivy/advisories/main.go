// Writes a Trivy vulnerability database (schema 2) from a JSON file of advisories: `advisories IN.json OUTDIR`.
package main

import (
	"encoding/json"
	"log"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"
)

type vulnerability struct {
	Title       string
	Description string
	Severity    string
	// CVSS severity by who scored it: 1 low, 2 medium, 3 high, 4 critical. Trivy shows the best source for an ecosystem.
	VendorSeverity map[string]int
	References     []string
	PublishedDate  *time.Time `json:",omitempty"`
}

type advisories struct {
	// When the advisories were taken down; also the database's own date.
	Date    time.Time
	Sources []struct {
		// Bucket of the database, for example "debian 12".
		Bucket        string
		ID, Name, URL string
		// Package → vulnerability → advisory, in Trivy's own words.
		Packages map[string]map[string]json.RawMessage
	}
	Vulnerabilities map[string]vulnerability
}

func put(bucket *bbolt.Bucket, key string, value any) error {
	bytes, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return bucket.Put([]byte(key), bytes)
}

func write(tx *bbolt.Tx, in advisories) error {
	sources, err := tx.CreateBucketIfNotExists([]byte("data-source"))
	if err != nil {
		return err
	}
	for _, source := range in.Sources {
		if err := put(sources, source.Bucket, map[string]string{"ID": source.ID, "Name": source.Name, "URL": source.URL}); err != nil {
			return err
		}
		root, err := tx.CreateBucketIfNotExists([]byte(source.Bucket))
		if err != nil {
			return err
		}
		for name, found := range source.Packages {
			bucket, err := root.CreateBucketIfNotExists([]byte(name))
			if err != nil {
				return err
			}
			for id, advisory := range found {
				if err := put(bucket, id, advisory); err != nil {
					return err
				}
			}
		}
	}
	details, err := tx.CreateBucketIfNotExists([]byte("vulnerability"))
	if err != nil {
		return err
	}
	for id, vulnerability := range in.Vulnerabilities {
		if err := put(details, id, vulnerability); err != nil {
			return err
		}
	}
	return nil
}

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: advisories IN.json OUTDIR")
	}
	bytes, err := os.ReadFile(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	var in advisories
	if err := json.Unmarshal(bytes, &in); err != nil {
		log.Fatal(err)
	}
	db, err := bbolt.Open(filepath.Join(os.Args[2], "trivy.db"), 0o644, &bbolt.Options{Timeout: time.Second})
	if err != nil {
		log.Fatal(err)
	}
	if err := db.Update(func(tx *bbolt.Tx) error { return write(tx, in) }); err != nil {
		log.Fatal(err)
	}
	if err := db.Close(); err != nil {
		log.Fatal(err)
	}
	// NextUpdate lies far ahead: nothing here can fetch a newer one.
	metadata, _ := json.Marshal(map[string]any{
		"Version": 2, "UpdatedAt": in.Date, "DownloadedAt": in.Date, "NextUpdate": in.Date.AddDate(50, 0, 0),
	})
	if err := os.WriteFile(filepath.Join(os.Args[2], "metadata.json"), metadata, 0o644); err != nil {
		log.Fatal(err)
	}
}
