// Package cozeauthmock gives each test a world of its own of coze-auth-mock, a mock of Coze's (扣子) auth server.
//
// The mock is a program, which the package finds and starts once for a test binary; it ends with the test binary, however that
// ends. A world has apps, tokens, a clock, faults and a journal that no other test sees, so tests may be parallel. When a test
// fails, its output has the journal of its world, and why requests were refused.
//
//	func TestAGatewayInFrontOfCoze(t *testing.T) {
//		t.Parallel()
//		world := cozeauthmock.NewWorld(t)
//		api := coze.NewCozeAPI(coze.NewTokenAuth(world.ConsoleToken("pat")), coze.WithBaseURL(world.BaseURL))
//		world.Fault(cozeauthmock.OnEndpoint("users_me"), cozeauthmock.Fault{Kind: "status", Status: 502, Times: 1})
//		…
//		world.Verify(cozeauthmock.Exactly(2, cozeauthmock.OnEndpoint("users_me")))
//	}
//
// The methods of a world fail the test if the mock refuses what they ask, so they are for the goroutine of the test.
package cozeauthmock

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// --- the mock as a process ---

const (
	binary       = "coze-auth-mock"
	startSeconds = 30 // a guard only: it starts within milliseconds
)

// mock is the one of this test binary.
var mock struct {
	once    sync.Once
	baseURL string
	err     error
	stdin   io.Closer // the mock ends when this does: with this process
	mutex   sync.Mutex
	names   map[string]bool // of the worlds that are in use
}

// FindBinary returns the path of the command coze-auth-mock: the one that COZE_AUTH_MOCK_BIN names, else that of npm
// (node_modules) or of a virtual environment of pip (.venv, venv) in this folder or one above it, of the environment that is
// active, of PATH, or of pip or cargo in the home folder.
func FindBinary() (string, error) {
	if named := os.Getenv("COZE_AUTH_MOCK_BIN"); named != "" {
		found, err := exec.LookPath(named)
		if err != nil {
			return "", fmt.Errorf("COZE_AUTH_MOCK_BIN names %s, which is not a program: correct it, or unset it (a test runs in the folder of its package, so an absolute path is best)", named)
		}
		return found, nil
	}
	scripts, system, machine := "bin", runtime.GOOS, runtime.GOARCH
	if system == "windows" {
		scripts, system = "Scripts", "win32"
	}
	if machine == "amd64" {
		machine = "x64"
	}
	// npm's package of this platform, by npm's names; its command needs node, and the binary does not.
	npm := fmt.Sprintf("%s-%s-%s", binary, system, machine)
	var folders []string
	if here, err := os.Getwd(); err == nil {
		for ; ; here = filepath.Dir(here) {
			modules := filepath.Join(here, "node_modules")
			folders = append(folders, filepath.Join(modules, npm, "bin"), filepath.Join(modules, ".bin"),
				filepath.Join(here, ".venv", scripts), filepath.Join(here, "venv", scripts))
			if here == filepath.Dir(here) {
				break
			}
		}
	}
	if active := os.Getenv("VIRTUAL_ENV"); active != "" {
		folders = append(folders, filepath.Join(active, scripts))
	}
	candidates := []string{binary}
	if home, err := os.UserHomeDir(); err == nil {
		candidates = append(candidates, filepath.Join(home, ".local", "bin", binary), filepath.Join(home, ".cargo", "bin", binary))
	}
	for i, folder := range folders {
		folders[i] = filepath.Join(folder, binary)
	}
	for _, candidate := range append(folders, candidates...) {
		if found, err := exec.LookPath(candidate); err == nil {
			return found, nil
		}
	}
	return "", fmt.Errorf("the command %s is not in node_modules, .venv or venv of this folder or of one above it, nor on PATH: install it with pip, npm or cargo, or name the program in the variable COZE_AUTH_MOCK_BIN", binary)
}

