// Each auth call of coze-go, for record.py: the environment has BASE and KEY.
package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"

	"github.com/coze-dev/coze-go"
)

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func ptr[T any](value T) *T { return &value }

func main() {
	ctx, base, redirect := context.Background(), os.Getenv("BASE"), "https://app.example/cb"
	at := coze.WithAuthBaseURL(base)

	web := must(coze.NewWebOAuthClient("cid w", "sec", at))
	must(web.GetAccessToken(ctx, &coze.GetWebOAuthAccessTokenReq{Code: "code1", RedirectURI: redirect}))
	must(web.RefreshToken(ctx, "rt1"))

	pkce := must(coze.NewPKCEOAuthClient("cidp", at))
	url := must(pkce.GetOAuthURL(ctx, &coze.GetPKCEOAuthURLReq{RedirectURI: redirect, State: "s"}))
	must(pkce.GetAccessToken(ctx, &coze.GetPKCEAccessTokenReq{Code: "code1", RedirectURI: redirect, CodeVerifier: url.CodeVerifier}))
	must(pkce.RefreshToken(ctx, "rt1"))

	device := must(coze.NewDeviceOAuthClient("cidd", at))
	must(device.GetDeviceCode(ctx, nil))
	must(device.GetDeviceCode(ctx, &coze.GetDeviceOAuthCodeReq{WorkspaceID: ptr("ws1")}))
	must(device.GetAccessToken(ctx, &coze.GetDeviceOAuthAccessTokenReq{DeviceCode: "dc", Poll: true}))
	must(device.RefreshToken(ctx, "rt1"))

	param := coze.NewJWTOAuthClientParam{ClientID: "cidj", PublicKey: "kid1", PrivateKeyPEM: os.Getenv("KEY")}
	jwt := must(coze.NewJWTOAuthClient(param, at))
	bots := coze.BuildBotChat([]string{"b1"}, nil)
	parts := coze.BuildBotChat([]string{"b1"}, nil)
	parts.WorkspacePermission = &coze.ScopeWorkspacePermission{WorkspaceIdList: []string{"ws1"}, PermissionList: []string{"p1"}}
	parts.WorkflowPermission = &coze.ScopeWorkflowPermission{WorkflowIdList: []string{"wf1"}, PermissionList: []string{"p1"}}
	session := &coze.SessionContext{DeviceInfo: &coze.DeviceInfo{DeviceID: ptr("d1")}}
	consumer := &coze.SessionContext{DeviceInfo: &coze.DeviceInfo{CustomConsumer: ptr("c1")}}
	account, enterprise := ptr(int64(123)), ptr("volcano_1")
	for _, request := range []*coze.GetJWTAccessTokenReq{
		nil,
		{TTL: 3600},
		{Scope: bots, SessionName: ptr("s1")},
		{Scope: parts},
		{SessionContext: session},
		{SessionContext: consumer},
		{AccountID: account},
		{EnterpriseID: enterprise},
		{AccountID: account, EnterpriseID: enterprise},
	} {
		must(jwt.GetAccessToken(ctx, request))
	}
	// A base without a port, which leads to the recorder.
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, base[len("http://"):])
	}
	here := coze.WithAuthHttpClient(&http.Client{Transport: &http.Transport{DialContext: dial}})
	must(must(coze.NewJWTOAuthClient(param, coze.WithAuthBaseURL("http://api.example"), here)).GetAccessToken(ctx, nil))

	auth := coze.NewJWTAuth(jwt, &coze.GetJWTAccessTokenReq{TTL: 3600, Scope: bots, SessionName: ptr("s1"), AccountID: account})
	must(coze.NewCozeAPI(auth, coze.WithBaseURL(base)).Users.Me(ctx))
	fixed := coze.NewCozeAPI(coze.NewTokenAuth("pat_x"), coze.WithBaseURL(base))
	must(fixed.Users.Me(ctx))
	must(fixed.Workspaces.List(ctx, coze.NewListWorkspaceReq()))

	fmt.Println(web.GetOAuthURL(ctx, &coze.GetWebOAuthURLReq{RedirectURI: redirect, State: "s"}))
	fmt.Println(web.GetOAuthURL(ctx, &coze.GetWebOAuthURLReq{RedirectURI: redirect, State: "s", WorkspaceID: ptr("ws1")}))
	fmt.Println(url.AuthorizationURL)
	plain := &coze.GetPKCEOAuthURLReq{RedirectURI: redirect, State: "s", Method: ptr(coze.CodeChallengeMethodPlain), WorkspaceID: ptr("ws1")}
	fmt.Println(must(pkce.GetOAuthURL(ctx, plain)).AuthorizationURL)
}
