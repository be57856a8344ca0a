// A case against a world of the mock that nobody else uses: act, and account for every journal entry.
package judge

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	_ "embed"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

const callback = "https://app.example/callback" // allowed by the ready-made web and PKCE apps

type testCase struct {
	name string
	body func(*Mock)
}

// mismatch is what a case panics with: what was expected, and what came.
type mismatch string

func fail(format string, values ...any) {
	panic(mismatch(fmt.Sprintf(format, values...)))
}

func expect(what string, expected, came any) {
	if !reflect.DeepEqual(expected, came) {
		fail("%s: expected %#v, came %#v", what, expected, came)
	}
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

//go:embed go.mod
var requirements string

// version is the one in which this program is built with a module.
func version(module string) string {
	_, rest, found := strings.Cut(requirements, module+" ")
	if !found {
		panic("go.mod does not have " + module)
	}
	return strings.Fields(rest)[0]
}

// --- the mock and its worlds ---

type App struct {
	Kind         string `json:"kind"`
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret"`
	KeyID        string `json:"key_id"`
	PrivateKey   string `json:"private_key"`
}

// Info is what run.py says on standard input.
type Info struct {
	Base   string `json:"base_url"`
	Apps   []App  `json:"apps"`
	Tokens []struct {
		Kind  string `json:"kind"`
		Value string `json:"value"`
	} `json:"tokens"`
	Worlds []struct {
		Name   string `json:"name"`
		Config string `json:"config"`
	} `json:"worlds"`
}

// Mock is a world of the mock as a case sees it: the control plane and the journal.
type Mock struct {
	controls string
	base     string
	browser  string
	host     string
	apps     map[string]App
	tokens   map[string]string
	lookedAt float64
	test     *testing.T
}

// stay follows no redirects.
var stay = &http.Client{
	Timeout:       30 * time.Second,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

func control(base, method, path string, body any) map[string]any {
	var data io.Reader
	if body != nil {
		data = bytes.NewReader(must(json.Marshal(body)))
	}
	request := must(http.NewRequest(method, base+"/_mock/v1"+path, data))
	request.Header.Set("content-type", "application/json")
	reply := must(stay.Do(request))
	defer reply.Body.Close()
	text := must(io.ReadAll(reply.Body))
	if reply.StatusCode >= 300 {
		fail("control plane: %s %s answered %d: %s", method, path, reply.StatusCode, text)
	}
	answer := map[string]any{}
	if len(bytes.TrimSpace(text)) > 0 {
		must(answer, json.Unmarshal(text, &answer))
	}
	return answer
}

func newMock(test *testing.T, info *Info, made map[string]any) *Mock {
	controls := made["base_url"].(string)
	// With a shadow in between, the SDK and the browser have bases of their own.
	base := cmp.Or(text(made["port_url"]), controls)
	browser := cmp.Or(text(made["browser_url"]), base)
	mock := &Mock{test: test, controls: controls, base: base, browser: browser, apps: map[string]App{}, tokens: map[string]string{}}
	mock.host = must(url.Parse(base)).Host
	for _, app := range info.Apps {
		kind := app.Kind
		if _, known := mock.apps[kind]; known {
			kind = "other_" + kind
		}
		mock.apps[kind] = app
	}
	for _, token := range info.Tokens {
		mock.tokens[token.Kind] = token.Value
	}
	return mock
}

func (m *Mock) control(method, path string, body any) map[string]any {
	return control(m.controls, method, path, body)
}

// configFile is what Coze's console gives for this app as `coze_oauth_config.json` (protocol §9).
func (m *Mock) configFile(kind string) []byte {
	app := m.apps[kind]
	config := map[string]string{
		"client_type": kind, "client_id": app.ClientID, "coze_api_base": m.base, "coze_www_base": m.base,
	}
	if kind == "web" {
		config["client_secret"] = app.ClientSecret
	}
	if kind == "jwt" {
		config["private_key"], config["public_key_id"] = app.PrivateKey, app.KeyID
	}
	return must(json.Marshal(config))
}

func (m *Mock) advance(seconds float64) {
	m.control("POST", "/clock", map[string]any{"advance_ms": int64(seconds * 1000)})
}

// setBack lets the mock live so many seconds behind the SDK.
func (m *Mock) setBack(seconds int64) {
	m.control("POST", "/clock", map[string]any{"set_ms": (m.now() - seconds) * 1000})
}

// now is in whole Unix seconds.
func (m *Mock) now() int64 {
	return int64(m.control("GET", "/clock", nil)["now_ms"].(float64)) / 1000
}

// user is what the person with the user code does on the device page.
func (m *Mock) user(userCode, action string) {
	m.control("POST", "/device/"+userCode, map[string]any{"action": action})
}

func (m *Mock) revoke(token string) {
	m.control("POST", "/tokens/revoke", map[string]any{"token": token})
}

// answerConsent is the browser leg; it gives the query of the redirect back to the app.
func (m *Mock) answerConsent(authorize, action string) url.Values {
	answer := m.control("POST", "/authorize", map[string]any{"url": authorize, "action": action})
	redirect, query, _ := strings.Cut(answer["redirect"].(string), "?")
	expect("redirect target", callback, redirect)
	return must(url.ParseQuery(query))
}

func (m *Mock) approve(authorize, state string) string {
	answer := m.answerConsent(authorize, "approve")
	expect("callback state", state, answer.Get("state"))
	m.saw("authorize", want{status: 302})
	return answer.Get("code")
}

// openAsBrowser gives the status, the log id, and where the browser would be sent.
func (m *Mock) openAsBrowser(address string) (int, string, string) {
	reply := must(stay.Get(strings.Replace(address, m.base, m.browser, 1)))
	reply.Body.Close()
	return reply.StatusCode, reply.Header.Get("x-tt-logid"), reply.Header.Get("location")
}

// --- the journal ---

type entry map[string]any

// want is what an entry has to be: status 200 unless it says otherwise, no error and no rule; what is empty below those counts not.
type want struct {
	status      int
	error, rule string
	logid       string
	client      string
	grant       string
	path        string
}

// newEntries are those that no case has looked at yet, oldest first.
func (m *Mock) newEntries() []entry {
	fresh := []entry{}
	for _, one := range m.control("GET", "/requests", nil)["requests"].([]any) {
		if one := entry(one.(map[string]any)); one["seq"].(float64) > m.lookedAt {
			fresh = append(fresh, one)
		}
	}
	slices.SortFunc(fresh, func(a, b entry) int { return int(a["seq"].(float64) - b["seq"].(float64)) })
	if len(fresh) > 0 {
		m.lookedAt = fresh[len(fresh)-1]["seq"].(float64)
	}
	return fresh
}

// saw finds exactly one new entry, and it is this one. It gives the entry back.
func (m *Mock) saw(endpoint string, wanted want) entry {
	fresh := m.newEntries()
	expect("number of new journal entries", 1, len(fresh))
	check(fresh[0], endpoint, wanted)
	return fresh[0]
}

// succeeded gives the endpoints of the new entries, each of a call that succeeded.
func (m *Mock) succeeded() (endpoints []string) {
	for _, one := range m.newEntries() {
		endpoint := one["endpoint"].(string)
		check(one, endpoint, want{})
		endpoints = append(endpoints, endpoint)
	}
	return endpoints
}

func text(value any) string {
	text, _ := value.(string)
	return text
}

func check(one entry, endpoint string, wanted want) {
	outcome := one["outcome"].(map[string]any)
	if wanted.status == 0 {
		wanted.status = 200
	}
	expect(
		"journal (endpoint, status, error, rule)",
		[]any{endpoint, wanted.status, wanted.error, wanted.rule},
		[]any{one["endpoint"], int(outcome["status"].(float64)), text(outcome["error"]), text(outcome["rule"])},
	)
	path, _, _ := strings.Cut(text(one["path"]), "?")
	for _, pair := range [][3]string{
		{"log id of the SDK against the journal's", wanted.logid, text(outcome["logid"])},
		{"journal client", wanted.client, text(one["client"])},
		{"journal grant", wanted.grant, text(one["grant"])},
		{"journal path", wanted.path, path},
	} {
		if pair[1] != "" {
			expect(pair[0], pair[1], pair[2])
		}
	}
}

// explained: the log id that the SDK shows leads a person to the rule.
func (m *Mock) explained(logid, rule string) {
	if logid == "" {
		fail("the SDK shows no log id")
	}
	expect("rule that /explain names", rule, text(m.control("GET", "/explain/"+logid, nil)["rule"]))
}

// payload is a claim of the assertion, as the journal has it.
func (e entry) payload(claim string) any {
	return e["jwt"].(map[string]any)["payload"].(map[string]any)[claim]
}

// plain is a value as JSON has it, to compare it with what the journal shows.
func plain(value any) (plain any) {
	must(plain, json.Unmarshal(must(json.Marshal(value)), &plain))
	return plain
}

// otherKey is a private key that no app has.
var otherKey = sync.OnceValue(func() string {
	key := must(rsa.GenerateKey(rand.Reader, 2048))
	block := &pem.Block{Type: "PRIVATE KEY", Bytes: must(x509.MarshalPKCS8PrivateKey(key))}
	return string(pem.EncodeToMemory(block))
})

// --- the SDK's time ---

type answered struct {
	reply *http.Response
	err   error
}

type asking struct {
	request *http.Request
	now     time.Time
}

// sdkTime is the HTTP client of an SDK in a bubble of virtual time (testing/synctest). Requests are made outside of
// it, since a bubble's time stands still while a connection of its own is open. What the SDK slept
// before a request moves the mock's clock first.
type sdkTime struct {
	mock         *Mock
	sleeps       []float64
	duringSleep  func(number int)
	mockAdvances func(seconds float64) float64
	clock        time.Time
	asks         chan asking
	answers      chan answered
}

func newSdkTime(mock *Mock) *sdkTime {
	same := func(seconds float64) float64 { return seconds }
	return &sdkTime{
		mock: mock, duringSleep: func(int) {}, mockAdvances: same,
		asks: make(chan asking), answers: make(chan answered),
	}
}

// Do is called in the bubble.
func (t *sdkTime) Do(request *http.Request) (*http.Response, error) {
	t.asks <- asking{request, time.Now()}
	came := <-t.answers
	return came.reply, came.err
}

// run calls the body in a bubble whose clock is the mock's.
func (t *sdkTime) run(body func()) {
	t.clock = time.UnixMilli(int64(t.mock.control("GET", "/clock", nil)["now_ms"].(float64)))
	go func() {
		for {
			one, more := <-t.asks
			if !more {
				return
			}
			t.answers <- t.outside(one)
		}
	}()
	defer close(t.asks)
	var wrong any
	synctest.Test(t.mock.test, func(*testing.T) {
		defer func() { wrong = recover() }()
		time.Sleep(time.Until(t.clock)) // a bubble begins in the year 2000
		body()
	})
	if wrong != nil {
		panic(wrong)
	}
}

// sleep lets time pass between two calls of the SDK.
func (t *sdkTime) sleep(seconds float64) { time.Sleep(time.Duration(seconds * float64(time.Second))) }

func (t *sdkTime) outside(one asking) (came answered) {
	defer func() {
		if wrong := recover(); wrong != nil {
			came = answered{nil, fmt.Errorf("%v", wrong)}
		}
	}()
	if slept := math.Round(one.now.Sub(t.clock).Seconds()); slept > 0 {
		t.clock = one.now
		t.sleeps = append(t.sleeps, slept)
		// The SDKs poll without an end of their own (protocol §11); a broken mock must not hang the run.
		if len(t.sleeps) > 100 {
			fail("polling never ended: more than 100 sleeps")
		}
		t.mock.advance(t.mockAdvances(slept))
		t.duringSleep(len(t.sleeps))
	}
	reply, err := http.DefaultClient.Do(one.request)
	if err != nil {
		return answered{nil, err}
	}
	defer reply.Body.Close()
	body, err := io.ReadAll(reply.Body)
	reply.Body = io.NopCloser(bytes.NewReader(body))
	return answered{reply, err}
}

// elsewhere is an HTTP client that finds another host at the mock.
type elsewhere struct{ host string }

func (e elsewhere) Do(request *http.Request) (*http.Response, error) {
	request.URL.Host, request.Host = e.host, e.host
	return http.DefaultClient.Do(request)
}

// --- the run ---

// judge runs all cases in each of the worlds on standard input: one line per case, then the closing line. It ends the program.
func judge(test *testing.T, cases []testCase, title string) {
	var info Info
	must(info, json.NewDecoder(os.Stdin).Decode(&info))
	failed := 0
	for _, world := range info.Worlds {
		red := 0
		for number, one := range cases {
			name := fmt.Sprintf("%s.%d", world.Name, number)
			if wrong := inWorld(test, &info, name, world.Config, one.body); wrong != nil {
				red++
				fmt.Println("FAIL", one.name, "—", strings.Join(strings.Fields(fmt.Sprint(wrong)), " "))
			} else {
				fmt.Println("ok  ", one.name)
			}
		}
		fmt.Printf("%s: %d passed, %d failed\n", title, len(cases)-red, red)
		failed += red
	}
	os.Exit(min(failed, 1))
}

// inWorld runs a case in a new world of the mock, whose clock stands still until it is told to move. It gives what went wrong.
func inWorld(test *testing.T, info *Info, name, config string, body func(*Mock)) (wrong any) {
	defer func() { wrong = recover() }() // a case may fail in any way; the run goes on
	made := control(info.Base, "POST", "/worlds", map[string]any{"name": name, "config": config})
	defer control(info.Base, "DELETE", "/worlds/"+name, nil)
	mock := newMock(test, info, made)
	body(mock)
	expect("journal entries that the case does not account for", []entry{}, mock.newEntries())
	return nil
}