func start() (string, error) {
	program, err := FindBinary()
	if err != nil {
		return "", err
	}
	command := exec.Command(program, "serve", "--listen", "127.0.0.1:0", "--print", "json", "--until-stdin-closes")
	// The journal tells of requests; the log only of what goes wrong with the mock itself.
	command.Env = []string{"RUST_LOG=warn"}
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		// The mock would take them for its own, and this package could not control it any more.
		if name != "COZE_AUTH_MOCK_PUBLIC_URL" && name != "COZE_AUTH_MOCK_ADMIN_TOKEN" {
			command.Env = append(command.Env, variable)
		}
	}
	// A file and not a buffer, whose goroutine would be one of the first test, and keep a bubble of testing/synctest open.
	log, err := os.CreateTemp("", binary+"-*.log")
	if err != nil {
		return "", err
	}
	defer os.Remove(log.Name())
	defer log.Close()
	command.Stderr = log
	stdin, err := command.StdinPipe()
	if err != nil {
		return "", err
	}
	stdout, err := command.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := command.Start(); err != nil {
		return "", fmt.Errorf("%s does not start: %w", program, err)
	}
	mock.stdin = stdin
	alarm := time.AfterFunc(startSeconds*time.Second, func() { command.Process.Kill() })
	defer alarm.Stop()
	// It listens before it prints.
	line, _ := bufio.NewReader(stdout).ReadString('\n')
	var info struct {
		BaseURL string `json:"base_url"`
	}
	if json.Unmarshal([]byte(line), &info) != nil || info.BaseURL == "" {
		stdin.Close()
		command.Wait()
		said, _ := os.ReadFile(log.Name())
		if text := strings.TrimSpace(string(said)); text != "" {
			return "", fmt.Errorf("%s did not start: %s", program, text)
		}
		return "", fmt.Errorf("%s did not start: it printed %.200q", program, line)
	}
	return info.BaseURL, nil
}

// --- worlds ---

// Settings are those of a world. The zero value has the mock's own.
type Settings struct {
	// Config is a configuration as a text in TOML, without files and addresses.
	Config string
	// Clock is the time at which the world's clock stands. The zero time lets it run from now on.
	Clock time.Time
	// Seed makes ids and tokens repeatable. 0 is none.
	Seed uint64
	// Port gives the world a port of its own, for a client that keeps only host and port of a base URL.
	Port bool
}

// MockWorld is a world of the mock for one test.
type MockWorld struct {
	// Name is made of the name of the test, so with a seed the test has the same tokens in each run.
	Name string
	// BaseURL is what a client takes as its base: scheme, host, port and path, without a trailing slash.
	BaseURL string
	// PortURL is the URL of the world's own port, without a trailing slash. Empty if Settings.Port is false.
	PortURL string

	test testing.TB
}

// NewWorld makes a world for this test, which is removed at the end of the test. When the test fails, its output has the journal.
func NewWorld(t testing.TB) *MockWorld {
	t.Helper()
	return Settings{}.NewWorld(t)
}

// NewWorld makes a world with these settings for this test.
func (s Settings) NewWorld(t testing.TB) *MockWorld {
	t.Helper()
	mock.once.Do(func() { mock.baseURL, mock.err = start() })
	if mock.err != nil {
		t.Fatalf("cozeauthmock: %v", mock.err)
	}
	name := takeName(t.Name())
	world := &MockWorld{Name: name, BaseURL: mock.baseURL + "/t/" + name, test: t}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log("coze-auth-mock journal: " + world.Report())
		}
		// A mock that has ended is told by the next test that needs it.
		_ = send(mock.baseURL, "DELETE", "/worlds/"+name, nil, nil)
		giveBack(name)
	})
	body := map[string]any{"name": name}
	if s.Config != "" {
		body["config"] = s.Config
	}
	if !s.Clock.IsZero() {
		body["clock"] = s.Clock.UTC().Format(time.RFC3339Nano)
	}
	if s.Seed != 0 {
		body["seed"] = s.Seed
	}
	if s.Port {
		body["port"] = 0
	}
	var made struct {
		PortURL string `json:"port_url"`
	}
	if err := send(mock.baseURL, "POST", "/worlds", body, &made); err != nil {
		t.Fatalf("cozeauthmock: %v", err)
	}
	world.PortURL = made.PortURL
	return world
}

var notInNames = regexp.MustCompile("[^A-Za-z0-9]+")

func takeName(title string) string {
	words := strings.Trim(notInNames.ReplaceAllString(title, "-"), "-")
	words = strings.Trim(words[:min(len(words), 32)], "-")
	name := fmt.Sprintf("go-%s-%.4x", words, sha256.Sum256([]byte(title)))
	mock.mutex.Lock()
	defer mock.mutex.Unlock()
	if mock.names == nil {
		mock.names = map[string]bool{}
	}
	free := name
	for number := 2; mock.names[free]; number++ {
		free = fmt.Sprintf("%s-%d", name, number)
	}
	mock.names[free] = true
	return free
}

