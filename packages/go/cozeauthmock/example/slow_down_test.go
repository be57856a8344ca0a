// slow_down_test.go
package example

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coze-dev/coze-go"

	"coze-auth.example/cozeauthmock"
)

func TestADeviceSlowsDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		world := cozeauthmock.NewWorld(t)
		app, err := coze.NewDeviceOAuthClient(world.App("device").ClientID,
			coze.WithAuthBaseURL(world.BaseURL), coze.WithAuthHttpClient(world.Clock().Client()))
		if err != nil {
			t.Fatal(err)
		}
		device, err := app.GetDeviceCode(context.Background(), &coze.GetDeviceOAuthCodeReq{})
		if err != nil {
			t.Fatal(err)
		}
		world.DecideDevice(device.UserCode, "approve")
		slower := cozeauthmock.ScriptStep{Error: "slow_down"}
		world.Script(cozeauthmock.OnGrant("device_code"), slower, slower)
		token, err := app.GetAccessToken(context.Background(), &coze.GetDeviceOAuthAccessTokenReq{DeviceCode: device.DeviceCode, Poll: true})
		if err != nil || token.RefreshToken == "" {
			t.Fatal(token, err)
		}
		world.Verify(cozeauthmock.Gaps(10*time.Second, cozeauthmock.OnGrant("device_code")))
	})
}
