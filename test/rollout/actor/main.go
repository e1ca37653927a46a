// The program inside the corpus images. It plays every part that a rollout can meet, as told by environment variables.
package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

var version = "dev"

func say(words ...any) { fmt.Fprintln(os.Stderr, append([]any{time.Now().Format(time.RFC3339Nano)}, words...)...) }

func duration(name string) time.Duration {
	value, _ := time.ParseDuration(os.Getenv(name))
	return value
}

func number(name string) int {
	value, _ := strconv.Atoi(os.Getenv(name))
	return value
}

// starts counts the starts of this container: the file outlives restarts on an emptyDir.
func starts() int {
	path := filepath.Join("/state", "starts")
	bytes, _ := os.ReadFile(path)
	count, _ := strconv.Atoi(string(bytes))
	count++
	if err := os.WriteFile(path, []byte(strconv.Itoa(count)), 0o644); err != nil {
		say("cannot count starts:", err)
	}
	return count
}

func quit(code int) {
	if words := os.Getenv("LAST_WORDS"); words != "" {
		say(words)
	}
	os.Exit(code)
}

func main() {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-stop
		if os.Getenv("IGNORE_TERM") != "" {
			return
		}
		os.Exit(0)
	}()
	say("actor", version, "starts")
	time.Sleep(duration("START_DELAY"))
	if address := os.Getenv("NEEDS"); address != "" {
		connection, err := net.DialTimeout("tcp", address, 2*time.Second)
		if err != nil {
			say("cannot reach the database:", err)
			os.Exit(1)
		}
		connection.Close()
	}
	if limit := number("CRASHES"); limit > 0 && starts() <= limit {
		quit(1)
	}
	if path := os.Getenv("LOCK"); path != "" {
		file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
		if err != nil {
			say("lock:", err)
			os.Exit(1)
		}
		say("waiting for leadership")
		for syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
			time.Sleep(200 * time.Millisecond)
		}
		say("leader now")
	}
	if megabytes := number("EAT"); megabytes > 0 {
		var kept [][]byte
		for range megabytes {
			block := make([]byte, 1<<20)
			for index := 0; index < len(block); index += 512 {
				block[index] = 1
			}
			kept = append(kept, block)
			time.Sleep(2 * time.Millisecond)
		}
		say("ate", len(kept), "MiB")
	}
	if code, isSet := os.LookupEnv("EXIT"); isSet {
		time.Sleep(duration("RUN_FOR"))
		value, _ := strconv.Atoi(code)
		quit(value)
	}
	begin := time.Now()
	status := func(name string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			after := duration(name + "_AFTER")
			if os.Getenv(name) == "never" || time.Since(begin) < after {
				http.Error(w, name+" is not given yet", http.StatusServiceUnavailable)
				return
			}
			fmt.Fprintln(w, "ok", version)
		}
	}
	http.HandleFunc("/ready", status("READY"))
	http.HandleFunc("/live", status("LIVE"))
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "actor", version) })
	listen := os.Getenv("LISTEN")
	if listen == "" {
		listen = ":8080"
	}
	say("listens on", listen)
	if err := http.ListenAndServe(listen, nil); err != nil {
		say("fatal:", err)
		os.Exit(1)
	}
}
