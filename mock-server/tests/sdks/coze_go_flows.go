// Flows that coze-go must complete: every token is proved with the SDK's own `Users.Me`.
package judge

import (
	"context"
	"encoding/json"

	"github.com/coze-dev/coze-go"
)

const accessSeconds = 15 * 60 // protocol §3.4

var (
	ctx      = context.Background()
	pending  = want{status: 428, error: "authorization_pending", rule: "device.pending", grant: "device_code"}
	slowDown = want{status: 400, error: "slow_down", rule: "device.interval", grant: "device_code"}
)

// --- the apps, through the SDK's own constructors ---

func at(m *Mock) coze.OAuthClientOption { return coze.WithAuthBaseURL(m.base) }

func webApp(m *Mock) *coze.WebOAuthClient { return webAppWith(m, m.apps["web"].ClientSecret) }

func webAppWith(m *Mock, secret string) *coze.WebOAuthClient {
	return must(coze.NewWebOAuthClient(m.apps["web"].ClientID, secret, at(m)))
}

func pkceApp(m *Mock) *coze.PKCEOAuthClient { return pkceAppOf(m, "pkce") }

func pkceAppOf(m *Mock, kind string) *coze.PKCEOAuthClient {
	return must(coze.NewPKCEOAuthClient(m.apps[kind].ClientID, at(m)))
}

func deviceApp(m *Mock, options ...coze.OAuthClientOption) *coze.DeviceOAuthClient {
	return must(coze.NewDeviceOAuthClient(m.apps["device"].ClientID, append(options, at(m))...))
}

func jwtParam(m *Mock) coze.NewJWTOAuthClientParam {
	app := m.apps["jwt"]
	return coze.NewJWTOAuthClientParam{ClientID: app.ClientID, PublicKey: app.KeyID, PrivateKeyPEM: app.PrivateKey}
}

func jwtApp(m *Mock, options ...coze.OAuthClientOption) *coze.JWTOAuthClient {
	return must(coze.NewJWTOAuthClient(jwtParam(m), append([]coze.OAuthClientOption{at(m)}, options...)...))
}

func api(m *Mock, auth coze.Auth, options ...coze.CozeAPIOption) coze.CozeAPI {
	return coze.NewCozeAPI(auth, append(options, coze.WithBaseURL(m.base))...)
}

// loaded is the app of a `coze_oauth_config.json` (protocol §9).
func loaded[T any](m *Mock, kind string) T {
	var config coze.OAuthConfig
	must(0, json.Unmarshal(m.configFile(kind), &config))
	return must(coze.LoadOAuthAppFromConfig(&config)).(T)
}

// --- steps ---

type wantToken struct {
	permanent bool // no refresh token
	seconds   int64
	path      string
}

// checkToken judges the answer as the SDK parsed it, and the one journal entry from which it is.
func checkToken(m *Mock, token *coze.OAuthToken, grant, app string, wanted wantToken) entry {
	entry := m.saw("token", want{
		logid: token.Response().LogID(), grant: grant, client: m.apps[app].ClientID, path: wanted.path,
	})
	expect("has a refresh token", !wanted.permanent, token.RefreshToken != "")
	if wanted.seconds == 0 {
		wanted.seconds = accessSeconds
	}
	// Absolute Unix seconds in every flow (protocol §3.1).
	expect("expires_in", m.now()+wanted.seconds, token.ExpiresIn)
	return entry
}

func checkJWT(m *Mock, token *coze.OAuthToken) entry {
	return checkToken(m, token, "jwt_bearer", "jwt", wantToken{permanent: true})
}

func prove(m *Mock, accessToken string) {
	user := must(api(m, coze.NewTokenAuth(accessToken)).Users.Me(ctx))
	expect("user name", "alice", user.UserName)
	m.saw("users_me", want{})
}

type refreshes interface {
	RefreshToken(context.Context, string) (*coze.OAuthToken, error)
}

