//go:build go1.25

// go.mod names an older Go, whose timers know no virtual time.
//
//go:debug asynctimerchan=0
package cozeauthmock_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"coze-auth.example/cozeauthmock"
)

const callback = "https://app.example/callback"

// Loopback never goes through a proxy, and no connection is left.
var direct = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// me calls the data plane with a token; returns the status and the log id.
func me(t testing.TB, client *http.Client, base, token string) (int, string) {
	t.Helper()
	request, err := http.NewRequest("GET", base+"/v1/users/me", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	reply, err := client.Do(request)
	if err != nil {
		return 0, ""
	}
	reply.Body.Close()
	return reply.StatusCode, reply.Header.Get("X-Tt-Logid")
}

func authorizeURL(world *cozeauthmock.MockWorld, redirect string) string {
	client := world.App("web").ClientID
	return world.BaseURL + "/api/permission/oauth2/authorize?response_type=code&state=s&client_id=" + client + "&redirect_uri=" + redirect
}

func equal[T comparable](t testing.TB, what string, expected, actual T) {
	t.Helper()
	if expected != actual {
		t.Fatalf("%s: expected %v, actual %v", what, expected, actual)
	}
}

func contains(t testing.TB, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Fatalf("%q is not in:\n%s", part, text)
		}
	}
}

// --- worlds ---

func TestEachTestHasAWorldOfItsOwn(t *testing.T) {
	var names sync.Map
	t.Run("all", func(t *testing.T) {
		for n := range 20 {
			t.Run(fmt.Sprint("n/", n), func(t *testing.T) {
				t.Parallel()
				world := cozeauthmock.NewWorld(t)
				token := world.ConsoleToken("pat")
				if _, twice := names.LoadOrStore(world.Name, n); twice {
					t.Fatal(world.Name, "is of two tests")
				}
				equal(t, "requests", 0, len(world.Requests(cozeauthmock.RequestFilter{})))
				equal(t, "the token is known", true, world.Revoke(token))
				status, _ := me(t, direct, world.BaseURL, token)
				equal(t, "status", 401, status)
			})
		}
	})
	first, own, _ := strings.Cut(cozeauthmock.NewWorld(t).BaseURL, "/t/")
	reply, err := direct.Get(first + "/_mock/v1/worlds")
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	text, _ := io.ReadAll(reply.Body)
	contains(t, string(text), `"name":"`+own+`"`)
	names.Range(func(name, _ any) bool {
		if strings.Contains(string(text), name.(string)) {
			t.Fatal(name, "is left after its test")
		}
		return true
	})
}

func TestAWorldIsNamedAfterItsTest(t *testing.T) {
	name := regexp.MustCompile(`^go-[A-Za-z0-9-]{0,32}-[0-9a-f]{8}(-2)?$`)
	for _, title := range []string{"a/b", "世界", strings.Repeat("é", 300), "::", "a b"} {
		t.Run(title, func(t *testing.T) {
			one, two := cozeauthmock.NewWorld(t), cozeauthmock.NewWorld(t)
			if !name.MatchString(one.Name) || two.Name != one.Name+"-2" {
				t.Fatal(one.Name, two.Name)
			}
			equal(t, "requests", 0, len(two.Requests(cozeauthmock.OnToken())))
		})
	}
}

func TestSettingsAreOfTheWorld(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	first := ""
	for range 2 {
		world := cozeauthmock.Settings{
			Config: "[[token]]\nkind = \"pat\"\nvalue = \"pat_mine\"\n[[user]]\nname = \"bob\"\n",
			Clock:  at, Seed: 7, Port: true,
		}.NewWorld(t)
		equal(t, "clock", at, world.Clock().Now())
		equal(t, "token", "pat_mine", world.ConsoleToken("pat"))
		status, _ := me(t, direct, world.PortURL, "pat_mine")
		equal(t, "status at the port", 200, status)
		code := world.Authorize(authorizeURL(world, callback)).Query().Get("code")
		if first == "" {
			first = code
		}
		equal(t, "code of the seed", first, code)
	}
}

