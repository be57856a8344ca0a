// coze-go, with and without the files of docs/official-sdks.md beside this one. See run.py.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"sync"
	"time"

	"github.com/coze-dev/coze-go"
)

const redirect = "https://app.example/callback"

type said map[string]any

type drive struct {
	page     bool
	base     string
	auth     coze.Auth
	state    string
	exchange func(string) (*coze.OAuthToken, error)
}

var ctx = context.Background()

func (d *drive) options() []coze.OAuthClientOption {
	options := []coze.OAuthClientOption{coze.WithAuthBaseURL(d.base)}
	if d.page {
		options = append(options, coze.WithAuthHttpClient(careful()))
	}
	return options
}

// What an application can tell of an error.
func failed(err error) said {
	told := said{"error": fmt.Sprintf("%T", err), "code": nil, "status": nil, "known": false, "text": err.Error()}
	if refused, ok := coze.AsAuthError(err); ok {
		told["status"], told["known"] = refused.HttpCode, true
		if refused.Code != "" {
			told["code"] = refused.Code
		}
	} else if refused, ok := coze.AsCozeError(err); ok {
		told["code"], told["known"] = fmt.Sprint(refused.Code), true
	}
	return told
}

func token(made *coze.OAuthToken, err error) said {
	if err != nil {
		return failed(err)
	}
	return said{"token": made.AccessToken}
}

func (d *drive) jwt(pem string) (*coze.JWTOAuthClient, error) {
	ttl := 1800
	param := coze.NewJWTOAuthClientParam{ClientID: "100000000001", PublicKey: "mock-jwt-key-1", PrivateKeyPEM: pem, TTL: &ttl}
	return coze.NewJWTOAuthClient(param, d.options()...)
}