func refreshAndProve(m *Mock, app refreshes, token *coze.OAuthToken, kind string) {
	prove(m, token.AccessToken)
	next := must(app.RefreshToken(ctx, token.RefreshToken))
	checkToken(m, next, "refresh_token", kind, wantToken{})
	expect("a new access token", true, next.AccessToken != token.AccessToken)
	expect("a new refresh token", true, next.RefreshToken != token.RefreshToken)
	prove(m, next.AccessToken)
}

func webCode(m *Mock) string {
	return m.approve(webApp(m).GetOAuthURL(ctx, &coze.GetWebOAuthURLReq{RedirectURI: callback, State: "s"}), "s")
}

func webToken(m *Mock, app *coze.WebOAuthClient) *coze.OAuthToken {
	token := must(exchange(app, webCode(m), callback))
	checkToken(m, token, "authorization_code", "web", wantToken{})
	return token
}

func exchange(app *coze.WebOAuthClient, code, redirect string) (*coze.OAuthToken, error) {
	return app.GetAccessToken(ctx, &coze.GetWebOAuthAccessTokenReq{Code: code, RedirectURI: redirect})
}

// pkceLogin gives the code and the verifier.
func pkceLogin(m *Mock, app *coze.PKCEOAuthClient, method coze.CodeChallengeMethod, workspace *string) (string, string) {
	request := &coze.GetPKCEOAuthURLReq{RedirectURI: callback, State: "s", Method: &method, WorkspaceID: workspace}
	url := must(app.GetOAuthURL(ctx, request))
	return m.approve(url.AuthorizationURL, "s"), url.CodeVerifier
}

func pkceExchange(app *coze.PKCEOAuthClient, code, verifier string) (*coze.OAuthToken, error) {
	request := &coze.GetPKCEAccessTokenReq{Code: code, RedirectURI: callback, CodeVerifier: verifier}
	return app.GetAccessToken(ctx, request)
}

func pkceToken(m *Mock, app *coze.PKCEOAuthClient, method coze.CodeChallengeMethod, workspace *string) *coze.OAuthToken {
	code, verifier := pkceLogin(m, app, method, workspace)
	token := must(pkceExchange(app, code, verifier))
	checkToken(m, token, "authorization_code", "pkce", wantToken{})
	return token
}

func deviceStart(m *Mock, app *coze.DeviceOAuthClient, workspace *string) *coze.GetDeviceAuthResp {
	device := must(app.GetDeviceCode(ctx, &coze.GetDeviceOAuthCodeReq{WorkspaceID: workspace}))
	path := "/api/permission/oauth2/device/code"
	if workspace != nil {
		path = "/api/permission/oauth2/workspace_id/ws_a/device/code"
	}
	m.saw("device_code", want{logid: device.HTTPResponse.LogID(), client: m.apps["device"].ClientID, path: path})
	// A duration, unlike the token's (protocol §3.2).
	expect("interval and expires_in of the device code", []int{5, 300}, []int{device.Interval, device.ExpiresIn})
	return device
}

func getToken(app *coze.DeviceOAuthClient, device *coze.GetDeviceAuthResp, poll bool) (*coze.OAuthToken, error) {
	return app.GetAccessToken(ctx, &coze.GetDeviceOAuthAccessTokenReq{DeviceCode: device.DeviceCode, Poll: poll})
}

// poll polls as the SDK does, on virtual time; the person acts while the SDK sleeps for the first time.
func poll(m *Mock, device *coze.GetDeviceAuthResp, action string) (token *coze.OAuthToken, sleeps []float64, err error) {
	time := newSdkTime(m)
	time.duringSleep = func(number int) {
		if action != "" && number == 1 {
			m.user(device.UserCode, action)
		}
	}
	app := deviceApp(m, coze.WithAuthHttpClient(time))
	time.run(func() { token, err = getToken(app, device, true) })
	return token, time.sleeps, err
}

// checkPolls finds one entry per poll: those refused, then the last.
func checkPolls(m *Mock, last want, refused ...want) {
	entries := m.newEntries()
	expect("number of polls", len(refused)+1, len(entries))
	last.grant = "device_code"
	for number, wanted := range append(refused, last) {
		check(entries[number], "token", wanted)
	}
}