func giveBack(name string) {
	mock.mutex.Lock()
	defer mock.mutex.Unlock()
	delete(mock.names, name)
}

// --- the control plane ---

// A connection for each request: goroutines share nothing, none is left in a bubble of testing/synctest, and no proxy is asked.
var transport = &http.Transport{DisableKeepAlives: true}

// ControlError is what the mock refused, or that it does not answer.
type ControlError struct {
	// Status is the HTTP status of the refusal, and 0 without an answer.
	Status int
	// Text says what was asked and why it was refused.
	Text string

	answer []byte
}

func (e *ControlError) Error() string { return e.Text }

// AuthorizeError is an authorize request that the mock refused: the browser would have shown an error.
type AuthorizeError struct {
	// Status is the HTTP status of the refusal.
	Status int
	// Code is Coze's.
	Code string
	// Explanation has the rule that refused the request, and how to fix the client.
	Explanation Explanation
}

func (e *AuthorizeError) Error() string { return fmt.Sprintf("%s: %v", e.Code, e.Explanation) }

// send asks the control plane of the world at this base; answer may be nil. The error is a *ControlError.
func send(base, method, path string, body, answer any) error {
	var data io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return &ControlError{Text: fmt.Sprintf("%s %s: the body is not JSON: %v", method, path, err)}
		}
		data = bytes.NewReader(text)
	}
	// The longest wait of the mock is 60 s.
	within, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(within, method, base+"/_mock/v1"+path, data)
	if err != nil {
		return &ControlError{Text: fmt.Sprintf("%s %s: %v", method, path, err)}
	}
	request.Header.Set("Content-Type", "application/json")
	reply, err := transport.RoundTrip(request)
	var text []byte
	if err == nil {
		defer reply.Body.Close()
		text, err = io.ReadAll(reply.Body)
	}
	if err != nil {
		return &ControlError{Text: fmt.Sprintf("%s %s: the mock does not answer at %s, so it has ended: %v", method, path, base, err)}
	}
	if reply.StatusCode != http.StatusOK {
		var refusal struct{ Error string }
		if json.Unmarshal(text, &refusal) != nil {
			refusal.Error = string(text)
		}
		return &ControlError{reply.StatusCode, fmt.Sprintf("%s %s: the mock answered %d: %s", method, path, reply.StatusCode, refusal.Error), text}
	}
	if answer == nil {
		return nil
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return &ControlError{Text: fmt.Sprintf("%s %s: the answer does not fit %T: %v", method, path, answer, err)}
	}
	return nil
}

// Control sends a request to the world's control plane, such as Control("GET", "/tokens", nil, &answer). A body or an answer that is
// nil is left out.
func (w *MockWorld) Control(method, path string, body, answer any) {
	w.test.Helper()
	if err := send(w.BaseURL, method, path, body, answer); err != nil {
		w.test.Fatalf("cozeauthmock: %v", err)
	}
}

// known returns false if the mock does not know what is asked for.
func (w *MockWorld) known(method, path string, body, answer any) bool {
	w.test.Helper()
	err := send(w.BaseURL, method, path, body, answer)
	if refused := new(ControlError); errors.As(err, &refused) && refused.Status == http.StatusNotFound {
		return false
	}
	if err != nil {
		w.test.Fatalf("cozeauthmock: %v", err)
	}
	return true
}

// --- apps and tokens ---

// MockApp is an app that a world knows, as its owner has registered it.
type MockApp struct {
	// Kind is web, pkce, device, jwt or workload.
	Kind string `json:"kind"`
	// ClientID is the app id of a JWT app.
	ClientID string `json:"client_id"`
	// ClientSecret is only of a web app and a workload.
	ClientSecret string `json:"client_secret"`
	// KeyID is of a JWT app, for the kid of its assertions.
	KeyID string `json:"key_id"`
	// PrivateKey is of a JWT app, in PEM. Empty if the configuration has only its public key.
	PrivateKey string `json:"private_key"`
	// RedirectURIs are of web and PKCE apps. One that ends with :*/* is any port and path of its host.
	RedirectURIs []string `json:"redirect_uris"`
}

type info struct {
	Apps   []MockApp `json:"apps"`
	Tokens []struct{ Kind, Value string }
}