func TestAppsTokensAndVariables(t *testing.T) {
	t.Parallel()
	world := cozeauthmock.NewWorld(t)
	equal(t, "apps", 5, len(world.Apps()))
	equal(t, "secret", "mock-web-secret", world.App("web").ClientSecret)
	contains(t, world.App("jwt").PrivateKey, "BEGIN PRIVATE KEY")
	equal(t, "base", world.BaseURL, world.Variables()["COZE_API_BASE"])
	equal(t, "revoked", false, world.Revoke("of-nobody"))
	world.AddAPI("GET", "/v1/bots/{bot_id}", map[string]int{"code": 0})
	world.RemoveKey(world.App("jwt").ClientID, world.App("jwt").KeyID)
	var keys struct{ Keys []any }
	world.Control("GET", "/apps/"+world.App("jwt").ClientID+"/keys", nil, &keys)
	equal(t, "keys", 0, len(keys.Keys))
	said := failing(t, func(fake testing.TB) { cozeauthmock.NewWorld(fake).App("wbe") })
	contains(t, said, "the configuration has no app of the kind wbe; it has device, jwt, pkce, web, workload")
}

func TestAPersonDecides(t *testing.T) {
	t.Parallel()
	world := cozeauthmock.NewWorld(t)
	denied, err := world.Decide(authorizeURL(world, callback), cozeauthmock.Decision{Deny: true})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "error", "access_denied", denied.Query().Get("error"))
	_, err = world.Decide(authorizeURL(world, "https://elsewhere.example"), cozeauthmock.Decision{})
	refused := new(cozeauthmock.AuthorizeError)
	if !errors.As(err, &refused) {
		t.Fatalf("%T: %v", err, err)
	}
	equal(t, "rule", "authorize.redirect_uri", refused.Explanation.Rule)
	contains(t, refused.Error(), refused.Code+": ", refused.Explanation.Fix)
	_, err = world.Decide(authorizeURL(world, callback), cozeauthmock.Decision{User: "nobody"})
	control := new(cozeauthmock.ControlError)
	if !errors.As(err, &control) || control.Status != 400 {
		t.Fatalf("%T: %v", err, err)
	}
}

// --- what goes wrong ---

func TestAFaultActsAsOftenAsItSays(t *testing.T) {
	t.Parallel()
	world := cozeauthmock.NewWorld(t)
	fault := world.Fault(cozeauthmock.OnEndpoint("users_me"), cozeauthmock.Fault{Kind: "status", Status: 503, Skip: 1, Times: 2})
	for n, expected := range []int{200, 503, 503, 200} {
		status, _ := me(t, direct, world.BaseURL, "pat_mock_alice")
		equal(t, fmt.Sprint("status of call ", n), expected, status)
	}
	equal(t, "fired", 2, fault.Fired())
	fault.Remove()
	equal(t, "fired after it was removed", 0, fault.Fired())
	reset := cozeauthmock.Fault{Kind: "reset", At: "answer", Times: 1}
	world.Fault(cozeauthmock.OnEndpoint("users_me"), reset)
	status, _ := me(t, direct, world.BaseURL, "pat_mock_alice")
	equal(t, "status of a connection that breaks", 0, status)
	broken := world.Requests(cozeauthmock.RequestFilter{Fault: "reset"})
	equal(t, "requests with the fault", 1, len(broken))
	equal(t, "status of it", 0, broken[0].Outcome.Status)
	world.Fault(cozeauthmock.On{Endpoint: "users_me", Path: "/v1/users/me"}, cozeauthmock.Fault{Kind: "member", Member: "data.user_name", Value: "bob"})
	world.Verify(cozeauthmock.Exactly(2, cozeauthmock.RequestFilter{On: cozeauthmock.OnEndpoint("users_me"), Status: 503}))
	said := failing(t, func(fake testing.TB) {
		cozeauthmock.NewWorld(fake).Fault(cozeauthmock.OnToken(), cozeauthmock.Fault{Kind: "rest"})
	})
	contains(t, said, "POST /faults: the mock answered 400: expected a fault: ")
}

func TestAScriptAnswersInOrder(t *testing.T) {
	t.Parallel()
	world := cozeauthmock.NewWorld(t)
	world.Script(cozeauthmock.OnEndpoint("users_me"),
		cozeauthmock.ScriptStep{Error: "4100"},
		cozeauthmock.ScriptStep{},
		cozeauthmock.ScriptStep{Error: "4013", Status: 429},
		cozeauthmock.ScriptStep{Fault: &cozeauthmock.Fault{Kind: "reset"}},
	)
	for n, expected := range []int{401, 200, 429, 0, 200} {
		status, _ := me(t, direct, world.BaseURL, "pat_mock_alice")
		equal(t, fmt.Sprint("status of call ", n), expected, status)
	}
}

