//! Credentials in the environment, under the names that Coze's own documents and SDKs have (docs/protocol.md §9).

pub(crate) const API_BASE: &str = "COZE_API_BASE";
pub(crate) const WWW_BASE: &str = "COZE_WWW_BASE";
pub(crate) const KEY_FILE: &str = "COZE_JWT_OAUTH_PRIVATE_KEY_FILE_PATH";
pub(crate) const TOKEN: &str = "COZE_API_TOKEN";

/// Kind of app, argument of `client.new`, variable.
pub(crate) const OF_APPS: [(&str, &str, &str); 13] = [
    ("web", "client_id", "COZE_WEB_OAUTH_CLIENT_ID"),
    ("web", "client_secret", "COZE_WEB_OAUTH_CLIENT_SECRET"),
    ("pkce", "client_id", "COZE_PKCE_OAUTH_CLIENT_ID"),
    ("device", "client_id", "COZE_DEVICE_OAUTH_CLIENT_ID"),
    ("jwt", "client_id", "COZE_JWT_OAUTH_CLIENT_ID"),
    ("jwt", "key_id", "COZE_JWT_OAUTH_PUBLIC_KEY_ID"),
    ("jwt", "private_key", "COZE_JWT_OAUTH_PRIVATE_KEY"),
    ("workload", "client_id", "COZE_WORKLOAD_IDENTITY_CLIENT_ID"),
    (
        "workload",
        "client_secret",
        "COZE_WORKLOAD_IDENTITY_CLIENT_SECRET",
    ),
    (
        "workload",
        "identity_endpoint",
        "COZE_WORKLOAD_IDENTITY_TOKEN_ENDPOINT",
    ),
    (
        "workload",
        "access_endpoint",
        "COZE_WORKLOAD_ACCESS_TOKEN_ENDPOINT",
    ),
    (
        "workload",
        "outbound_endpoint",
        "COZE_OUTBOUND_AUTH_ENDPOINT",
    ),
    ("workload", "lane", "COZE_SERVER_ENV"),
];

/// Of an app's redirect URI.
pub(crate) const REDIRECT_URIS: [(&str, &str); 2] = [
    ("web", "COZE_WEB_OAUTH_REDIRECT_URI"),
    ("pkce", "COZE_PKCE_OAUTH_REDIRECT_URI"),
];