// Apps returns the apps, in the order of the configuration.
func (w *MockWorld) Apps() []MockApp {
	w.test.Helper()
	var told info
	w.Control("GET", "/info", nil, &told)
	return told.Apps
}

// App returns the first app of a kind: web, pkce, device, jwt or workload.
func (w *MockWorld) App(kind string) MockApp {
	w.test.Helper()
	var kinds []string
	for _, app := range w.Apps() {
		if app.Kind == kind {
			return app
		}
		kinds = append(kinds, app.Kind)
	}
	slices.Sort(kinds)
	w.test.Fatalf("cozeauthmock: the configuration has no app of the kind %s; it has %s", kind, strings.Join(slices.Compact(kinds), ", "))
	return MockApp{}
}

// ConsoleToken returns the first token of the console of a kind: pat or sat.
func (w *MockWorld) ConsoleToken(kind string) string {
	w.test.Helper()
	var told info
	w.Control("GET", "/info", nil, &told)
	for _, token := range told.Tokens {
		if token.Kind == kind {
			return token.Value
		}
	}
	w.test.Fatalf("cozeauthmock: the configuration has no token of the kind %s", kind)
	return ""
}

// Variables returns the environment of a client, by the names that Coze's samples read: COZE_API_BASE, COZE_WEB_OAUTH_CLIENT_ID …
func (w *MockWorld) Variables() map[string]string {
	w.test.Helper()
	var named struct{ Variables map[string]string }
	w.Control("GET", "/variables", nil, &named)
	return named.Variables
}

// Decision is what a person decides on the consent page.
type Decision struct {
	Deny bool
	// User decides if it is not the first one.
	User string
}

// Authorize approves as the signed-in user on the consent page of an authorize URL, and returns the redirect that the browser would
// follow. The test fails if the mock refuses the authorize request.
func (w *MockWorld) Authorize(authorizeURL string) *url.URL {
	w.test.Helper()
	redirect, err := w.Decide(authorizeURL, Decision{})
	if err != nil {
		w.test.Fatalf("cozeauthmock: %v", err)
	}
	return redirect
}

// Decide decides on the consent page of an authorize URL, and returns the redirect that the browser would follow. The error is an
// *AuthorizeError if the mock refuses the authorize request.
func (w *MockWorld) Decide(authorizeURL string, decision Decision) (*url.URL, error) {
	body := map[string]any{"url": authorizeURL, "action": "approve"}
	if decision.Deny {
		body["action"] = "deny"
	}
	if decision.User != "" {
		body["user"] = decision.User
	}
	var answer struct{ Redirect string }
	err := send(w.BaseURL, "POST", "/authorize", body, &answer)
	if refused := new(ControlError); errors.As(err, &refused) {
		var told struct {
			Explanation
			Error string
		}
		if json.Unmarshal(refused.answer, &told) == nil && told.Rule != "" {
			return nil, &AuthorizeError{refused.Status, told.Error, told.Explanation}
		}
		return nil, refused
	}
	return url.Parse(answer.Redirect)
}

// DecideDevice decides about a device code, as a user on the device page: approve, deny or expire.
func (w *MockWorld) DecideDevice(userCode, action string) {
	w.test.Helper()
	w.Control("POST", "/device/"+url.PathEscape(userCode), map[string]string{"action": action}, nil)
}

// Revoke revokes an access token, refresh token, PAT or SAT. It returns false if the token is unknown.
func (w *MockWorld) Revoke(token string) bool {
	w.test.Helper()
	return w.known("POST", "/tokens/revoke", map[string]string{"token": token}, nil)
}

// RemoveKey removes a key of a JWT app. Its assertions are refused from then on.
func (w *MockWorld) RemoveKey(clientID, kid string) {
	w.test.Helper()
	w.Control("DELETE", "/apps/"+url.PathEscape(clientID)+"/keys/"+url.PathEscape(kid), nil, nil)
}

// AddAPI adds an API call of your own, which is answered with this JSON if its token is good. A segment {name} of the path stands
// for any one segment.
func (w *MockWorld) AddAPI(method, path string, answer any) {
	w.test.Helper()
	w.Control("POST", "/api", map[string]any{"method": method, "path": path, "json": answer}, nil)
}

// --- the clock ---

// Clock is the clock of a world.
type Clock struct{ world *MockWorld }

// Clock returns the world's clock.
func (w *MockWorld) Clock() Clock { return Clock{w} }