func TestAGateHoldsRequests(t *testing.T) {
	t.Parallel()
	world := cozeauthmock.NewWorld(t)
	gate := world.Gate("g1", cozeauthmock.OnEndpoint("users_me"))
	answers := make(chan int)
	for range 3 {
		go func() {
			status, _ := me(t, direct, world.BaseURL, "pat_mock_alice")
			answers <- status
		}()
	}
	equal(t, "all have arrived", true, gate.Arrived(3))
	equal(t, "answered", 0, len(answers))
	gate.Open()
	for range 3 {
		equal(t, "status", 200, <-answers)
	}
}

func TestTheClockMoves(t *testing.T) {
	t.Parallel()
	world := cozeauthmock.NewWorld(t)
	clock := world.Clock()
	clock.Freeze()
	at := clock.Now()
	clock.Advance(90*time.Minute + 500*time.Millisecond)
	equal(t, "advanced", 90*time.Minute+500*time.Millisecond, clock.Now().Sub(at))
	clock.Set(time.Unix(1_700_000_000, 0))
	equal(t, "set", 1_700_000_000, clock.Now().Unix())
}

func TestABubbleAndTheMockReadOneClock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		world := cozeauthmock.NewWorld(t)
		client := world.Clock().Client()
		me(t, client, world.BaseURL, "pat_mock_alice")
		equal(t, "clock", time.Now().UnixMilli(), world.Clock().Now().UnixMilli())
		time.Sleep(24 * time.Hour)
		status, _ := me(t, client, world.BaseURL, "pat_mock_alice")
		equal(t, "status", 200, status)
		world.Verify(cozeauthmock.Gaps(24*time.Hour, cozeauthmock.OnEndpoint("users_me")))
	})
}

// --- the journal ---

func TestTheJournalTellsOfRequests(t *testing.T) {
	t.Parallel()
	world := cozeauthmock.NewWorld(t)
	status, logID := me(t, direct, world.BaseURL, "of-nobody")
	equal(t, "status", 401, status)
	entries := world.Requests(cozeauthmock.RequestFilter{On: cozeauthmock.OnEndpoint("users_me"), Status: 401})
	equal(t, "entries", 1, len(entries))
	entry := entries[0]
	equal(t, "log id", logID, entry.Outcome.LogID)
	equal(t, "path", "/v1/users/me", entry.Path)
	contains(t, entry.String(), "GET users_me 401 4100 rule=", "logid="+logID)
	why := world.Explain(logID)
	if why == nil || why.Rule != entry.Outcome.Rule || why.Fix == "" {
		t.Fatal(why)
	}
	if nothing := world.Explain("20260101000000MOCK00000000000009"); nothing != nil {
		t.Fatal(nothing)
	}
	secret := world.App("web").ClientSecret
	reply, err := direct.Get(world.BaseURL + "/v1/users/me?client_secret=" + secret)
	if err != nil {
		t.Fatal(err)
	}
	reply.Body.Close()
	leaks := world.Leaks()
	equal(t, "leaks", 1, len(leaks))
	equal(t, "kind", "client_secret", leaks[0].Kind)
	contains(t, world.Report(), "the last 2 of 2 requests to "+world.BaseURL+":\n  1 GET ", "\n      rule: "+why.String(), "leak=client_secret@query")
}

func TestExpectationsAreCompared(t *testing.T) {
	t.Parallel()
	said := failing(t, func(fake testing.TB) {
		world := cozeauthmock.NewWorld(fake)
		me(fake, direct, world.BaseURL, "of-nobody")
		me(fake, direct, world.BaseURL, "pat_mock_alice")
		all := cozeauthmock.OnEndpoint("users_me")
		world.Verify(
			cozeauthmock.Exactly(2, all), cozeauthmock.AtLeast(1, all), cozeauthmock.AtMost(2, all), cozeauthmock.Order(all, all),
			cozeauthmock.AtLeast(3, cozeauthmock.RequestFilter{On: all, Error: "4100"}),
			cozeauthmock.Exactly(0, cozeauthmock.RequestFilter{Rule: "refresh.rotate"}),
			cozeauthmock.AtMost(1, all),
			cozeauthmock.Order(cozeauthmock.OnToken(), all),
			cozeauthmock.Gaps(time.Hour, all),
		)
	})
	for n, met := range []bool{true, true, true, true, false, true, false, false, false} {
		equal(t, fmt.Sprintf("expectation %d is met", n), met, !strings.Contains(said, fmt.Sprintf("expectation %d: ", n)))
	}
	contains(t, said, "expected at least 3 of endpoint users_me, error 4100; 1 matched")
}

