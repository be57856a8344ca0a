// The released coze-go behind `coze-auth-shim/1` (README.md).
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/coze-dev/coze-go"
)

var self shim

const library = "github.com/coze-dev/coze-go"

func about() object {
	version := ""
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, module := range info.Deps {
			if module.Path == library {
				version = strings.TrimPrefix(module.Version, "v")
			}
		}
	}
	return object{
		"protocol": 1, "name": "coze-go", "version": version, "language": "go",
		"runtime":  runtime.Version(),
		"homepage": "https://github.com/coze-dev/coze-go", "issues": "https://github.com/coze-dev/coze-go/issues",
		"caps": strings.Fields("web pkce device jwt refresh api api.workspaces workspace www_base timeout config pkce.verifier pkce.plain " +
			"device.poll_once jwt.scope jwt.session_name jwt.session_context jwt.account jwt.enterprise " +
			"provider.jwt provider.parallel provider.scope provider.session_name provider.session_context provider.account " +
			"provider.enterprise client.ttl client.parallel documented cancel clock logs https end race"),
	}
}

// toRunner is a logger as the SDK takes one.
type toRunner struct{}

func (toRunner) Log(_ context.Context, level coze.LogLevel, message string, args ...any) {
	name := strings.ToLower(level.String())
	if level == coze.LogLevelWarn {
		name = "warning"
	} else if level < coze.LogLevelDebug {
		name = "debug"
	}
	if len(args) > 0 {
		message = fmt.Sprintf(message, args...)
	}
	log(name, message)
}

// refresher: three kinds of the SDK's clients have this method.
type refresher interface {
	RefreshToken(context.Context, string) (*coze.OAuthToken, error)
}

type attempt struct {
	client                any
	redirectURI, verifier string
}

type device struct {
	client *coze.DeviceOAuthClient
	code   string
}

// kept are the handles of a case.
type kept struct {
	base      string
	logging   []coze.CozeAPIOption
	clients   map[string]any
	attempts  map[string]attempt
	devices   map[string]device
	providers map[string]coze.Auth
	apis      map[string]coze.CozeAPI
}

func newCase(asked request) (operations, error) {
	c := kept{
		base: asked.BaseURL, logging: []coze.CozeAPIOption{coze.WithLogger(toRunner{})},
		clients: map[string]any{}, attempts: map[string]attempt{}, devices: map[string]device{}, providers: map[string]coze.Auth{},
		apis: map[string]coze.CozeAPI{},
	}
	if asked.Log == "debug" {
		c.logging = append(c.logging, coze.WithLogLevel(coze.LogLevelDebug))
	}
	coze.NewCozeAPI(coze.NewTokenAuth(""), c.logging...) // it alone sets the logger and the level of the OAuth clients
	return operations{
		"client.new":         c.clientNew,
		"client.parallel":    c.clientParallel,
		"config.load":        c.configLoad,
		"web.authorize_url":  c.authorizeURL,
		"pkce.authorize_url": c.authorizeURL,
		"web.token":          c.token,
		"pkce.token":         c.token,
		"device.start":       c.deviceStart,
		"device.poll":        c.devicePoll,
		"device.poll_once":   c.devicePoll,
		"jwt.token":          c.jwtToken,
		"refresh":            c.refresh,
		"provider.new":       c.providerNew,
		"provider.token":     c.providerToken,
		"provider.parallel":  c.providerParallel,
		"api.call":           c.apiCall,
		"api.workspaces":     c.apiWorkspaces,
	}, nil
}

// badSetting is refused before anything is sent.
type badSetting struct{ error }

func (e badSetting) Unwrap() error { return e.error }

func config[T any](thing T, err error) (T, error) {
	if err != nil {
		err = badSetting{err}
	}
	return thing, err
}

func clientOf[T any](c kept, name string) (T, error) {
	client, err := handle(c.clients, name)
	typed, ok := client.(T)
	if err == nil && !ok {
		err = misused(fmt.Sprintf("%s is a %T", name, client))
	}
	return typed, err
}

