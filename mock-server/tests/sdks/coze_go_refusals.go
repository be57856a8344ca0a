// Refusals that coze-go must show: what it returns, and the rule that the journal names.
package judge

import (
	"bytes"
	"crypto/rand"
	"io"
	"strings"

	"github.com/coze-dev/coze-go"
)

const (
	nowhere       = "https://elsewhere.example/callback" // no ready-made app allows it
	unknownClient = "99999999999999999999999999999999.app.coze"
)

var otherVerifier = strings.Repeat("b", 43)

// pinnedJTI makes two assertions with one jti: the SDK makes it of crypto/rand.
func pinnedJTI(body func()) {
	real := rand.Reader
	defer func() { rand.Reader = real }()
	rand.Reader = sevens{}
	body()
}

type sevens struct{}

func (sevens) Read(to []byte) (int, error) {
	return io.ReadFull(bytes.NewReader(bytes.Repeat([]byte{7}, len(to))), to)
}

var refusals = []testCase{
	// --- authorize ---
	{"authorize.wrong-redirect", func(m *Mock) {
		url := webApp(m).GetOAuthURL(ctx, &coze.GetWebOAuthURLReq{RedirectURI: nowhere, State: "s"})
		loginRefused(m, url, want{status: 400, error: "invalid_request", rule: "authorize.redirect_uri"})
	}},
	{"authorize.unknown-client", func(m *Mock) {
		app := must(coze.NewWebOAuthClient(unknownClient, "a secret", at(m)))
		url := app.GetOAuthURL(ctx, &coze.GetWebOAuthURLReq{RedirectURI: callback, State: "s"})
		loginRefused(m, url, want{status: 401, error: "invalid_client", rule: "client.known"})
	}},
	{"authorize.deny", func(m *Mock) {
		url := webApp(m).GetOAuthURL(ctx, &coze.GetWebOAuthURLReq{RedirectURI: callback, State: "s"})
		answer := m.answerConsent(url, "deny")
		came := []string{answer.Get("error"), answer.Get("state"), answer.Get("code")}
		expect("callback", []string{"access_denied", "s", ""}, came)
		m.saw("authorize", want{status: 302})
	}},

	// --- exchange ---
	{"code.wrong-secret", func(m *Mock) {
		code := webCode(m)
		wrong := webAppWith(m, "not-the-secret")
		badClient(m, func() (*coze.OAuthToken, error) { return exchange(wrong, code, callback) }, "client.secret", "client_secret")
		// A refused client must not burn the person's code.
		checkToken(m, must(exchange(webApp(m), code, callback)), "authorization_code", "web", wantToken{})
	}},
	{"code.unknown-client", func(m *Mock) {
		code := webCode(m)
		app := must(coze.NewWebOAuthClient(unknownClient, m.apps["web"].ClientSecret, at(m)))
		badClient(m, func() (*coze.OAuthToken, error) { return exchange(app, code, callback) }, "client.known", "client_id")
	}},
	{"code.reused", func(m *Mock) {
		app, code := webApp(m), webCode(m)
		checkToken(m, must(exchange(app, code, callback)), "authorization_code", "web", wantToken{})
		badGrant(m, func() (*coze.OAuthToken, error) { return exchange(app, code, callback) }, "code.single_use", "code")
	}},
	{"code.expired", func(m *Mock) {
		app, code := webApp(m), webCode(m)
		m.advance(3600)
		badGrant(m, func() (*coze.OAuthToken, error) { return exchange(app, code, callback) }, "code.expiry", "code")
	}},
	{"code.of-another-client", func(m *Mock) {
		// The web app's login has a challenge, so that nothing but the client is wrong.
		code, verifier := pkceLogin(m, pkceAppOf(m, "web"), coze.CodeChallengeMethodS256, nil)
		badGrant(m, func() (*coze.OAuthToken, error) { return pkceExchange(pkceApp(m), code, verifier) }, "code.client", "code")
	}},
	{"code.wrong-redirect", func(m *Mock) {
		app, code := webApp(m), webCode(m)
		other := "http://localhost:8080/callback" // allowed for the app, yet not where this login began
		badGrant(m, func() (*coze.OAuthToken, error) { return exchange(app, code, other) }, "code.redirect_uri", "redirect_uri")
	}},
	{"code.web-app-without-secret", func(m *Mock) {
		// A web app used as a PKCE one: the refusal of coze-js#212.
		app := pkceAppOf(m, "web")
		code, verifier := pkceLogin(m, app, coze.CodeChallengeMethodS256, nil)
		token, err := pkceExchange(app, code, verifier)
		wanted := want{status: 400, error: "invalid_request", rule: "client.secret_missing"}
		refused(m, token, err, wanted, "invalid request: client_secret")
	}},
	{"pkce.wrong-verifier-s256", func(m *Mock) { wrongVerifier(m, coze.CodeChallengeMethodS256) }},
	{"pkce.wrong-verifier-plain", func(m *Mock) { wrongVerifier(m, coze.CodeChallengeMethodPlain) }},

	// --- refresh ---
	{"refresh.reused", func(m *Mock) {
		app := webApp(m)
		token := webToken(m, app)
		checkToken(m, must(app.RefreshToken(ctx, token.RefreshToken)), "refresh_token", "web", wantToken{})
		badGrant(m, refresh(app, token), "refresh.rotate", "refresh_token")
	}},
	{"refresh.expired", func(m *Mock) {
		app := webApp(m)
		token := webToken(m, app)
		m.advance(30 * 86400)
		badGrant(m, refresh(app, token), "refresh.expiry", "refresh_token")
	}},
	{"refresh.of-another-client", func(m *Mock) {
		badGrant(m, refresh(pkceApp(m), webToken(m, webApp(m))), "refresh.client", "refresh_token")
	}},
	{"refresh.wrong-secret", func(m *Mock) {
		token := webToken(m, webApp(m))
		badClient(m, refresh(webAppWith(m, "not-the-secret"), token), "client.secret", "client_secret")
	}},

	// --- device ---
	{"device.single-poll-pending", func(m *Mock) {
		app := deviceApp(m)
		token, err := getToken(app, deviceStart(m, app, nil), false)
		deviceRefused(m, token, err, pending, "authorization pending", 0)
	}},
	{"device.denied", func(m *Mock) {
		token, _, err := poll(m, deviceStart(m, deviceApp(m), nil), "deny")
		wanted := want{status: 400, error: "access_denied", rule: "device.denied"}
		deviceRefused(m, token, err, wanted, "the user denied the request", 1)
	}},
	{"device.expired-by-person", func(m *Mock) {
		token, _, err := poll(m, deviceStart(m, deviceApp(m), nil), "expire")
		deviceRefused(m, token, err, expired, "device code expired", 1)
	}},
	{"device.expired-by-clock", func(m *Mock) {
		// The SDK has no deadline: only the server's 300 s end this, after 60 polls.
		token, _, err := poll(m, deviceStart(m, deviceApp(m), nil), "")
		deviceRefused(m, token, err, expired, "device code expired", 60)
	}},
	{"device.code-used-twice", func(m *Mock) {
		app := deviceApp(m)
		device := deviceStart(m, app, nil)
		m.user(device.UserCode, "approve")
		must(getToken(app, device, false))
		checkPolls(m, want{})
		badGrant(m, func() (*coze.OAuthToken, error) { return getToken(app, device, false) }, "device.single_use", "device_code")
	}},
	{"device.of-another-client", func(m *Mock) {
		device := deviceStart(m, deviceApp(m), nil)
		m.user(device.UserCode, "approve")
		thief := must(coze.NewDeviceOAuthClient(m.apps["other_device"].ClientID, at(m)))
		badGrant(m, func() (*coze.OAuthToken, error) { return getToken(thief, device, false) }, "device.client", "device_code")
	}},
	{"device.wrong-kind", func(m *Mock) {
		app := must(coze.NewDeviceOAuthClient(m.apps["pkce"].ClientID, at(m)))
		_, err := app.GetDeviceCode(ctx, nil)
		why := authError(nil, err)
		wanted := want{status: 403, error: "access_deny", rule: "client.kind", logid: why.LogID}
		m.saw("device_code", wanted)
		told(m, why, wanted, "invalid app type")
	}},

	// --- JWT; the first message is the server's own spelling (coze-go#43) ---
	{"jwt.unknown-kid", func(m *Mock) {
		param := jwtParam(m)
		param.PublicKey = "no-such-key"
		jwtRefused(m, grantOf(m, param, nil), "jwt.kid", "invalid jwt: kid not been registred")
	}},
	{"jwt.wrong-key", func(m *Mock) {
		param := jwtParam(m)
		param.PrivateKeyPEM = otherKey()
		jwtRefused(m, grantOf(m, param, nil), "jwt.signature", "invalid jwt: signature")
	}},
	{"jwt.wrong-aud", func(m *Mock) {
		// The SDK takes aud from its base URL, and an HTTP client may lead that elsewhere.
		base := strings.Replace(m.base, m.host, "api.elsewhere.example", 1)
		app := jwtApp(m, coze.WithAuthBaseURL(base), coze.WithAuthHttpClient(elsewhere{m.host}))
		jwtRefused(m, func() (*coze.OAuthToken, error) { return app.GetAccessToken(ctx, nil) }, "jwt.aud", "invalid jwt: aud")
	}},
	{"jwt.expired-assertion", func(m *Mock) {
		m.advance(7200)
		jwtRefused(m, grantOf(m, jwtParam(m), nil), "jwt.exp", "invalid jwt: exp")
	}},
	{"jwt.no-life", func(m *Mock) {
		// A ttl of 0 is 0 here: exp is iat. The mock lives a minute behind, so that exp is not yet over.
		m.setBack(60)
		param, none := jwtParam(m), 0
		param.TTL = &none
		jwtRefused(m, grantOf(m, param, nil), "jwt.exp_after_iat", "invalid jwt: exp")
	}},
	{"jwt.reused-jti", func(m *Mock) {
		app := jwtApp(m)
		grant := func() (*coze.OAuthToken, error) { return app.GetAccessToken(ctx, nil) }
		pinnedJTI(func() {
			checkJWT(m, must(grant()))
			jwtRefused(m, grant, "jwt.jti", "invalid jwt: jti")
		})
	}},

	// --- the protected endpoint ---
	{"token.unknown", func(m *Mock) { tokenRefused(m, "pat_no_such_token", "token.known") }},
	{"token.expired", func(m *Mock) {
		token := webToken(m, webApp(m))
		prove(m, token.AccessToken)
		m.advance(accessSeconds + 60)
		tokenRefused(m, token.AccessToken, "token.expiry")
	}},
	{"token.revoked", func(m *Mock) {
		token := webToken(m, webApp(m))
		prove(m, token.AccessToken)
		m.revoke(token.AccessToken)
		tokenRefused(m, token.AccessToken, "token.revoked")
	}},
}

var expired = want{status: 400, error: "expired_token", rule: "device.expired"}

func wrongVerifier(m *Mock, method coze.CodeChallengeMethod) {
	app := pkceApp(m)
	code, _ := pkceLogin(m, app, method, nil)
	badGrant(m, func() (*coze.OAuthToken, error) { return pkceExchange(app, code, otherVerifier) }, "pkce.verifier", "code_verifier")
}

func refresh(app refreshes, token *coze.OAuthToken) call {
	return func() (*coze.OAuthToken, error) { return app.RefreshToken(ctx, token.RefreshToken) }
}

func grantOf(m *Mock, param coze.NewJWTOAuthClientParam, request *coze.GetJWTAccessTokenReq) call {
	app := must(coze.NewJWTOAuthClient(param, at(m)))
	return func() (*coze.OAuthToken, error) { return app.GetAccessToken(ctx, request) }
}
