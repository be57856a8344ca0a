// gateway_test.go
package example

import (
	"context"
	"strings"
	"testing"

	"github.com/coze-dev/coze-go"

	"coze-auth.example/cozeauthmock"
)

func TestAPageOfAGateway(t *testing.T) {
	t.Parallel()
	world := cozeauthmock.NewWorld(t)
	api := coze.NewCozeAPI(coze.NewTokenAuth(world.ConsoleToken("pat")), coze.WithBaseURL(world.BaseURL))
	page := world.Fault(cozeauthmock.OnEndpoint("users_me"), cozeauthmock.Fault{
		Kind: "status", Status: 502, Body: "<html>Bad Gateway</html>", Header: map[string]string{"content-type": "text/html"},
	})
	if _, err := api.Users.Me(context.Background()); err == nil || !strings.Contains(err.Error(), "502") || page.Fired() != 1 {
		t.Fatal(err)
	}
	page.Remove()
	if me, err := api.Users.Me(context.Background()); err != nil || me.UserName != "alice" {
		t.Fatal(me, err)
	}
}