func (c kept) clientNew(_ context.Context, a request) (object, error) {
	base := c.base
	if a.BaseURL != "" {
		base = a.BaseURL
	}
	options := []coze.OAuthClientOption{coze.WithAuthBaseURL(base)}
	if a.WWWBaseURL != "" {
		options = append(options, coze.WithAuthWWWURL(a.WWWBaseURL))
	}
	if a.TimeoutMS != nil {
		timeout := time.Duration(*a.TimeoutMS) * time.Millisecond
		options = append(options, coze.WithAuthHttpClient(&http.Client{Timeout: timeout}))
	}
	var client any
	var err error
	switch a.Kind {
	case "web":
		client, err = config(coze.NewWebOAuthClient(a.ClientID, a.ClientSecret, options...))
	case "pkce":
		client, err = config(coze.NewPKCEOAuthClient(a.ClientID, options...))
	case "device":
		client, err = config(coze.NewDeviceOAuthClient(a.ClientID, options...))
	case "jwt":
		app := coze.NewJWTOAuthClientParam{ClientID: a.ClientID, PublicKey: a.KeyID, PrivateKeyPEM: a.PrivateKey, TTL: a.TTLSeconds}
		client, err = config(coze.NewJWTOAuthClient(app, options...))
	case "workload":
		return nil, unsupported("no workloads")
	default:
		return nil, misused("no such kind: " + a.Kind)
	}
	c.clients[a.As] = client
	return nil, err
}

func (c kept) configLoad(_ context.Context, a request) (object, error) {
	settings, err := parsed[coze.OAuthConfig](a.Config)
	if err != nil {
		return nil, err
	}
	client, err := config(coze.LoadOAuthAppFromConfig(settings))
	if err != nil {
		return nil, err
	}
	c.clients[a.As] = client
	switch client.(type) {
	case *coze.WebOAuthClient:
		return object{"kind": "web"}, nil
	case *coze.PKCEOAuthClient:
		return object{"kind": "pkce"}, nil
	case *coze.DeviceOAuthClient:
		return object{"kind": "device"}, nil
	}
	return object{"kind": "jwt"}, nil
}

// parsed is what a caller reads from JSON into the SDK's type; nil if it is not given.
func parsed[T any](text json.RawMessage) (*T, error) {
	if text == nil {
		return nil, nil
	}
	thing := new(T)
	return config(thing, json.Unmarshal(text, thing))
}

func (c kept) authorizeURL(ctx context.Context, a request) (object, error) {
	state := ""
	if a.State != nil {
		state = *a.State
	}
	client, err := handle(c.clients, a.Client)
	if err != nil {
		return nil, err
	}
	if web, ok := client.(*coze.WebOAuthClient); ok {
		c.attempts[a.As] = attempt{client: web, redirectURI: a.RedirectURI}
		asked := &coze.GetWebOAuthURLReq{RedirectURI: a.RedirectURI, State: state, WorkspaceID: a.WorkspaceID}
		return object{"url": web.GetOAuthURL(ctx, asked)}, nil
	}
	pkce, err := clientOf[*coze.PKCEOAuthClient](c, a.Client)
	if err != nil {
		return nil, err
	}
	asked := &coze.GetPKCEOAuthURLReq{
		RedirectURI: a.RedirectURI, State: state, Method: (*coze.CodeChallengeMethod)(a.Method), WorkspaceID: a.WorkspaceID,
	}
	made, err := config(pkce.GetOAuthURL(ctx, asked))
	if err != nil {
		return nil, err
	}
	c.attempts[a.As] = attempt{client: pkce, redirectURI: a.RedirectURI, verifier: made.CodeVerifier}
	return object{"url": made.AuthorizationURL, "code_verifier": made.CodeVerifier}, nil
}

func (c kept) token(ctx context.Context, a request) (object, error) {
	begun, err := handle(c.attempts, a.Attempt)
	if err != nil {
		return nil, err
	}
	callback, err := url.Parse(a.Callback)
	if err != nil {
		return nil, misused(err.Error())
	}
	code := callback.Query().Get("code")
	if code == "" {
		return nil, unsupported("reading the callback is left to the caller, and this one has no code")
	}
	if web, ok := begun.client.(*coze.WebOAuthClient); ok {
		return grant(web.GetAccessToken(ctx, &coze.GetWebOAuthAccessTokenReq{Code: code, RedirectURI: begun.redirectURI}))
	}
	asked := &coze.GetPKCEAccessTokenReq{Code: code, RedirectURI: begun.redirectURI, CodeVerifier: begun.verifier}
	return grant(begun.client.(*coze.PKCEOAuthClient).GetAccessToken(ctx, asked))
}

