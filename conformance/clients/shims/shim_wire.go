// The half of a shim in Go that is the same for every library: the wire, the clock, the answers (README.md).
// The program is built with the overlay of go_clock.py, and calls serve.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

type object = map[string]any

// A shim is what differs from library to library.
type shim struct {
	about object
	// library begins the names of its functions: theirs alone are the sleeps and the clock that are the runner's.
	library string
	// newCase starts a case, and gives what answers its operations.
	newCase func(request) (operations, error)
	// tell gives the protocol's members of an error.
	tell func(error) object
}

// operations are those of a case, by name.
type operations map[string]func(context.Context, request) (object, error)

// A request has the arguments of every operation; those that are not given are nil or empty.
type request struct {
	Op, ID, As, Client, Kind, Attempt, Callback, Device, Provider, Token, Log string

	BaseURL        string          `json:"base_url"`
	WWWBaseURL     string          `json:"www_base_url"`
	ClientID       string          `json:"client_id"`
	ClientSecret   string          `json:"client_secret"`
	KeyID          string          `json:"key_id"`
	PrivateKey     string          `json:"private_key"`
	CAFile         string          `json:"ca_file"`
	RefreshToken   string          `json:"refresh_token"`
	RedirectURI    string          `json:"redirect_uri"`
	TimeoutMS      *int64          `json:"timeout_ms"`
	TTLSeconds     *int            `json:"ttl_s"`
	State          *string         `json:"state"`
	WorkspaceID    *string         `json:"workspace_id"`
	Method         *string         `json:"method"`
	CodeVerifier   *string         `json:"code_verifier"`
	SessionName    *string         `json:"session_name"`
	AccountID      *string         `json:"account_id"`
	EnterpriseID   *string         `json:"enterprise_id"`
	Scope          json.RawMessage `json:"scope"`
	SessionContext json.RawMessage `json:"session_context"`
	Config         json.RawMessage `json:"config"`
	Grant          json.RawMessage `json:"grant"`
	Protocol       []int           `json:"protocol"`
	Callers        int             `json:"callers"`
	Call           string          `json:"call"`
	Each           []request       `json:"each"`
}

// unsupported: the library has no such feature. misused: the runner's fault, or the shim's.
type unsupported string
type misused string

func (e unsupported) Error() string { return string(e) }
func (e misused) Error() string     { return string(e) }

var (
	errAbandoned = errors.New("a sleep did not return")
	errEnded     = errors.New("process.end")
)

// A handle is looked up by its name.
func handle[T any](kept map[string]T, name string) (T, error) {
	thing, ok := kept[name]
	if !ok {
		return thing, misused("no such handle: " + name)
	}
	return thing, nil
}

// --- the wire ---

const longestText = 65536

var (
	wire      = os.Stdout
	oneAtOnce sync.Mutex
)

func init() { os.Stdout = os.Stderr } // standard output is the protocol's alone

func send(message object) {
	var line strings.Builder
	encoder := json.NewEncoder(&line)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(message); err != nil {
		panic(err)
	}
	oneAtOnce.Lock()
	defer oneAtOnce.Unlock()
	wire.WriteString(line.String())
}

func cut(text string) string {
	if len(text) > longestText {
		text = text[:longestText]
		for !utf8.ValidString(text[len(text)-utf8.UTFMax:]) {
			text = text[:len(text)-1]
		}
	}
	return text
}

func log(level, text string) {
	if strings.TrimSpace(text) != "" {
		send(object{"ev": "log", "level": level, "text": cut(text)})
	}
}

// --- time: the runner owns it ---

type runnersClock struct {
	sync.Mutex
	now      int64
	sleeps   int
	sleepers map[int]chan bool // true wakes, false abandons
}

var clock = runnersClock{sleepers: map[int]chan bool{}}

func (c *runnersClock) set(unixMS int64) {
	c.Lock()
	defer c.Unlock()
	c.now = unixMS
}

func (c *runnersClock) rule(library string) {
	time.ShimNow = func() (time.Time, bool) {
		if !calledBy(library) {
			return time.Time{}, false
		}
		c.Lock()
		defer c.Unlock()
		return time.UnixMilli(c.now), true
	}
	time.ShimSleep = func(pause time.Duration) bool {
		if !calledBy(library) {
			return false
		}
		answer := make(chan bool, 1)
		c.Lock()
		c.sleeps++
		number := c.sleeps
		c.sleepers[number] = answer
		c.Unlock()
		send(object{"ev": "sleep", "n": number, "ms": max(0, pause.Milliseconds())})
		if !<-answer {
			runtime.Goexit() // the operation's goroutine ends; see outcome
		}
		return true
	}
}

// calledBy tells whether a function of the library has called time.Now or time.Sleep.
func calledBy(library string) bool {
	var callers [1]uintptr
	if runtime.Callers(4, callers[:]) == 0 { // after Callers, calledBy, the hook and the function of time
		return false
	}
	caller, _ := runtime.CallersFrames(callers[:]).Next()
	return strings.HasPrefix(caller.Function, library)
}

func (c *runnersClock) end(sleep int, wakes bool) error {
	c.Lock()
	answer, ok := c.sleepers[sleep]
	delete(c.sleepers, sleep)
	c.Unlock()
	if !ok {
		return misused(fmt.Sprintf("no such sleep: %d", sleep))
	}
	answer <- wakes
	return nil
}

// --- answers ---