// Now returns the time, in UTC.
func (c Clock) Now() time.Time {
	c.world.test.Helper()
	var told struct {
		NowMS int64 `json:"now_ms"`
	}
	c.world.Control("GET", "/clock", nil, &told)
	return time.UnixMilli(told.NowMS).UTC()
}

// Advance advances the clock, and does not wait.
func (c Clock) Advance(by time.Duration) {
	c.world.test.Helper()
	c.change("advance_ms", by.Milliseconds())
}

// Set sets the clock to a time.
func (c Clock) Set(to time.Time) {
	c.world.test.Helper()
	c.change("set_ms", to.UnixMilli())
}

// Freeze stops the clock: it stands until it is moved.
func (c Clock) Freeze() {
	c.world.test.Helper()
	c.change("mode", "frozen")
}

func (c Clock) change(name string, value any) {
	c.world.test.Helper()
	c.world.Control("POST", "/clock", map[string]any{name: value}, nil)
}

// Client returns an HTTP client that sets the world's clock to time.Now() before each request. It is for a test in a bubble of
// testing/synctest: client and mock read one clock there, a pause of the client moves it, and nobody waits.
func (c Clock) Client() *http.Client {
	return &http.Client{
		Transport: roundTripper(func(request *http.Request) (*http.Response, error) {
			for _, body := range []any{map[string]string{"mode": "frozen"}, map[string]int64{"set_ms": time.Now().UnixMilli()}} {
				if err := send(c.world.BaseURL, "POST", "/clock", body, nil); err != nil {
					return nil, err
				}
			}
			return transport.RoundTrip(request)
		}),
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (r roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return r(request) }

// --- what goes wrong ---

// On selects requests to the data plane: what a gate, a fault or a script acts on. An empty member is any, but the
// mock asks for an endpoint.
type On struct {
	// Endpoint is authorize, token, device_code, workload_token, integration, project_env, users_me, workspaces, api or unknown.
	Endpoint string `json:"endpoint,omitempty"`
	// Grant is authorization_code, refresh_token, device_code, jwt_bearer, client_credentials or token_exchange.
	Grant string `json:"grant,omitempty"`
	// ClientID is the client id that a request claims (for the JWT grant: its issuer).
	ClientID string `json:"client_id,omitempty"`
	// Path is the path of a request, character for character, without its query.
	Path string `json:"path,omitempty"`
}

// OnToken selects all requests to the token endpoint.
func OnToken() On { return On{Endpoint: "token"} }

// OnGrant selects the requests to a token endpoint of one grant type: authorization_code, refresh_token, device_code or jwt_bearer,
// or of a workload client_credentials or token_exchange.
func OnGrant(name string) On {
	if name == "client_credentials" || name == "token_exchange" {
		return On{Endpoint: "workload_token", Grant: name}
	}
	return On{Endpoint: "token", Grant: name}
}

// OnEndpoint selects the requests to one endpoint.
func OnEndpoint(name string) On { return On{Endpoint: name} }

// RequestFilter selects entries of the journal. An empty member is any.
type RequestFilter struct {
	On
	// Status is the HTTP status of the answer.
	Status int `json:"status,omitempty"`
	// Error is the error code of the answer.
	Error string `json:"error,omitempty"`
	// Rule is the rule that refused the request.
	Rule string `json:"rule,omitempty"`
	// Fault is the kind of the fault that acted on the request.
	Fault string `json:"fault,omitempty"`
}

// Requests is an On or a RequestFilter.
type Requests interface{ filter() RequestFilter }

func (o On) filter() RequestFilter            { return RequestFilter{On: o} }
func (f RequestFilter) filter() RequestFilter { return f }

// Fault is what goes wrong with a request. The README of the mock has all kinds, and what a client sees.
type Fault struct {
	// Kind is status, delay, hold, reset, close_before_body, truncate, garbage, slow_drip, redirect, wrong_content_type, empty_200,
	// dup_header, member, consent_policy, callback_307 or callback_twice.
	Kind string `json:"kind"`
	// Status is of the kinds status and redirect.
	Status int `json:"status,omitempty"`
	// Body takes the place of the fault's own, or of the answer's.
	Body string `json:"body,omitempty"`
	// Header has headers of the answer.
	Header map[string]string `json:"header,omitempty"`
	// Milliseconds is of the kinds delay and slow_drip.
	Milliseconds int64 `json:"ms,omitempty"`
	// AtByte is of the kind truncate.
	AtByte int `json:"at_byte,omitempty"`
	// Location is of the kind redirect.
	Location string `json:"location,omitempty"`
	// Member is of the kind member: the name of the member of a good answer that is changed.
	Member string `json:"member,omitempty"`
	// To is what becomes of the member: absent, null, string, float, milliseconds, too_large or other_type.
	To string `json:"to,omitempty"`
	// Value is what the member becomes if it is not To: any JSON.
	Value any `json:"value,omitempty"`

	// At is request, before the mock has acted, or answer, after it has. Empty is what the kind has.
	At string `json:"-"`
	// Times is the maximum number of requests on which the fault acts. 0 is all.
	Times int `json:"-"`
	// Skip is the number of requests that pass before the fault acts.
	Skip int `json:"-"`
	// Probability is the share of the requests on which the fault acts; the seed decides. 0 is all.
	Probability float64 `json:"-"`
}

type placed struct {
	On          *On     `json:"on,omitempty"`
	Fault       Fault   `json:"fault"`
	At          string  `json:"at,omitempty"`
	Times       int     `json:"times,omitempty"`
	Skip        int     `json:"skip,omitempty"`
	Probability float64 `json:"probability,omitempty"`
}

// FaultHandle is a fault in a world. It ends with the world, or with Remove.
type FaultHandle struct {
	// ID is the mock's.
	ID    string
	world *MockWorld
}

// Fault applies a fault to the requests that on selects. If several faults match a request, only the first that acts applies.
func (w *MockWorld) Fault(on On, fault Fault) FaultHandle {
	w.test.Helper()
	var made struct{ ID string }
	w.Control("POST", "/faults", placed{&on, fault, fault.At, fault.Times, fault.Skip, fault.Probability}, &made)
	return FaultHandle{made.ID, w}
}

// Fired returns the number of requests on which the fault acted. 0 if it was removed.
func (h FaultHandle) Fired() int {
	h.world.test.Helper()
	var told struct {
		Faults []struct {
			ID    string
			Fired int
		}
	}
	h.world.Control("GET", "/faults", nil, &told)
	for _, one := range told.Faults {
		if one.ID == h.ID {
			return one.Fired
		}
	}
	return 0
}

// Remove removes the fault, and releases the requests that it holds or delays.
func (h FaultHandle) Remove() {
	h.world.test.Helper()
	h.world.known("DELETE", "/faults/"+h.ID, nil, nil)
}

// ScriptStep is the answer to one request: with an error code in Coze's shape, with a fault, or, if it is empty, as without the
// script.
type ScriptStep struct {
	// Error is a code such as invalid_grant, or one of digits for a resource error.
	Error string
	// Status of the error; 0 is that of the first rule with this code, else 400.
	Status int
	// Fault applies whatever its Times, Skip and Probability are.
	Fault *Fault
}

// MarshalJSON writes the step as the control plane takes it.
func (s ScriptStep) MarshalJSON() ([]byte, error) {
	switch {
	case s.Fault != nil:
		return json.Marshal(placed{Fault: *s.Fault, At: s.Fault.At})
	case s.Error != "" && s.Status != 0:
		return json.Marshal(map[string]any{"error": s.Error, "status": s.Status})
	case s.Error != "":
		return json.Marshal(map[string]any{"error": s.Error})
	}
	return json.Marshal(map[string]any{"pass": true})
}

// Script answers the next requests that on selects by the steps, in order. It acts before faults. After the last step requests pass.
func (w *MockWorld) Script(on On, steps ...ScriptStep) {
	w.test.Helper()
	w.Control("POST", "/script", map[string]any{"on": on, "then": steps, "after": "pass"}, nil)
}

// Gate holds requests to the data plane.
type Gate struct {
	world *MockWorld
	path  string
}

// Gate holds the requests that on selects before the mock looks at them, until it is opened or the world ends.
func (w *MockWorld) Gate(name string, on On) Gate {
	w.test.Helper()
	gate := Gate{w, "/gates/" + url.PathEscape(name)}
	w.Control("POST", gate.path, map[string]any{"on": on, "at": "request"}, nil)
	return gate
}

// Arrived waits until at least n requests have arrived at the gate. It returns false if that did not happen within ten seconds.
func (g Gate) Arrived(n int) bool {
	g.world.test.Helper()
	var told struct{ Reached bool }
	g.world.Control("GET", fmt.Sprintf("%s?arrived=%d", g.path, n), nil, &told)
	return told.Reached
}

// Open releases all requests and removes the gate.
func (g Gate) Open() {
	g.world.test.Helper()
	g.world.known("DELETE", g.path, nil, nil)
}

// --- the journal ---

// JournalEntry is one request to the data plane. Codes, tokens, secrets, verifiers, assertions and states are masked.
type JournalEntry struct {
	// Seq is the number of the request, counted from 1.
	Seq int `json:"seq"`
	// AtMS is Unix time by the mock's clock, in milliseconds.
	AtMS     int64  `json:"at_ms"`
	Endpoint string `json:"endpoint"`
	Method   string `json:"method"`
	// Path is path and query, redacted.
	Path string `json:"path"`
	// Headers are redacted, with their names in lower case.
	Headers map[string]string `json:"headers"`
	// JSON has the members of a JSON body, redacted.
	JSON map[string]any `json:"json"`
	// JWT is the assertion of a JWT grant, decoded. nil of another request.
	JWT *struct {
		Header  map[string]any `json:"header"`
		Payload map[string]any `json:"payload"`
	} `json:"jwt"`
	// Client is the client id (for the JWT grant: the issuer).
	Client string `json:"client"`
	Grant  string `json:"grant"`
	// Presented is the fingerprint of the presented token or code.
	Presented string `json:"presented"`
	// Leaks are the secrets that the request had where they do not belong.
	Leaks   []Leak  `json:"leaks"`
	Outcome Outcome `json:"outcome"`
	// Fault is the kind of the fault that acted on the request.
	Fault string `json:"fault"`
}

// Outcome is how a request was answered.
type Outcome struct {
	// Status is the HTTP status that was sent; 0 if a fault sent none.
	Status int `json:"status"`
	// Error is the error code in the body of a refusal.
	Error string `json:"error"`
	// Rule is the rule that refused the request.
	Rule string `json:"rule"`
	// LogID is the X-Tt-Logid of the answer.
	LogID string `json:"logid"`
}

// Leak is a secret where it does not belong. Its text is nowhere.
type Leak struct {
	// Kind is such as refresh_token or client_secret.
	Kind string `json:"kind"`
	// Place is such as query or header.
	Place string `json:"place"`
	// LogID is that of the request.
	LogID string `json:"logid"`
}

// String returns one line, as a mock in a Rust test prints it when its test fails.
func (e JournalEntry) String() string {
	words := []string{fmt.Sprint(e.Seq), e.Method, e.Endpoint, e.Grant, fmt.Sprint(e.Outcome.Status), e.Outcome.Error}
	rule := "-"
	if e.Outcome.Rule != "" {
		rule = e.Outcome.Rule
	}
	words = append(words, "rule="+rule, "logid="+e.Outcome.LogID)
	if e.Fault != "" {
		words = append(words, "fault="+e.Fault)
	}
	for _, leak := range e.Leaks {
		words = append(words, "leak="+leak.Kind+"@"+leak.Place)
	}
	return strings.Join(slices.DeleteFunc(words, func(word string) bool { return word == "" }), " ")
}

func (w *MockWorld) requests(requests Requests, limit int) ([]JournalEntry, error) {
	query := url.Values{}
	var members map[string]any
	text, _ := json.Marshal(requests.filter())
	_ = json.Unmarshal(text, &members)
	for name, value := range members {
		query.Set(name, fmt.Sprint(value))
	}
	if limit > 0 {
		query.Set("limit", fmt.Sprint(limit))
	}
	var found struct{ Requests []JournalEntry }
	err := send(w.BaseURL, "GET", "/requests?"+query.Encode(), nil, &found)
	return found.Requests, err
}

// Requests returns the requests to the data plane that match, oldest first. RequestFilter{} matches all.
func (w *MockWorld) Requests(requests Requests) []JournalEntry {
	w.test.Helper()
	found, err := w.requests(requests, 0)
	if err != nil {
		w.test.Fatalf("cozeauthmock: %v", err)
	}
	return found
}

// Leaks returns the secrets that requests had where they do not belong, oldest first.
func (w *MockWorld) Leaks() []Leak {
	w.test.Helper()
	var found struct{ Leaks []Leak }
	w.Control("GET", "/leaks", nil, &found)
	return found.Leaks
}

// Explanation is the explanation of an answer.
type Explanation struct {
	LogID string `json:"logid"`
	// Rule is the rule that refused the request; empty for a success.
	Rule string `json:"rule"`
	// Text is the text of the rule, or what succeeded.
	Text string `json:"text"`
	// Evidence is how sure we are that Coze has this rule: documented, sdk, report or guess.
	Evidence string `json:"evidence"`
	// Expected is what the rule requires.
	Expected string `json:"expected"`
	// Actual is what the request had instead, without any secret.
	Actual string `json:"actual"`
	// Fix is how to fix the client.
	Fix string `json:"fix"`
}

func (e Explanation) String() string {
	text := e.Text
	if e.Expected != "" && e.Actual != "" {
		text += fmt.Sprintf(" Expected %s; actual %s.", e.Expected, e.Actual)
	}
	return strings.TrimSpace(text + " " + e.Fix)
}

// Explain explains the answer with this X-Tt-Logid. It returns nil if no journal of the mock has it.
func (w *MockWorld) Explain(logID string) *Explanation {
	w.test.Helper()
	var told Explanation
	if !w.known("GET", "/explain/"+url.PathEscape(logID), nil, &told) {
		return nil
	}
	return &told
}

// Report is what the output of a failed test shows: the last 50 requests, one a line, and why the last 5 of the refused ones were
// refused.
func (w *MockWorld) Report() string {
	entries, err := w.requests(RequestFilter{}, 50)
	if err != nil {
		return err.Error()
	}
	if len(entries) == 0 {
		return "no requests to " + w.BaseURL
	}
	lines := []string{fmt.Sprintf("the last %d of %d requests to %s:", len(entries), entries[len(entries)-1].Seq, w.BaseURL)}
	explained := 0
	for i := len(entries) - 1; i >= 0; i-- {
		if entry := entries[i]; entry.Outcome.Rule != "" && explained < 5 {
			explained++
			var why Explanation
			if send(w.BaseURL, "GET", "/explain/"+url.PathEscape(entry.Outcome.LogID), nil, &why) == nil {
				lines = slices.Insert(lines, 1, "      rule: "+why.String())
			}
		}
		lines = slices.Insert(lines, 1, "  "+entries[i].String())
	}
	return strings.Join(lines, "\n")
}

// Expect is one expectation about the requests of a world.
type Expect struct{ body any }

// MarshalJSON writes the expectation as the control plane takes it.
func (e Expect) MarshalJSON() ([]byte, error) { return json.Marshal(e.body) }

func count(requests Requests, how string, n int) Expect {
	return Expect{struct {
		RequestFilter
		Count map[string]int `json:"count"`
	}{requests.filter(), map[string]int{how: n}}}
}

// Exactly expects exactly n matching requests.
func Exactly(n int, requests Requests) Expect { return count(requests, "eq", n) }

// AtLeast expects at least n matching requests.
func AtLeast(n int, requests Requests) Expect { return count(requests, "at_least", n) }

// AtMost expects at most n matching requests.
func AtMost(n int, requests Requests) Expect { return count(requests, "at_most", n) }

// Order expects matching requests in this order, with any others in between.
func Order(requests ...Requests) Expect {
	filters := []RequestFilter{}
	for _, one := range requests {
		filters = append(filters, one.filter())
	}
	return Expect{map[string]any{"order": filters}}
}

// Gaps expects two or more matching requests, each at least this long after the one before, by the mock's clock.
func Gaps(least time.Duration, requests Requests) Expect {
	return Expect{map[string]any{"gaps_ms": struct {
		RequestFilter
		Min int64 `json:"min"`
	}{requests.filter(), least.Milliseconds()}}}
}

// Verify compares the journal with expectations. The test fails with each unmet one: how many requests matched, and which other request
// was nearest.
func (w *MockWorld) Verify(expected ...Expect) {
	w.test.Helper()
	var answer struct {
		OK       bool
		Failures []struct {
			Index int
			Why   string
		}
	}
	w.Control("POST", "/verify", map[string]any{"expect": expected}, &answer)
	var lines []string
	for _, one := range answer.Failures {
		lines = append(lines, fmt.Sprintf("expectation %d: %s", one.Index, one.Why))
	}
	if !answer.OK {
		w.test.Fatalf("%s", strings.Join(lines, "\n"))
	}
}
