#!/bin/sh
# Go github.com/coze-dev/coze-go f47b4f2 (2026-04): WithLogLevel of NewCozeAPI is not of that client alone. Each NewCozeAPI writes the level of one logger of the package,
# with or without the option, and every client without a logger of its own prints through it.
#  1 A client prints its calls; after another client was made with LogLevelError, the first one prints none.
#  2 The write has no lock: tests or requests that make a client while another one prints are a data race, which `go test -race` with t.Parallel() fails for.
# Needs go. Nothing leaves this machine. Exit 0: behaves as described.
set -eu
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT; cd "$T"
cat > t.go <<'G'
package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"

	"github.com/coze-dev/coze-go"
)

func main() {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"code":0,"data":{"user_id":"1"}}`)
	}))
	defer s.Close()
	first := coze.NewCozeAPI(coze.NewTokenAuth("t"), coze.WithBaseURL(s.URL))
	if len(os.Args) > 1 {
		coze.NewCozeAPI(coze.NewTokenAuth("t"), coze.WithBaseURL(s.URL), coze.WithLogLevel(coze.LogLevelError))
	}
	first.Users.Me(context.Background())
}
G
cat > go.mod <<'M'
module t

go 1.22
M
GOFLAGS=-mod=mod GONOSUMDB='github.com/coze-dev/*' go get github.com/coze-dev/coze-go@v0.0.0-20260408095536-f47b4f256580 > get.log 2>&1 || { cat get.log; exit 2; }
go build -o t .
./t 2> alone; ./t other 2> beside
lines() { grep -c users/me "$1" || true; }
echo "lines of the first client: alone $(lines alone), beside another client $(lines beside)"
[ "$(lines alone)" -ge 1 ] && [ "$(lines beside)" = 0 ]