func TestTheOutputOfATestThatFailsHasTheJournal(t *testing.T) {
	t.Parallel()
	said := failing(t, func(fake testing.TB) {
		world := cozeauthmock.NewWorld(fake)
		// What a cleanup does before is told as well.
		fake.Cleanup(func() { me(fake, direct, world.BaseURL, "of-nobody") })
		fake.Fatalf("the reason")
	})
	contains(t, said, "the reason\n", "coze-auth-mock journal: the last 1 of 1 requests to http://127.0.0.1:", "  1 GET users_me 401 4100 rule=", "\n      rule: ")
	said = failing(t, func(fake testing.TB) { cozeauthmock.NewWorld(fake) })
	equal(t, "output of a test that passes", "", said)
}

// failing runs a body with a test that may fail, and returns what that test says.
func failing(t testing.TB, body func(testing.TB)) string {
	fake := &fakeTest{TB: t}
	done := make(chan bool)
	go func() {
		defer close(done)
		body(fake)
	}()
	<-done
	for n := len(fake.cleanups) - 1; n >= 0; n-- {
		fake.cleanups[n]()
	}
	return fake.said.String()
}

type fakeTest struct {
	testing.TB
	failed   bool
	said     strings.Builder
	cleanups []func()
}

func (f *fakeTest) Helper()             {}
func (f *fakeTest) Failed() bool        { return f.failed }
func (f *fakeTest) Cleanup(work func()) { f.cleanups = append(f.cleanups, work) }
func (f *fakeTest) Log(values ...any)   { fmt.Fprintln(&f.said, values...) }
func (f *fakeTest) Fatal(values ...any) { f.Log(values...); f.stop() }
func (f *fakeTest) Fatalf(format string, values ...any) {
	f.Log(fmt.Sprintf(format, values...))
	f.stop()
}

func (f *fakeTest) stop() {
	f.failed = true
	runtime.Goexit()
}

// --- the mock as a process ---

// TestChild is the body of a test binary that another test starts.
func TestChild(t *testing.T) {
	switch os.Getenv("CHILD") {
	case "":
	case "wait":
		fmt.Println("BASE", cozeauthmock.NewWorld(t).BaseURL)
		_, _ = bufio.NewReader(os.Stdin).ReadByte()
	case "exit":
		fmt.Println("BASE", cozeauthmock.NewWorld(t).BaseURL)
		os.Exit(3)
	case "panic":
		fmt.Println("BASE", cozeauthmock.NewWorld(t).BaseURL)
		panic("the reason")
	case "bubble":
		synctest.Test(t, func(t *testing.T) { fmt.Println("BASE", cozeauthmock.NewWorld(t).BaseURL) })
	}
}

// child starts this test binary once more.
func child(t *testing.T, what string, environment ...string) (*exec.Cmd, *bufio.Reader) {
	t.Helper()
	command := exec.Command(os.Args[0], "-test.run=^TestChild$", "-test.timeout=60s")
	command.Env = append(append(os.Environ(), "CHILD="+what), environment...)
	stdin, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	command.Stderr = command.Stdout
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		command.Process.Kill()
		command.Wait()
	})
	return command, bufio.NewReader(output)
}

func base(t *testing.T, output *bufio.Reader) string {
	t.Helper()
	line, _ := output.ReadString('\n')
	base, is := strings.CutPrefix(strings.TrimSpace(line), "BASE ")
	if !is {
		t.Fatal("the child says", line)
	}
	return base
}

