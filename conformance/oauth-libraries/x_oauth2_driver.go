// The driver of golang.org/x/oauth2 (README.md). Its TokenSource refreshes by itself.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"

	"golang.org/x/oauth2"
)

type object = map[string]any

type program struct {
	given  map[string]string
	config oauth2.Config
	ctx    context.Context
	state  string
	client *http.Client
}

func (p *program) begin(given map[string]string) string {
	p.given, p.ctx, p.state = given, context.Background(), oauth2.GenerateVerifier()
	p.config = oauth2.Config{
		ClientID: given["client_id"], ClientSecret: given["client_secret"], RedirectURL: given["redirect_uri"],
		Endpoint: oauth2.Endpoint{AuthURL: given["authorize"], TokenURL: given["token"]},
	}
	if given["how"] == "by recipe" {
		p.config.Endpoint.AuthStyle = oauth2.AuthStyleInParams
		p.ctx = context.WithValue(p.ctx, oauth2.HTTPClient, &http.Client{Transport: Coze{given["client_secret"]}})
	}
	return p.config.AuthCodeURL(p.state)
}

func (p *program) callback(address string) (string, error) {
	callback, err := url.Parse(address)
	if err != nil {
		return "", err
	}
	if callback.Query().Get("state") != p.state {
		return "", errors.New("another state")
	}
	token, err := p.config.Exchange(p.ctx, callback.Query().Get("code"))
	if err != nil {
		return "", err
	}
	p.client = p.config.Client(p.ctx, token)
	return token.AccessToken, nil
}

func (p *program) profile() (string, error) {
	answer, err := p.client.Get(p.given["profile"])
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	var said struct {
		Name string
		Data struct {
			UserName string `json:"user_name"`
		}
	}
	if err := json.NewDecoder(answer.Body).Decode(&said); err != nil {
		return "", err
	}
	name := said.Name
	if p.given["how"] == "by recipe" {
		name = said.Data.UserName
	}
	if name == "" {
		return "", fmt.Errorf("no name: %s", answer.Status)
	}
	return name, nil
}

func main() {
	program, lines := program{}, bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var asked object
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			panic(err)
		}
		texts := map[string]string{}
		for name, value := range asked {
			texts[name], _ = value.(string)
		}
		said, err := object{}, error(nil)
		switch asked["do"] {
		case "clock":
			// Read by what the build puts in the place of time.Now (run.py).
			err = os.Setenv("AHEAD_S", strconv.FormatFloat(asked["seconds"].(float64), 'f', 0, 64))
		case "begin":
			said["url"] = program.begin(texts)
		case "callback":
			said["token"], err = program.callback(texts["url"])
		case "profile":
			said["name"], err = program.profile()
		}
		if err != nil {
			said = object{"error": err.Error(), "type": fmt.Sprintf("%T", errors.Unwrap(err))}
			if errors.Unwrap(err) == nil {
				said["type"] = fmt.Sprintf("%T", err)
			}
		}
		line, _ := json.Marshal(said)
		fmt.Println(string(line))
	}
}