var workspace = "ws_a"

var flows = []testCase{
	// --- web ---
	{"web.login-and-refresh", func(m *Mock) {
		app := webApp(m)
		refreshAndProve(m, app, webToken(m, app), "web")
	}},
	{"web.workspace", func(m *Mock) {
		app := webApp(m)
		request := &coze.GetWebOAuthURLReq{RedirectURI: callback, State: "s", WorkspaceID: &workspace}
		code := m.answerConsent(app.GetOAuthURL(ctx, request), "approve").Get("code")
		m.saw("authorize", want{status: 302, path: "/api/permission/oauth2/workspace_id/ws_a/authorize"})
		token := must(exchange(app, code, callback))
		checkToken(m, token, "authorization_code", "web", wantToken{})
		refreshAndProve(m, app, token, "web")
	}},
	{"web.config-file", func(m *Mock) {
		prove(m, webToken(m, loaded[*coze.WebOAuthClient](m, "web")).AccessToken)
	}},
	{"web.refreshed-after-expiry", func(m *Mock) {
		app := webApp(m)
		token := webToken(m, app)
		m.advance(accessSeconds + 60)
		next := must(app.RefreshToken(ctx, token.RefreshToken))
		checkToken(m, next, "refresh_token", "web", wantToken{})
		prove(m, next.AccessToken)
	}},

	// --- PKCE; the SDK sends an empty `Bearer ` here, and its verifier has 16 characters ---
	{"pkce.s256", func(m *Mock) {
		app := pkceApp(m)
		refreshAndProve(m, app, pkceToken(m, app, coze.CodeChallengeMethodS256, nil), "pkce")
	}},
	{"pkce.plain", func(m *Mock) {
		app := pkceApp(m)
		refreshAndProve(m, app, pkceToken(m, app, coze.CodeChallengeMethodPlain, nil), "pkce")
	}},
	{"pkce.workspace", func(m *Mock) {
		prove(m, pkceToken(m, pkceApp(m), coze.CodeChallengeMethodS256, &workspace).AccessToken)
	}},
	{"pkce.config-file", func(m *Mock) {
		app := loaded[*coze.PKCEOAuthClient](m, "pkce")
		prove(m, pkceToken(m, app, coze.CodeChallengeMethodS256, nil).AccessToken)
	}},

	// --- device ---
	{"device.pending-then-approve", func(m *Mock) {
		app := deviceApp(m)
		device := deviceStart(m, app, nil)
		expect("verification_url", device.VerificationURI+"?user_code="+device.UserCode, device.VerificationURL)
		token, sleeps, err := poll(m, device, "approve")
		must(token, err)
		checkPolls(m, want{}, pending)
		expect("sleeps of the SDK", []float64{5}, sleeps)
		refreshAndProve(m, app, token, "device")
	}},
	{"device.workspace", func(m *Mock) {
		token, _, err := poll(m, deviceStart(m, deviceApp(m), &workspace), "approve")
		must(token, err)
		checkPolls(m, want{}, pending)
		prove(m, token.AccessToken)
	}},
	{"device.slow-down-then-approve", func(m *Mock) {
		device := deviceStart(m, deviceApp(m), nil)
		// The SDK ignores the server's interval (protocol §7), so its first sleep is cut short from outside.
		time := newSdkTime(m)
		time.mockAdvances = func(seconds float64) float64 {
			if seconds == 5 {
				return 1
			}
			return seconds
		}
		time.duringSleep = func(number int) {
			if number == 2 {
				m.user(device.UserCode, "approve")
			}
		}
		app := deviceApp(m, coze.WithAuthHttpClient(time))
		var token *coze.OAuthToken
		time.run(func() { token = must(getToken(app, device, true)) })
		checkPolls(m, want{}, pending, slowDown)
		expect("sleeps of the SDK: 5 s, then 5 s more", []float64{5, 10}, time.sleeps)
		prove(m, token.AccessToken)
	}},
	{"device.config-file", func(m *Mock) {
		app := loaded[*coze.DeviceOAuthClient](m, "device")
		device := deviceStart(m, app, nil)
		m.user(device.UserCode, "approve")
		token := must(getToken(app, device, true))
		checkPolls(m, want{})
		prove(m, token.AccessToken)
	}},

	// --- JWT ---
	{"jwt.plain", func(m *Mock) {
		// Its aud keeps the port (protocol §1.3).
		token := must(jwtApp(m).GetAccessToken(ctx, nil))
		entry := checkJWT(m, token)
		expect("aud in the assertion", m.host, entry.payload("aud"))
		prove(m, token.AccessToken)
	}},
	{"jwt.scope-session-ttl", func(m *Mock) {
		scope, session := coze.BuildBotChat([]string{"bot_1"}, nil), "user-1"
		token := must(jwtApp(m).GetAccessToken(ctx, &coze.GetJWTAccessTokenReq{TTL: 7200, Scope: scope, SessionName: &session}))
		entry := checkToken(m, token, "jwt_bearer", "jwt", wantToken{permanent: true, seconds: 7200})
		expect("scope in the body", plain(scope), entry["json"].(map[string]any)["scope"])
		expect("session_name in the assertion", "user-1", entry.payload("session_name"))
		prove(m, token.AccessToken)
	}},
	{"jwt.session-context", func(m *Mock) {
		device, consumer := "device-1", "consumer-1"
		context := &coze.SessionContext{DeviceInfo: &coze.DeviceInfo{DeviceID: &device, CustomConsumer: &consumer}}
		token := must(jwtApp(m).GetAccessToken(ctx, &coze.GetJWTAccessTokenReq{SessionContext: context}))
		expect("session_context in the assertion", plain(context), checkJWT(m, token).payload("session_context"))
		prove(m, token.AccessToken)
	}},
	{"jwt.account", func(m *Mock) {
		account := int64(123)
		token := must(jwtApp(m).GetAccessToken(ctx, &coze.GetJWTAccessTokenReq{AccountID: &account}))
		path := "/api/permission/oauth2/account/123/token"
		checkToken(m, token, "jwt_bearer", "jwt", wantToken{permanent: true, path: path})
		prove(m, token.AccessToken)
	}},
	{"jwt.enterprise", func(m *Mock) {
		enterprise := "ent_1"
		token := must(jwtApp(m).GetAccessToken(ctx, &coze.GetJWTAccessTokenReq{EnterpriseID: &enterprise}))
		path := "/api/permission/oauth2/enterprise_id/ent_1/token"
		checkToken(m, token, "jwt_bearer", "jwt", wantToken{permanent: true, path: path})
		prove(m, token.AccessToken)
	}},
	{"jwt.config-file", func(m *Mock) {
		token := must(loaded[*coze.JWTOAuthClient](m, "jwt").GetAccessToken(ctx, nil))
		checkJWT(m, token)
		prove(m, token.AccessToken)
	}},
	{"jwt.cached-until-expiry", func(m *Mock) {
		// It keeps a token of 15 minutes until 30 s before its expires_in.
		sdk := newSdkTime(m)
		auth := coze.NewJWTAuth(jwtApp(m, coze.WithAuthHttpClient(sdk)), nil)
		client := api(m, auth, coze.WithHttpClient(sdk))
		me := func() { expect("user name", "alice", must(client.Users.Me(ctx)).UserName) }
		sdk.run(func() {
			me()
			sdk.sleep(870)
			me()
			sdk.sleep(1)
			me()
		})
		wanted := []string{"token", "users_me", "users_me", "token", "users_me"}
		expect("one grant for two calls, and another one", wanted, m.succeeded())
	}},

	// --- static tokens ---
	{"token.pat", func(m *Mock) { prove(m, m.tokens["pat"]) }},
	{"token.sat", func(m *Mock) {
		user := must(api(m, coze.NewTokenAuth(m.tokens["sat"])).Users.Me(ctx))
		expect("has a user id", true, user.UserID != "")
		m.saw("users_me", want{})
	}},
}