func (d *drive) do(what string, with []json.RawMessage) said {
	var text string
	if len(with) > 0 {
		_ = json.Unmarshal(with[0], &text)
	}
	switch what {
	case "refresh":
		app, _ := coze.NewWebOAuthClient(os.Getenv("WEB"), "mock-web-secret", d.options()...)
		return token(app.RefreshToken(ctx, text))
	case "device":
		app, _ := coze.NewDeviceOAuthClient(os.Getenv("DEVICE"), d.options()...)
		device, err := app.GetDeviceCode(ctx, nil)
		if err != nil {
			return failed(err)
		}
		if d.page {
			return token(logIn(ctx, app, device))
		}
		return token(app.GetAccessToken(ctx, &coze.GetDeviceOAuthAccessTokenReq{DeviceCode: device.DeviceCode, Poll: true}))
	case "auth":
		app, err := d.jwt(os.Getenv("KEY"))
		if err != nil {
			return failed(err)
		}
		enterprise, id := "volcano_1", "d1"
		request := &coze.GetJWTAccessTokenReq{
			EnterpriseID: &enterprise, SessionContext: &coze.SessionContext{DeviceInfo: &coze.DeviceInfo{DeviceID: &id}},
		}
		d.auth = coze.NewJWTAuth(app, request)
		if d.page {
			d.auth = &keptToken{grant: func(ctx context.Context) (*coze.OAuthToken, error) {
				return app.GetAccessToken(ctx, request)
			}}
		}
		if text == "later" {
			return said{}
		}
		tokens := make([]string, 8)
		var all sync.WaitGroup
		for i := range tokens {
			all.Add(1)
			go func() { defer all.Done(); tokens[i], _ = d.auth.Token(ctx) }()
		}
		all.Wait()
		return said{"tokens": tokens}
	case "hasty": // one who waits for the token server, and one who has a second
		slow := make(chan error, 1)
		go func() { _, err := d.auth.Token(ctx); slow <- err }()
		time.Sleep(200 * time.Millisecond)
		began := time.Now()
		second, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		_, err := d.auth.Token(second)
		return said{"error": fmt.Sprint(err), "waited": int(time.Since(began).Seconds())}
	case "token":
		held, _ := d.auth.Token(ctx)
		return said{"token": held}
	case "call":
		api := coze.NewCozeAPI(d.auth, coze.WithBaseURL(d.base))
		var user *coze.User
		me := func() (err error) { user, err = api.Users.Me(ctx); return }
		call := me
		if kept, ok := d.auth.(*keptToken); ok {
			call = func() error { return kept.Call(ctx, me) }
		}
		if err := call(); err != nil {
			return failed(err)
		}
		return said{"ok": user.UserName}
	case "key":
		if d.page {
			text = key(text)
		}
		app, err := d.jwt(text)
		if err != nil {
			return failed(err)
		}
		return token(app.GetAccessToken(ctx, nil))
	case "secret":
		if d.page {
			text = secret(text)
		}
		app, _ := coze.NewWebOAuthClient(os.Getenv("WEB"), text, d.options()...)
		return token(app.RefreshToken(ctx, "rt1"))
	case "slash":
		given := d.base + "/"
		if d.page {
			given = base(given)
		}
		app, _ := coze.NewDeviceOAuthClient(os.Getenv("DEVICE"), coze.WithAuthBaseURL(given))
		device, err := app.GetDeviceCode(ctx, nil)
		if err != nil {
			return failed(err)
		}
		return said{"token": device.DeviceCode}
	case "www":
		var page string
		_ = json.Unmarshal(with[1], &page)
		options := []coze.OAuthClientOption{coze.WithAuthBaseURL(text)}
		if d.page {
			options = append(options, coze.WithAuthWWWURL(page))
		}
		app, _ := coze.NewWebOAuthClient("a", "b", options...)
		return said{"url": app.GetOAuthURL(ctx, &coze.GetWebOAuthURLReq{RedirectURI: redirect})}
	case "link":
		app, _ := coze.NewPKCEOAuthClient(os.Getenv("PKCE"), d.options()...)
		var page, verifier string
		if d.page {
			page, d.state, verifier, _ = link(ctx, app, redirect)
		} else {
			made, _ := app.GetOAuthURL(ctx, &coze.GetPKCEOAuthURLReq{RedirectURI: redirect})
			page, verifier = made.AuthorizationURL, made.CodeVerifier
		}
		d.exchange = func(given string) (*coze.OAuthToken, error) {
			return app.GetAccessToken(ctx, &coze.GetPKCEAccessTokenReq{Code: given, RedirectURI: redirect, CodeVerifier: verifier})
		}
		return said{"url": page, "verifier": verifier}
	case "web_link":
		app, _ := coze.NewWebOAuthClient(os.Getenv("WEB"), "mock-web-secret", d.options()...)
		page := app.GetOAuthURL(ctx, &coze.GetWebOAuthURLReq{RedirectURI: redirect})
		if d.page {
			page, d.state = webLink(ctx, app, redirect)
		}
		d.exchange = func(given string) (*coze.OAuthToken, error) {
			return app.GetAccessToken(ctx, &coze.GetWebOAuthAccessTokenReq{Code: given, RedirectURI: redirect})
		}
		return said{"url": page}
	case "no_state":
		d.state = ""
		return said{}
	case "callback":
		var pairs map[string]string
		_ = json.Unmarshal(with[0], &pairs)
		query := url.Values{}
		for name, value := range pairs {
			query.Set(name, value)
		}
		given, err := query.Get("code"), error(nil)
		if d.page {
			given, err = code(query, d.state)
		}
		if err != nil {
			return failed(err)
		}
		return token(d.exchange(given))
	}
	return failed(errors.New("no such thing to do: " + what))
}

func main() {
	drives := map[string]*drive{}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var asked struct {
			How, Base, Do string
			With          []json.RawMessage
		}
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			panic(err)
		}
		if drives[asked.How+asked.Base] == nil {
			drives[asked.How+asked.Base] = &drive{page: asked.How == "page", base: asked.Base}
		}
		line, _ := json.Marshal(drives[asked.How+asked.Base].do(asked.Do, asked.With))
		fmt.Println(string(line))
	}
}
