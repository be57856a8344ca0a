// The driver of golang.org/x/oauth2.
module oauth-libraries

go 1.26.0

require golang.org/x/oauth2 v0.38.0
