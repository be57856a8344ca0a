//! A mock Coze auth server.
