// Coze Loop's client for Go judges the JWT grant: `run.py` starts it, and says on standard input what the mock and its worlds are.
// Every token is proved with the client's own `GetPrompt`, which the mock answers as `mock.toml` says.

// go.mod names an older Go, whose timers know no virtual time.
// The client makes its jti of math/rand, which has to begin anew for two assertions with one jti.
//
//go:debug asynctimerchan=0
//go:debug randseednop=0
package judge

import (
	"context"
	"errors"
	"fmt"
	"math/rand"
	"strings"
	"testing"

	"github.com/coze-dev/cozeloop-go"
)

const (
	accessSeconds = 15 * 60 // protocol §3.4
	prompts       = "/v1/loop/prompts/mget"
)

// A test only since virtual time is for tests.
func TestCozeloopGo(test *testing.T) {
	judge(test, cases, "cozeloop-go "+version("github.com/coze-dev/cozeloop-go"))
}

// --- steps ---

func client(m *Mock, options ...cozeloop.Option) cozeloop.Client {
	app := m.apps["jwt"]
	given := []cozeloop.Option{
		cozeloop.WithAPIBaseURL(m.base),
		cozeloop.WithWorkspaceID("ws_a"),
		cozeloop.WithJWTOAuthClientID(app.ClientID),
		cozeloop.WithJWTOAuthPrivateKey(app.PrivateKey),
		cozeloop.WithJWTOAuthPublicKeyID(app.KeyID),
	}
	return must(cozeloop.NewClient(append(given, options...)...))
}

func withToken(m *Mock, token string) cozeloop.Client {
	return must(cozeloop.NewClient(
		cozeloop.WithAPIBaseURL(m.base), cozeloop.WithWorkspaceID("ws_a"), cozeloop.WithAPIToken(token),
	))
}

var asked = 0

// getPrompt asks for another one each time: the client keeps those that it has.
func getPrompt(loop cozeloop.Client) error {
	asked++
	prompt, err := loop.GetPrompt(context.Background(), cozeloop.GetPromptParam{PromptKey: fmt.Sprint("p", asked)})
	if err == nil {
		expect("workspace of the prompt", "ws_a", prompt.WorkspaceID)
	}
	return err
}

// granted is one call, for which the client gets a token first. It gives the entry of the grant.
func granted(m *Mock, loop cozeloop.Client) entry {
	must(0, getPrompt(loop))
	entries := m.newEntries()
	expect("a grant and the call", 2, len(entries))
	check(entries[0], "token", want{grant: "jwt_bearer", client: m.apps["jwt"].ClientID})
	check(entries[1], "api", want{path: prompts})
	return entries[0]
}

// prove is a call with the token that is there.
func prove(m *Mock, loop cozeloop.Client) {
	must(0, getPrompt(loop))
	m.saw("api", want{path: prompts})
}

// jwtRefused: what the SDK keeps of an OAuth error is all of it.
func jwtRefused(m *Mock, loop cozeloop.Client, rule, message string) {
	err := getPrompt(loop)
	var why *cozeloop.AuthError
	if !errors.As(err, &why) {
		fail("expected an AuthError, the SDK returned %v", err)
	}
	m.saw("token", want{status: 401, logid: why.LogID, error: "invalid_client", rule: rule, grant: "jwt_bearer"})
	m.explained(why.LogID, rule)
	expect(
		"status, code, message and param of the SDK's error",
		[]any{401, "invalid_client", message, "invalid_client"},
		[]any{why.HttpCode, why.Code.String(), why.ErrorMessage, why.Param},
	)
}

func tokenRefused(m *Mock, loop cozeloop.Client, rule string) {
	err := getPrompt(loop)
	var why *cozeloop.RemoteServiceError
	if !errors.As(err, &why) {
		fail("expected a RemoteServiceError, the SDK returned %v", err)
	}
	m.saw("api", want{status: 401, logid: why.LogID, error: "4100", rule: rule})
	m.explained(why.LogID, rule)
	expect(
		"status, code and message of the SDK's error",
		[]any{401, 4100, "authentication is invalid"},
		[]any{why.HttpCode, why.ErrCode, why.ErrMsg},
	)
}

var cases = []testCase{
	// --- JWT ---
	{"jwt.plain", func(m *Mock) {
		// Its aud keeps the port (protocol §1.3).
		expect("aud in the assertion", m.host, granted(m, client(m)).payload("aud"))
	}},
	{"jwt.cached-until-expiry", func(m *Mock) {
		// It keeps a token of 15 minutes until a minute before its expires_in.
		sdk := newSdkTime(m)
		loop := client(m, cozeloop.WithHTTPClient(sdk))
		sdk.run(func() {
			must(0, getPrompt(loop))
			sdk.sleep(accessSeconds - 60)
			must(0, getPrompt(loop))
			sdk.sleep(1)
			must(0, getPrompt(loop))
		})
		expect("one grant for two calls, and another one", []string{"token", "api", "api", "token", "api"}, m.succeeded())
	}},
	{"jwt.unknown-kid", func(m *Mock) {
		// The server's spelling (coze-go#43).
		loop := client(m, cozeloop.WithJWTOAuthPublicKeyID("no-such-key"))
		jwtRefused(m, loop, "jwt.kid", "invalid jwt: kid not been registred")
	}},
	{"jwt.wrong-key", func(m *Mock) {
		jwtRefused(m, client(m, cozeloop.WithJWTOAuthPrivateKey(otherKey())), "jwt.signature", "invalid jwt: signature")
	}},
	{"jwt.wrong-aud", func(m *Mock) {
		// The SDK takes aud from its base URL, and an HTTP client may lead that elsewhere.
		base := cozeloop.WithAPIBaseURL(strings.Replace(m.base, m.host, "api.elsewhere.example", 1))
		jwtRefused(m, client(m, base, cozeloop.WithHTTPClient(elsewhere{m.host})), "jwt.aud", "invalid jwt: aud")
	}},
	{"jwt.expired-assertion", func(m *Mock) {
		m.advance(7200)
		jwtRefused(m, client(m), "jwt.exp", "invalid jwt: exp")
	}},
	{"jwt.reused-jti", func(m *Mock) {
		rand.Seed(7)
		granted(m, client(m))
		rand.Seed(7)
		// The same options would give the same client.
		jwtRefused(m, client(m, cozeloop.WithPromptCacheMaxCount(7)), "jwt.jti", "invalid jwt: jti")
	}},

	// --- tokens ---
	{"token.pat", func(m *Mock) { prove(m, withToken(m, m.tokens["pat"])) }},
	{"token.sat", func(m *Mock) { prove(m, withToken(m, m.tokens["sat"])) }},
	{"token.unknown", func(m *Mock) { tokenRefused(m, withToken(m, "pat_no_such_token"), "token.known") }},
	{"token.expired", func(m *Mock) {
		loop := client(m)
		granted(m, loop)
		m.advance(accessSeconds + 60) // and not the SDK's clock
		tokenRefused(m, loop, "token.expiry")
	}},
	{"token.revoked", func(m *Mock) {
		loop := withToken(m, m.tokens["pat"])
		prove(m, loop)
		m.revoke(m.tokens["pat"])
		tokenRefused(m, loop, "token.revoked")
	}},
}