// ended waits for the end of a mock, whose only sign is that nothing answers. The bound is a guard.
func ended(t *testing.T, base string) {
	t.Helper()
	for range 1000 {
		if status, _ := me(t, direct, base, "of-nobody"); status == 0 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the mock is left behind: ", base)
}

func TestTheMockEndsWithItsTestBinary(t *testing.T) {
	for _, how := range []string{"wait", "exit", "panic", "bubble"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			command, output := child(t, how)
			of := base(t, output)
			if how == "wait" {
				status, _ := me(t, direct, of, "of-nobody")
				equal(t, "status", 401, status)
				command.Process.Kill()
			}
			ended(t, of)
		})
	}
}

func TestTheMockEndsWithCtrlC(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("signals are POSIX's")
	}
	command, output := child(t, "wait")
	of := base(t, output)
	if err := command.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	ended(t, of)
}

func TestVariablesOfTheTestsDoNotReachTheMock(t *testing.T) {
	t.Parallel()
	_, output := child(t, "wait", "COZE_AUTH_MOCK_PUBLIC_URL=http://mock.example:1", "COZE_AUTH_MOCK_ADMIN_TOKEN=secret", "HTTP_PROXY=http://127.0.0.1:9")
	contains(t, base(t, output), "http://127.0.0.1:")
}

// program writes a script that is to be taken for the mock.
func program(t *testing.T, path ...string) string {
	t.Helper()
	text := path[len(path)-1]
	file := filepath.Join(path[:len(path)-1]...)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestWhatIsNotAMockIsToldByWhatItSaid(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the stand-ins are scripts of a shell")
	}
	folder := t.TempDir()
	for name, one := range map[string][2]string{
		"says":   {"#!/bin/sh\necho hello\necho 'no mock here' >&2\n", "says did not start: no mock here"},
		"prints": {"#!/bin/sh\necho '[]'\n", `prints did not start: it printed "[]\n"`},
		"binary": {"\x7fELF", "binary does not start: "},
	} {
		file := program(t, folder, name, one[0])
		_, output := child(t, "wait", "COZE_AUTH_MOCK_BIN="+file, "TMPDIR="+folder)
		said := ""
		for line, err := "", error(nil); err == nil; line, err = output.ReadString('\n') {
			said += line
		}
		contains(t, said, "--- FAIL: TestChild", one[1])
	}
	left, _ := filepath.Glob(filepath.Join(folder, "coze-auth-mock-*.log"))
	equal(t, "logs that are left: "+strings.Join(left, " "), 0, len(left))
}

func TestTheCommandIsFound(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the stand-ins are scripts of a shell")
	}
	folder, name := t.TempDir(), "coze-auth-mock"
	folder, err := filepath.EvalSymlinks(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, variable := range []string{"COZE_AUTH_MOCK_BIN", "VIRTUAL_ENV"} {
		t.Setenv(variable, "")
	}
	t.Setenv("HOME", filepath.Join(folder, "home"))
	t.Setenv("PATH", filepath.Join(folder, "path"))
	deep := filepath.Join(folder, "project", "package")
	if err := os.MkdirAll(deep, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Chdir(deep)
	_, err = cozeauthmock.FindBinary()
	if err == nil {
		t.Fatal("none is there")
	}
	contains(t, err.Error(), "install it with pip, npm or cargo, or name the program in the variable COZE_AUTH_MOCK_BIN")
	// As npm names it.
	platform := runtime.GOOS + "-" + strings.Replace(runtime.GOARCH, "amd64", "x64", 1)
	// From the last to the first that counts.
	for _, file := range [][]string{
		{"home", ".cargo", "bin", name}, {"home", ".local", "bin", name}, {"path", name}, {"active", "bin", name},
		{"project", "venv", "bin", name}, {"project", ".venv", "bin", name}, {"project", "node_modules", ".bin", name},
		{"project", "node_modules", "coze-auth-mock-" + platform, "bin", name},
		{"project", "package", ".venv", "bin", name}, {"named", name},
	} {
		there := program(t, append([]string{folder}, append(file, "#!/bin/sh\n")...)...)
		switch file[0] {
		case "active":
			t.Setenv("VIRTUAL_ENV", filepath.Join(folder, "active"))
		case "named":
			t.Setenv("COZE_AUTH_MOCK_BIN", there)
		}
		found, err := cozeauthmock.FindBinary()
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "the command", there, found)
	}
	t.Setenv("COZE_AUTH_MOCK_BIN", filepath.Join(folder, "gone"))
	_, err = cozeauthmock.FindBinary()
	contains(t, fmt.Sprint(err), "gone, which is not a program: correct it, or unset it")
}
