// login_test.go
package example

import (
	"context"
	"testing"

	"github.com/coze-dev/coze-go"

	"coze-auth.example/cozeauthmock"
)

const callback = "https://app.example/callback"

func TestAPersonLogsIn(t *testing.T) {
	t.Parallel()
	world := cozeauthmock.NewWorld(t)
	app := world.App("web")
	web, err := coze.NewWebOAuthClient(app.ClientID, app.ClientSecret, coze.WithAuthBaseURL(world.BaseURL))
	if err != nil {
		t.Fatal(err)
	}
	redirect := world.Authorize(web.GetOAuthURL(context.Background(), &coze.GetWebOAuthURLReq{RedirectURI: callback, State: "s1"}))
	back := redirect.Query()
	token, err := web.GetAccessToken(context.Background(), &coze.GetWebOAuthAccessTokenReq{Code: back.Get("code"), RedirectURI: callback})
	if err != nil {
		t.Fatal(err)
	}
	api := coze.NewCozeAPI(coze.NewTokenAuth(token.AccessToken), coze.WithBaseURL(world.BaseURL))
	me, err := api.Users.Me(context.Background())
	if err != nil || me.UserName != "alice" || back.Get("state") != "s1" {
		t.Fatal(me, err, back)
	}
	world.Verify(cozeauthmock.Order(cozeauthmock.OnEndpoint("authorize"), cozeauthmock.OnToken(), cozeauthmock.OnEndpoint("users_me")))
	if leaks := world.Leaks(); len(leaks) > 0 {
		t.Fatal("a secret where it does not belong:", leaks)
	}
}