func (c kept) deviceStart(ctx context.Context, a request) (object, error) {
	client, err := clientOf[*coze.DeviceOAuthClient](c, a.Client)
	if err != nil {
		return nil, err
	}
	started, err := client.GetDeviceCode(ctx, &coze.GetDeviceOAuthCodeReq{WorkspaceID: a.WorkspaceID})
	if err != nil {
		return nil, err
	}
	c.devices[a.As] = device{client, started.DeviceCode}
	return object{
		"user_code":                 started.UserCode,
		"verification_uri":          started.VerificationURI,
		"verification_uri_complete": started.VerificationURL,
		"interval_s":                started.Interval,
		"expires_in_s":              started.ExpiresIn,
	}, nil
}

func (c kept) devicePoll(ctx context.Context, a request) (object, error) {
	started, err := handle(c.devices, a.Device)
	if err != nil {
		return nil, err
	}
	asked := &coze.GetDeviceOAuthAccessTokenReq{DeviceCode: started.code, Poll: a.Op == "device.poll"}
	return grant(started.client.GetAccessToken(ctx, asked))
}

func (c kept) jwtToken(ctx context.Context, a request) (object, error) {
	client, err := clientOf[*coze.JWTOAuthClient](c, a.Client)
	if err != nil {
		return nil, err
	}
	asked, err := jwtOptions(a)
	if err != nil {
		return nil, err
	}
	return grant(client.GetAccessToken(ctx, asked))
}

// jwtOptions are those of a grant and of what renews it; nil if none is given.
func jwtOptions(a request) (asked *coze.GetJWTAccessTokenReq, err error) {
	asked = &coze.GetJWTAccessTokenReq{SessionName: a.SessionName, EnterpriseID: a.EnterpriseID}
	if a.TTLSeconds != nil {
		asked.TTL = *a.TTLSeconds
	}
	if a.AccountID != nil {
		number, err := config(strconv.ParseInt(*a.AccountID, 10, 64)) // the type of the SDK's member takes no other
		if err != nil {
			return nil, err
		}
		asked.AccountID = &number
	}
	if asked.Scope, err = parsed[coze.Scope](a.Scope); err != nil {
		return nil, err
	}
	if asked.SessionContext, err = parsed[coze.SessionContext](a.SessionContext); err != nil {
		return nil, err
	}
	if *asked == (coze.GetJWTAccessTokenReq{}) {
		return nil, nil
	}
	return asked, nil
}

func (c kept) clientParallel(ctx context.Context, a request) (object, error) {
	operation, known := map[string]func(context.Context, request) (object, error){"jwt.token": c.jwtToken, "refresh": c.refresh}[a.Call]
	if !known {
		return nil, misused("no such call: " + a.Call)
	}
	calls := make([]func() (object, error), len(a.Each))
	for i, each := range a.Each {
		calls[i] = func() (object, error) { return operation(ctx, each) }
	}
	return self.together(calls), nil
}

func (c kept) refresh(ctx context.Context, a request) (object, error) {
	client, err := handle(c.clients, a.Client)
	if err != nil {
		return nil, err
	}
	if able, ok := client.(refresher); ok {
		return grant(able.RefreshToken(ctx, a.RefreshToken))
	}
	return nil, unsupported("JWTOAuthClient has no refresh")
}

func (c kept) providerNew(_ context.Context, a request) (object, error) {
	if a.Grant != nil {
		return nil, unsupported("nothing keeps and renews the token of a login")
	}
	client, err := clientOf[*coze.JWTOAuthClient](c, a.Client)
	if err != nil {
		return nil, err
	}
	asked, err := jwtOptions(a)
	if err != nil {
		return nil, err
	}
	c.providers[a.As] = coze.NewJWTAuth(client, asked)
	return nil, nil
}

