// The smallest shim in Go: of a library that can ask whose a token is. a-shim-in-go.md shows it whole.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"time"
)

type object = map[string]any

func whoami(base, token string) object { // the library under test; yours is called instead
	request, err := http.NewRequest("GET", base+"/v1/users/me", nil)
	if err != nil {
		return object{"err": object{"kind": "config", "message": err.Error()}}
	}
	request.Header.Set("authorization", "Bearer "+token)
	reply, err := (&http.Client{Timeout: 10 * time.Second}).Do(request)
	if err != nil {
		return object{"err": object{"kind": "transport", "message": err.Error()}}
	}
	defer reply.Body.Close()
	var told struct {
		Code int
		Data struct{ User_ID *string }
	}
	err = json.NewDecoder(reply.Body).Decode(&told)
	if reply.StatusCode != 200 { // refused: what the library tells of it, and nothing else
		logid, code := reply.Header.Get("x-tt-logid"), fmt.Sprint(told.Code)
		return object{"err": object{"kind": "api", "code": code, "http_status": reply.StatusCode, "logid": logid, "message": reply.Status}}
	} else if err != nil || told.Data.User_ID == nil {
		return object{"err": object{"kind": "parse", "message": fmt.Sprint("not a user: ", err)}}
	}
	return object{"ok": object{"user_id": *told.Data.User_ID}}
}

func main() {
	lines, base := bufio.NewReader(os.Stdin), ""
	for {
		line, end := lines.ReadBytes('\n')
		var asked struct {
			ID   any
			Op   string
			Args struct{ Base_URL, Token string }
		}
		wrong := json.Unmarshal(line, &asked)
		answer := object{"unsupported": "the library has no call for it"}
		switch args := asked.Args; {
		case end != nil || asked.Op == "exit":
			return
		case wrong != nil || asked.Op == "" || asked.Op == "case" && args.Base_URL == "": // a line that cannot be
			answer = object{"err": object{"kind": "protocol", "message": fmt.Sprint("not a request: ", wrong)}}
		case asked.Op == "hello":
			answer = object{"ok": object{"protocol": 1, "name": "first", "version": "1", "language": "go", "runtime": runtime.Version(), "caps": []string{"api"}}}
		case asked.Op == "case":
			base, answer = args.Base_URL, object{"ok": object{}}
		case asked.Op == "api.call" && base != "" && args.Token != "":
			answer = whoami(base, args.Token)
		}
		answer["id"] = asked.ID
		json.NewEncoder(os.Stdout).Encode(answer)
	}
}
