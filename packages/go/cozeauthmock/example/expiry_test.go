// expiry_test.go
package example

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coze-dev/coze-go"

	"coze-auth.example/cozeauthmock"
)

func TestAServiceRenewsItsToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		world := cozeauthmock.NewWorld(t)
		client := world.Clock().Client()
		app := world.App("jwt")
		service := coze.NewJWTOAuthClientParam{ClientID: app.ClientID, PublicKey: app.KeyID, PrivateKeyPEM: app.PrivateKey}
		jwt, err := coze.NewJWTOAuthClient(service, coze.WithAuthBaseURL(world.BaseURL), coze.WithAuthHttpClient(client))
		if err != nil {
			t.Fatal(err)
		}
		auth := coze.NewJWTAuth(jwt, &coze.GetJWTAccessTokenReq{TTL: 600})
		api := coze.NewCozeAPI(auth, coze.WithBaseURL(world.BaseURL), coze.WithHttpClient(client))
		for range 2 {
			if _, err := api.Users.Me(context.Background()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(601 * time.Second) // passes at once
		}
		world.Verify(
			cozeauthmock.Exactly(2, cozeauthmock.OnGrant("jwt_bearer")),
			cozeauthmock.Exactly(2, cozeauthmock.OnEndpoint("users_me")),
		)
	})
}
