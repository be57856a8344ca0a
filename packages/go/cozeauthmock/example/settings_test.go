// settings_test.go
package example

import (
	"testing"
	"time"

	"coze-auth.example/cozeauthmock"
)

func TestShortTokens(t *testing.T) {
	t.Parallel()
	world := cozeauthmock.Settings{
		Config: "[ttl]\naccess = \"20s\"\n",
		Clock:  time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
		Seed:   1,
		Port:   true,
	}.NewWorld(t)
	if world.Clock().Now().Year() != 2026 || world.PortURL == "" {
		t.Fatal(world.Clock().Now(), world.PortURL)
	}
}
