#!/bin/sh
# Coze's login in curl, as a program for `coze-auth-conformance run --url-mode curl='sh conformance/clients/url-mode/coze.sh'`.
# SPOIL=form sends forms, as OAuth has them: the suite must turn red.
set -eu
export LC_ALL=C
grant=$COZE_AUTH_FOLDER/grant.json

# token BEARER NAME=VALUE…: asks for a grant and keeps it.
token() {
    one_line "$1"
    bearer=$1 json='' && shift
    for member; do json="$json,\"${member%%=*}\":\"${member#*=}\""; done
    set -- --data "{${json#,}}" --header 'content-type: application/json'
    if [ "${SPOIL-}" = form ]; then set -- --data "$(echo "${json#,}" | sed 's/":"/=/g; s/","/\&/g; s/"//g')"; fi
    if [ -n "$bearer" ]; then set -- "$@" --header "authorization: Bearer $bearer"; fi
    set -- --output "$grant" --write-out '%{http_code}' "$@"
    [ "$(curl --silent --show-error "$@" "$COZE_API_BASE/api/permission/oauth2/token")" = 200 ] || refuse 'refused'
    [ -n "$(kept access_token)" ] || refuse 'no token'
}
# form URL NAME=VALUE…: a request of a workload, which is a form, with its lane.
form() {
    url=$1 && shift
    for member; do set -- "$@" --data-urlencode "$member" && shift; done
    if [ -n "$lane" ]; then set -- "$@" --header "x-tt-env: $lane"; fi
    case $lane in ppe_*) set -- "$@" --header 'x-use-ppe: 1' ;; esac
    [ "$(curl --silent --show-error --output "$grant" --write-out '%{http_code}' "$@" "$url")" = 200 ] || refuse 'refused'
    [ -n "$(kept access_token)" ] || refuse 'no token'
}
kept() { sed -n "s/.*\"$1\" *: *\"\([^\"]*\)\".*/\1/p" "$grant"; }
query() { printf '%s\n' "${COZE_AUTH_CALLBACK#*\?}" | tr '&' '\n' | sed -n "s/^$1=//p"; }
# A line break would begin another header.
one_line() { case $1 in *[![:graph:]]*) refuse 'that is no credential' ;; esac }
refuse() { echo "$COZE_AUTH_CASE: $1" >&2 && exit 1; }

case $COZE_AUTH_DO in
web.token | pkce.token)
    [ "$(query state)" = "$COZE_AUTH_STATE" ] || refuse 'another state'
    code=$(query code)
    case $code in '' | *[!A-Za-z0-9_.~-]*) refuse 'no code' ;; esac
    set -- "${COZE_AUTH_CLIENT_SECRET-}" "grant_type=authorization_code" "client_id=$COZE_AUTH_CLIENT_ID" \
        "redirect_uri=$COZE_AUTH_REDIRECT_URI" "code=$code"
    if [ -n "${COZE_AUTH_CODE_VERIFIER-}" ]; then set -- "$@" "code_verifier=$COZE_AUTH_CODE_VERIFIER"; fi
    token "$@"
    ;;
workload.token)
    id=${COZE_WORKLOAD_IDENTITY_CLIENT_ID-} secret=${COZE_WORKLOAD_IDENTITY_CLIENT_SECRET-} lane=${COZE_SERVER_ENV-}
    identity=${COZE_WORKLOAD_IDENTITY_TOKEN_ENDPOINT-} access=${COZE_WORKLOAD_ACCESS_TOKEN_ENDPOINT-}
    for setting in "$id" "$secret" "$identity" "$access"; do [ -n "$setting" ] || refuse 'a setting is missing'; done
    one_line "$id$secret$identity$access$lane"
    case $access in *[?#]*) refuse 'that is no endpoint' ;; esac
    if [ "$lane" = NONE ]; then lane=''; fi
    form "$identity" "client_id=$id" "client_secret=$secret" grant_type=client_credentials
    form "$access" "client_id=$id" "subject_token=$(kept access_token)" \
        subject_token_type=urn:ietf:params:oauth:token-type:id_token grant_type=urn:ietf:params:oauth:grant-type:token-exchange
    ;;
refresh)
    token "${COZE_AUTH_CLIENT_SECRET-}" grant_type=refresh_token "client_id=$COZE_AUTH_CLIENT_ID" \
        "refresh_token=${COZE_AUTH_REFRESH_TOKEN-$(kept refresh_token)}"
    ;;
api.call)
    token=${COZE_API_TOKEN-$(kept access_token)}
    one_line "$token"
    curl --silent --show-error --fail --header "authorization: Bearer $token" "$COZE_API_BASE/v1/users/me" | grep -q user_id
    ;;
*) exit 77 ;; # no such feature
esac