// together does all the calls at once, each in a goroutine of its own, and gives their answers in this order. What an error says is
// read when all are done: a library may have changed it.
func (s shim) together(calls []func() (object, error)) object {
	type ended struct {
		result object
		err    error
	}
	all := make([]ended, len(calls))
	start := make(chan struct{})
	var callers sync.WaitGroup
	for i, call := range calls {
		callers.Add(1)
		go func() {
			defer callers.Done()
			defer func() {
				if died := recover(); died != nil {
					all[i].err = panicked(fmt.Sprint(died))
				}
			}()
			<-start
			all[i].result, all[i].err = call()
		}()
	}
	close(start)
	callers.Wait()
	results := make([]object, len(calls))
	for i, one := range all {
		results[i] = s.answer(one.result, one.err)
	}
	return object{"results": results}
}

// outcome does an operation and gives its answer. It runs in a goroutine of its own, which an abandoned sleep ends.
func (s shim) outcome(call func() (object, error)) object {
	answer := make(chan object, 1)
	go func() {
		result, err := object(nil), errAbandoned
		defer func() {
			if died := recover(); died != nil {
				err = panicked(fmt.Sprint(died))
			}
			answer <- s.answer(result, err)
		}()
		result, err = call()
	}()
	return <-answer
}

// panicked: the library has panicked, which ends the program of a caller who does not recover.
type panicked string

func (e panicked) Error() string { return string(e) }

func (s shim) answer(result object, err error) object {
	var none unsupported
	var wrong misused
	var died panicked
	switch {
	case errors.As(err, &none):
		return object{"unsupported": string(none)}
	case errors.As(err, &wrong):
		return object{"err": object{"kind": "protocol", "message": string(wrong)}}
	case errors.As(err, &died):
		told := s.tell(err)
		told["kind"], told["type"], told["message"] = "other", "panic", cut(string(died))
		return object{"err": told}
	case errors.Is(err, errAbandoned):
		return object{"err": object{"kind": "abandoned", "message": err.Error()}}
	case err != nil:
		told := s.tell(err)
		told["message"] = cut(err.Error())
		return object{"err": told}
	case result == nil:
		return object{"ok": object{}}
	}
	return object{"ok": result}
}

type line struct {
	ID      *int64
	Op      string
	Args    json.RawMessage
	UnixMS  *int64 `json:"unix_ms"`
	Wake    *int
	Abandon *int
}

// serve answers every line of standard input until it ends. It returns after process.end: then the process has to end by itself.
func (s shim) serve() {
	clock.rule(s.library)
	var current operations
	var running struct { // the one operation that may be cancelled
		sync.Mutex
		id   int64
		stop context.CancelFunc
	}
	operate := func(ctx context.Context, asked request) (object, error) {
		switch asked.Op {
		case "hello":
			for _, version := range asked.Protocol {
				if version == 1 {
					return s.about, nil
				}
			}
			return nil, misused("this shim speaks version 1")
		case "case":
			if asked.BaseURL == "" {
				return nil, misused("a case has a base_url")
			}
			if asked.CAFile != "" { // read once in the life of a process
				os.Setenv("SSL_CERT_FILE", asked.CAFile)
			}
			begun, err := s.newCase(asked)
			current = begun
			return nil, err
		}
		if current == nil {
			return nil, misused("no case yet")
		}
		if operation, known := current[asked.Op]; known {
			return operation(ctx, asked)
		}
		return nil, unsupported("unknown operation " + asked.Op)
	}
	take := func(text []byte) (id any, err error) {
		var said line
		if err := json.Unmarshal(text, &said); err != nil {
			return nil, misused(err.Error())
		}
		if said.ID != nil {
			id = *said.ID
		}
		if said.UnixMS != nil {
			clock.set(*said.UnixMS)
		}
		switch {
		case said.Wake != nil:
			return id, clock.end(*said.Wake, true)
		case said.Abandon != nil:
			return id, clock.end(*said.Abandon, false)
		case said.Op == "exit":
			os.Exit(0)
		case said.Op == "" || said.ID == nil || said.UnixMS == nil:
			return id, misused("neither a request nor a wake")
		}
		var asked request
		if said.Op == "cancel" {
			var which struct{ ID int64 }
			if err := json.Unmarshal(said.Args, &which); err != nil {
				return id, misused(err.Error())
			}
			running.Lock()
			defer running.Unlock()
			if running.stop == nil || running.id != which.ID {
				return id, misused(fmt.Sprintf("operation %d is not running", which.ID))
			}
			send(object{"id": id, "ok": object{}})
			running.stop()
			return id, nil
		}
		if err := json.Unmarshal(said.Args, &asked); err != nil {
			return id, misused(err.Error())
		}
		if said.Op == "process.end" {
			current = nil
			send(object{"id": id, "ok": object{}})
			return id, errEnded
		}
		asked.Op = said.Op
		ctx, stop := context.WithCancel(context.Background())
		running.Lock()
		running.id, running.stop = *said.ID, stop
		running.Unlock()
		go func() { // a wake for it may come
			answer := s.outcome(func() (object, error) { return operate(ctx, asked) })
			running.Lock()
			running.stop = nil // and is not called: it would give back a connection that the library keeps
			running.Unlock()
			answer["id"] = id
			send(answer)
		}()
		return id, nil
	}
	lines := bufio.NewReader(os.Stdin)
	for {
		text, err := lines.ReadBytes('\n')
		if err != nil {
			os.Exit(0)
		}
		if id, err := take(text); err == errEnded {
			return
		} else if err != nil {
			answer := s.answer(nil, err)
			answer["id"] = id
			send(answer)
		}
	}
}
