// The JWT grant of cozeloop-go, for record.py: the environment has BASE and KEY.
package main

import (
	"context"
	"log"
	"os"

	"github.com/coze-dev/cozeloop-go"
)

func main() {
	ctx := context.Background()
	client, err := cozeloop.NewClient(cozeloop.WithWorkspaceID("ws1"), cozeloop.WithAPIBaseURL(os.Getenv("BASE")),
		cozeloop.WithJWTOAuthClientID("cidj"), cozeloop.WithJWTOAuthPublicKeyID("kid1"), cozeloop.WithJWTOAuthPrivateKey(os.Getenv("KEY")))
	if err != nil {
		log.Fatal(err)
	}
	ctx, span := client.StartSpan(ctx, "record", "custom")
	span.Finish(ctx)
	client.Close(ctx) // sends the span
}
