// Flows of coze-go over Coze's variables (the file is -) or a coze_oauth_config.json: `flows KIND FILE …`. See run.py.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"strings"

	"github.com/coze-dev/coze-go"
)

var (
	ctx   = context.Background()
	stdin = bufio.NewReader(os.Stdin)
)

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func ask(what, value string) string {
	fmt.Println(what, value)
	return strings.TrimSpace(must(stdin.ReadString('\n')))
}

// settings are read as the SDK's own samples read them: the key only from a file.
func settings(kind string) *coze.OAuthConfig {
	variable := func(name string) string {
		return os.Getenv("COZE_" + strings.ToUpper(kind) + "_OAUTH_" + name)
	}
	config := &coze.OAuthConfig{
		ClientType: kind, CozeAPIBase: os.Getenv("COZE_API_BASE"), ClientID: variable("CLIENT_ID"),
		ClientSecret: variable("CLIENT_SECRET"), PublicKeyID: variable("PUBLIC_KEY_ID"),
	}
	if kind == "jwt" {
		config.PrivateKey = string(must(os.ReadFile(variable("PRIVATE_KEY_FILE_PATH"))))
	}
	return config
}

func redirect(kind string) string {
	if uri := os.Getenv("COZE_" + strings.ToUpper(kind) + "_OAUTH_REDIRECT_URI"); uri != "" {
		return uri
	}
	return "http://127.0.0.1:8080/callback" // as the quickstarts have it
}

func main() {
	for args := os.Args[1:]; len(args) > 1; args = args[2:] {
		kind, config := args[0], new(coze.OAuthConfig)
		if args[1] == "-" {
			config = settings(kind)
		} else if err := json.Unmarshal(must(os.ReadFile(args[1])), config); err != nil {
			log.Fatal(err)
		}
		var token *coze.OAuthToken
		switch app := must(coze.LoadOAuthAppFromConfig(config)).(type) {
		case *coze.WebOAuthClient:
			uri := redirect(kind)
			code := ask("OPEN", app.GetOAuthURL(ctx, &coze.GetWebOAuthURLReq{RedirectURI: uri, State: "s"}))
			token = must(app.GetAccessToken(ctx, &coze.GetWebOAuthAccessTokenReq{Code: code, RedirectURI: uri}))
			token = must(app.RefreshToken(ctx, token.RefreshToken))
		case *coze.PKCEOAuthClient:
			uri, method := redirect(kind), coze.CodeChallengeMethodS256
			url := must(app.GetOAuthURL(ctx, &coze.GetPKCEOAuthURLReq{RedirectURI: uri, State: "s", Method: &method}))
			code := ask("OPEN", url.AuthorizationURL)
			token = must(app.GetAccessToken(ctx, &coze.GetPKCEAccessTokenReq{Code: code, RedirectURI: uri, CodeVerifier: url.CodeVerifier}))
			token = must(app.RefreshToken(ctx, token.RefreshToken))
		case *coze.DeviceOAuthClient:
			device := must(app.GetDeviceCode(ctx, nil))
			ask("DEVICE", device.UserCode)
			token = must(app.GetAccessToken(ctx, &coze.GetDeviceOAuthAccessTokenReq{DeviceCode: device.DeviceCode, Poll: true}))
			token = must(app.RefreshToken(ctx, token.RefreshToken))
		case *coze.JWTOAuthClient:
			token = must(app.GetAccessToken(ctx, nil))
		}
		client := coze.NewCozeAPI(coze.NewTokenAuth(token.AccessToken), coze.WithBaseURL(config.CozeAPIBase))
		page := must(client.Workspaces.List(ctx, coze.NewListWorkspaceReq()))
		fmt.Println("DONE", kind, page.Items()[0].ID)
	}
}
