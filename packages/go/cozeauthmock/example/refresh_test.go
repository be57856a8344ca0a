// refresh_test.go
package example

import (
	"context"
	"testing"

	"github.com/coze-dev/coze-go"

	"coze-auth.example/cozeauthmock"
)

func TestARefreshTokenWorksOnce(t *testing.T) {
	t.Parallel()
	world := cozeauthmock.NewWorld(t)
	app, err := coze.NewPKCEOAuthClient(world.App("pkce").ClientID, coze.WithAuthBaseURL(world.BaseURL))
	if err != nil {
		t.Fatal(err)
	}
	method := coze.CodeChallengeMethodS256
	login, err := app.GetOAuthURL(context.Background(), &coze.GetPKCEOAuthURLReq{RedirectURI: callback, Method: &method})
	if err != nil {
		t.Fatal(err)
	}
	code := world.Authorize(login.AuthorizationURL).Query().Get("code")
	first, err := app.GetAccessToken(context.Background(),
		&coze.GetPKCEAccessTokenReq{Code: code, RedirectURI: callback, CodeVerifier: login.CodeVerifier})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := app.RefreshToken(context.Background(), first.RefreshToken); err != nil {
		t.Fatal(err)
	}
	_, err = app.RefreshToken(context.Background(), first.RefreshToken)
	refused, is := coze.AsAuthError(err)
	if !is {
		t.Fatal("not a refusal:", err)
	}
	if why := world.Explain(refused.LogID); why == nil || why.Rule != "refresh.rotate" || why.Fix == "" {
		t.Fatal(why)
	}
}
