// How a refusal of coze-go is judged: the error that it returns, and the journal.
package judge

import (
	"fmt"

	"github.com/coze-dev/coze-go"
)

// authError is the SDK's own error of an OAuth endpoint.
func authError(token *coze.OAuthToken, err error) *coze.AuthError {
	why, is := coze.AsAuthError(err)
	if !is {
		fail("expected an AuthError, the SDK returned an error %v and a token %t", err, token != nil)
	}
	return why
}

// told is what the SDK keeps of an OAuth error: all of it.
func told(m *Mock, why *coze.AuthError, wanted want, message string) {
	expect(
		"status, code, message and param of the SDK's error",
		[]any{wanted.status, wanted.error, message, wanted.error},
		[]any{why.HttpCode, why.Code.String(), why.ErrorMessage, why.Param},
	)
	m.explained(why.LogID, wanted.rule)
}

func refused(m *Mock, token *coze.OAuthToken, err error, wanted want, message string) {
	why := authError(token, err)
	wanted.logid = why.LogID
	m.saw("token", wanted)
	told(m, why, wanted, message)
}

type call func() (*coze.OAuthToken, error)

func badGrant(m *Mock, call call, rule, what string) {
	token, err := call()
	refused(m, token, err, want{status: 400, error: "invalid_grant", rule: rule}, "invalid grant: "+what)
}

func badClient(m *Mock, call call, rule, what string) {
	token, err := call()
	refused(m, token, err, want{status: 401, error: "invalid_client", rule: rule}, "invalid client: "+what)
}

func jwtRefused(m *Mock, call call, rule, message string) {
	token, err := call()
	refused(m, token, err, want{status: 401, error: "invalid_client", rule: rule, grant: "jwt_bearer"}, message)
}

// deviceRefused is the end of a device grant; so many polls were pending before it.
func deviceRefused(m *Mock, token *coze.OAuthToken, err error, last want, message string, polls int) {
	why := authError(token, err)
	before := make([]want, polls)
	for number := range before {
		before[number] = pending
	}
	last.logid = why.LogID
	checkPolls(m, last, before...)
	told(m, why, last, message)
}

func tokenRefused(m *Mock, accessToken, rule string) {
	_, err := api(m, coze.NewTokenAuth(accessToken)).Users.Me(ctx)
	why, is := coze.AsCozeError(err)
	if !is {
		fail("expected an Error, the SDK returned %v", err)
	}
	m.saw("users_me", want{status: 401, logid: why.LogID, error: "4100", rule: rule})
	m.explained(why.LogID, rule)
	expect("code and message of the SDK's error", "4100 authentication is invalid", fmt.Sprint(why.Code, " ", why.Message))
}

// loginRefused: the SDK only builds this URL; the person's browser gets the refusal, and is never sent elsewhere.
func loginRefused(m *Mock, url string, wanted want) {
	status, logid, location := m.openAsBrowser(url)
	expect("status and Location of the authorize page", []any{wanted.status, ""}, []any{status, location})
	wanted.logid = logid
	m.saw("authorize", wanted)
	m.explained(logid, wanted.rule)
}
