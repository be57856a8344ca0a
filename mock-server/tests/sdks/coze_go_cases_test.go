// coze-go judges the mock: `run.py` starts it, and says on standard input what the mock and its worlds are.

// go.mod names an older Go, whose timers know no virtual time.
//
//go:debug asynctimerchan=0
package judge

import "testing"

// A test only since virtual time is for tests.
func TestCozeGo(test *testing.T) {
	judge(test, append(flows, refusals...), "coze-go "+version("github.com/coze-dev/coze-go"))
}