func provided(ctx context.Context, auth coze.Auth) (object, error) {
	token, err := auth.Token(ctx)
	return object{"access_token": token}, err
}

func (c kept) providerToken(ctx context.Context, a request) (object, error) {
	auth, err := handle(c.providers, a.Provider)
	if err != nil {
		return nil, err
	}
	return provided(ctx, auth)
}

func (c kept) providerParallel(ctx context.Context, a request) (object, error) {
	auth, err := handle(c.providers, a.Provider)
	if err != nil {
		return nil, err
	}
	calls := make([]func() (object, error), a.Callers)
	for i := range calls {
		calls[i] = func() (object, error) { return provided(ctx, auth) }
	}
	return self.together(calls), nil
}

func (c kept) api(a request) (coze.CozeAPI, error) {
	client, known := c.apis[a.Token+" "+a.Provider]
	if known {
		return client, nil
	}
	auth := coze.NewTokenAuth(a.Token)
	if a.Provider != "" {
		var err error
		if auth, err = handle(c.providers, a.Provider); err != nil {
			return client, err
		}
	}
	client = coze.NewCozeAPI(auth, append([]coze.CozeAPIOption{coze.WithBaseURL(c.base)}, c.logging...)...)
	c.apis[a.Token+" "+a.Provider] = client
	return client, nil
}

func (c kept) apiWorkspaces(ctx context.Context, a request) (object, error) {
	client, err := c.api(a)
	if err != nil {
		return nil, err
	}
	page, err := client.Workspaces.List(ctx, coze.NewListWorkspaceReq())
	if err != nil {
		return nil, err
	}
	return object{"count": len(page.Items())}, nil
}

func (c kept) apiCall(ctx context.Context, a request) (object, error) {
	client, err := c.api(a)
	if err != nil {
		return nil, err
	}
	user, err := client.Users.Me(ctx)
	if err != nil {
		return nil, err
	}
	if user == nil {
		return object{"user_id": nil}, nil
	}
	return object{"user_id": user.UserID, "user_name": user.UserName}, nil
}

func grant(token *coze.OAuthToken, err error) (object, error) {
	if err != nil {
		return nil, err
	}
	if token == nil { // neither a token nor an error
		return object{"access_token": nil, "expires_at": nil}, nil
	}
	result := object{"access_token": token.AccessToken, "expires_at": nil}
	if whole := int64(1) << 53; -whole < token.ExpiresIn && token.ExpiresIn < whole {
		result["expires_at"] = token.ExpiresIn
	}
	if token.RefreshToken != "" {
		result["refresh_token"] = token.RefreshToken
	}
	return result, nil
}

// tell has what a caller can tell by the SDK's own functions, and by the types of the standard library.
func tell(err error) object {
	_, isAuth := coze.AsAuthError(err)
	_, isCoze := coze.AsCozeError(err)
	// The samples know the errors by these two functions.
	told := object{"kind": "other", "type": fmt.Sprintf("%T", err), "documented": isAuth || isCoze}
	var setting badSetting
	var request *url.Error
	var network net.Error
	if refused, ok := coze.AsAuthError(err); ok {
		told["kind"], told["code"], told["http_status"] = "oauth", refused.Code.String(), refused.HttpCode
		if refused.LogID != "" {
			told["logid"] = refused.LogID
		}
	} else if refused, ok := coze.AsCozeError(err); ok {
		told["kind"], told["code"] = "api", strconv.Itoa(refused.Code)
		if refused.LogID != "" {
			told["logid"] = refused.LogID
		}
	} else if errors.As(err, &setting) {
		told["kind"], told["type"] = "config", fmt.Sprintf("%T", setting.error)
	} else if errors.Is(err, context.Canceled) {
		told["kind"] = "cancelled"
	} else if errors.As(err, &network) && network.Timeout() {
		told["kind"] = "timeout"
	} else if errors.As(err, &request) && request.Op == "parse" {
		told["kind"] = "config"
	} else if errors.As(err, &request) || errors.As(err, &network) {
		told["kind"] = "transport"
	}
	return told
}

func main() {
	self = shim{about: about(), library: library + ".", newCase: newCase, tell: tell}
	self.serve()
}
