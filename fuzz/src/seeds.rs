//! What the fuzzer begins with: real shapes, taken from where they are written and from what the mock answers, so that they cannot grow old.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use coze_auth_mock::{ClockHandle, CozeAuthMock, DeviceAction, SAMPLE_CONFIG, Shadow};
use http::{Request, Response};
use serde_json::{Value, json};

const WEB: &str = "11111111111111111111111111111111.app.coze";
const PKCE: &str = "22222222222222222222222222222222.app.coze";
const DEVICE: &str = "33333333333333333333333333333333.app.coze";
const WORKLOAD: &str = "55555555555555555555555555555555";
const CALLBACK: &str = "http://localhost:8080/callback";
const TOKEN: &str = "/api/permission/oauth2/token";
const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

fn file(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let path: PathBuf = root.join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A seed of each shape for a target.
///
/// # Panics
///
/// If a page or a capture of the repository is not there.
pub fn seeds(target: &str) -> Vec<Vec<u8>> {
    let all: Vec<String> = match target {
        "envelope" => envelope(),
        "callback" => callback(),
        "oauth_config" => oauth_config(),
        "mock_config" => mock_config(),
        "pem" => pem(),
        "environment" => environment(),
        "grants" => grants(),
        "control" => control(),
        "shim" => shim(),
        "bridge" => bridge(),
        "record" => record(),
        _ => Vec::new(),
    };
    all.into_iter().map(String::into_bytes).collect()
}

/// A conversation with the mock, as requests and answers in the text forms of the targets.
struct Talk {
    mock: CozeAuthMock,
    requests: Vec<String>,
    answers: Vec<String>,
}

fn head(request: &Request<Bytes>) -> String {
    let mut text = format!("{} {}", request.method(), request.uri());
    for (name, value) in request.headers() {
        text += &format!("\n{name}: {}", String::from_utf8_lossy(value.as_bytes()));
    }
    text + "\n\n" + &String::from_utf8_lossy(request.body())
}

fn answer(response: &Response<Bytes>) -> String {
    let mut text = response.status().as_u16().to_string();
    for (name, value) in response.headers() {
        text += &format!("\n{name}: {}", String::from_utf8_lossy(value.as_bytes()));
    }
    text + "\n\n" + &String::from_utf8_lossy(response.body())
}

impl Talk {
    fn new() -> Self {
        let clock = ClockHandle::frozen_at(Duration::from_secs(1_790_000_000));
        let mock = CozeAuthMock::builder().seed(1).clock(clock).build();
        Self {
            mock: mock.expect("a mock"),
            requests: Vec::new(),
            answers: Vec::new(),
        }
    }

    fn ask(&mut self, method: &str, target: &str, bearer: &str, kind: &str, body: &str) -> Value {
        let mut request = Request::builder().method(method).uri(target);
        if !bearer.is_empty() {
            request = request.header("authorization", format!("Bearer {bearer}"));
        }
        if !kind.is_empty() {
            request = request.header("content-type", kind);
        }
        let request = request.body(Bytes::from(body.to_owned()));
        let request = request.expect("a request");
        self.requests.push(head(&request));
        let response = self.mock.call_blocking(request);
        self.answers.push(answer(&response));
        serde_json::from_slice(response.body()).unwrap_or_default()
    }

    fn post(&mut self, target: &str, bearer: &str, body: &Value) -> Value {
        self.ask(
            "POST",
            target,
            bearer,
            "application/json",
            &body.to_string(),
        )
    }

    fn code(&mut self, client_id: &str, more: &str) -> String {
        let url = format!(
            "/api/permission/oauth2/authorize?response_type=code&client_id={client_id}&redirect_uri={CALLBACK}&state=s{more}"
        );
        let decided = self.post(
            "/_mock/v1/authorize",
            "",
            &json!({ "url": url, "action": "approve" }),
        );
        let redirect = decided["redirect"].as_str().unwrap_or_default().to_owned();
        let code = redirect.split_once("code=").map_or("", |(_, rest)| rest);
        code.split('&').next().unwrap_or_default().to_owned()
    }

    /// Every flow, with what goes wrong in it.
    fn flows() -> Self {
        let mut talk = Self::new();
        let text = |value: &Value, name: &str| value[name].as_str().unwrap_or_default().to_owned();
        let code = talk.code(WEB, "");
        let exchange = json!({ "grant_type": "authorization_code", "client_id": WEB, "code": code, "redirect_uri": CALLBACK });
        let grant = talk.post(TOKEN, "mock-web-secret", &exchange);
        talk.post(TOKEN, "mock-web-secret", &exchange);
        talk.post(TOKEN, "Sentinel-client-secret-91f3", &exchange);
        let refresh = json!({ "grant_type": "refresh_token", "client_id": WEB, "refresh_token": text(&grant, "refresh_token") });
        let grant = talk.post(TOKEN, "mock-web-secret", &refresh);
        talk.post(TOKEN, "mock-web-secret", &refresh);
        let access = text(&grant, "access_token");
        talk.ask("GET", "/v1/users/me", &access, "", "");
        talk.ask(
            "GET",
            "/v1/workspaces?page_num=1&page_size=10",
            &access,
            "",
            "",
        );
        talk.ask("GET", "/v1/users/me", "Sentinel-access-token-91f3", "", "");
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let code = talk.code(PKCE, "&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256");
        talk.post(TOKEN, "", &json!({ "grant_type": "authorization_code", "client_id": PKCE, "code": code, "redirect_uri": CALLBACK, "code_verifier": verifier }));
        let started = talk.post(
            "/api/permission/oauth2/device/code",
            "",
            &json!({ "client_id": DEVICE }),
        );
        let poll = json!({ "grant_type": DEVICE_GRANT, "client_id": DEVICE, "device_code": started["device_code"] });
        talk.post(TOKEN, "", &poll);
        talk.post(TOKEN, "", &poll);
        let _ = talk
            .mock
            .decide_device(&text(&started, "user_code"), DeviceAction::Approve);
        talk.post("/_mock/v1/clock", "", &json!({ "advance_ms": 10_000 }));
        talk.post(TOKEN, "", &poll);
        talk.post(TOKEN, "no.jwt.at-all", &json!({ "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "duration_seconds": 900 }));
        let form = "application/x-www-form-urlencoded";
        let secret = talk
            .mock
            .variable("COZE_WORKLOAD_IDENTITY_CLIENT_SECRET")
            .unwrap_or_default();
        let id = talk.ask(
            "POST",
            "/.well-known/token",
            "",
            form,
            &format!("grant_type=client_credentials&client_id={WORKLOAD}&client_secret={secret}"),
        );
        let exchange = format!(
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&client_id={WORKLOAD}&subject_token={}&subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aid_token",
            text(&id, "access_token")
        );
        let access = talk.ask("POST", "/.well-known/token", "", form, &exchange);
        let access = text(&access, "access_token");
        talk.post(
            "/api/v1/secret/integration",
            &access,
            &json!({ "integration_name": "integration-feishu-base" }),
        );
        talk.ask("GET", "/api/v1/secret/env", &access, "", "");
        talk.ask("GET", "/_mock/v1/requests?limit=2", "", "", "");
        talk.ask("POST", "/nowhere", "", "text/plain", "x");
        talk
    }
}

/// What the page of the protocol shows of answers.
fn documented() -> Vec<String> {
    let page = file("docs/protocol.md");
    let spans = page.split('`').skip(1).step_by(2);
    let objects = spans.filter(|span| span.starts_with("{\"") && span.ends_with('}'));
    objects.map(str::to_owned).collect()
}

fn envelope() -> Vec<String> {
    let mut all = Talk::flows().answers;
    for body in documented() {
        all.push(format!("200\n\n{body}"));
        all.push(format!("400\ncontent-type: application/json\n\n{body}"));
    }
    let date =
        "date: Mon, 21 Sep 2026 13:46:40 GMT\nage: 3\nretry-after: 7\nx-tt-logid: 20260921LOG";
    for secret in crate::envelope::SECRETS {
        all.push(format!("401\n{date}\n\n{{\"error_code\":\"invalid_client\",\"error_message\":\"no {secret} of yours\",\"error\":\"x\"}}"));
        all.push(format!("200\n\n{{\"code\":4100,\"msg\":\"\\u0053entinel {secret}\\u200b\",\"detail\":{{\"logid\":\"{secret}\"}}}}"));
    }
    for status in ["302", "429", "500", "502", "503", "204"] {
        all.push(format!(
            "{status}\n{date}\nlocation: https://other.example/\n\n<html>busy</html>"
        ));
        all.push(format!("{status}\nretry-after: Mon, 21 Sep 2026 13:47:40 GMT\n\n{{\"code\":5000,\"msg\":\"busy\"}}"));
    }
    let grant = r#"{"access_token":"Sentinel-answer-token-4711-aaaaaaaa","refresh_token":"Sentinel-next","expires_in":1790000900,"token_type":"Bearer"}"#;
    all.push(format!("200\n\n\u{feff} {grant}\r\n"));
    all.push(format!(
        "200\n\n{}",
        grant.replace("1790000900", "\"1790000900.5\"")
    ));
    all.push(format!("200\n\n{}", grant.replace("1790000900", "900")));
    all.push(format!(
        "200\n\n{}",
        grant.replace("\"token_type\"", "\"expires_in\":1,\"token_type\"")
    ));
    all.push("400\ncontent-encoding: gzip\n\nnot gzip".to_owned());
    all.push("400\ncontent-encoding: br, gzip\n\nx".to_owned());
    all.push(
        "428\n\n{\"error\":\"authorization_pending\",\"error_description\":\"wait\"}".to_owned(),
    );
    all.push("400\n\n{\"error\":\"slow_down\",\"interval\":10}".to_owned());
    all.push(format!(
        "400\n\n{{\"error\":\"expired_token\",\"a\":{}1{}}}",
        "[".repeat(60),
        "]".repeat(60)
    ));
    all
}

fn callback() -> Vec<String> {
    let redirects = [
        "https://app.example/callback?tenant=5",
        "http://127.0.0.1:8414/callback",
        "http://localhost/cb",
        "http://[::1]:80/",
        "https://app.example/#/cb",
        "https://app.example/cb?code=1",
        "https://app.example\\@other.example/",
        "https://user:Sentinel@app.example/",
        "Sentinel-not-a-url",
    ];
    let callbacks = [
        "code=Sentinel-code&state={state}",
        "/callback?code=Sentinel-code&state={state}",
        "https://app.example/callback?tenant=5&code=Sentinel%2Dcode&state={state}#",
        "GET /callback?state={state}&code=a+b HTTP/1.1\r\nHost: app.example\r\n\r\n",
        "https://app.example/#/cb?code=Sentinel&state={state}",
        "?error=access_denied&error_description=no%20%E6%89%A3&state={state}",
        "code=one&code=two&state={state}",
        "code=Sentinel&state=of-another",
        "code=&state={state}",
        "code=%00&state={state}",
        "error=%1b[31m&state={state}",
    ];
    let pairs = callbacks.iter().zip(redirects.iter().cycle());
    let mut all: Vec<String> = pairs
        .map(|(callback, redirect)| format!("{redirect}\n%%\n{callback}"))
        .collect();
    all.extend(redirects.map(str::to_owned));
    all
}

fn oauth_config() -> Vec<String> {
    let base = r#""client_id":"1234.app.coze","coze_api_base":"https://api.coze.cn""#;
    let key = crate::pem::KEY.replace('\n', "\\n");
    vec![
        format!(r#"{{"client_type":"device",{base}}}"#),
        format!("{{\n  \"client_type\": \"pkce\",\n  {base},\n  \"coze_www_base\": \"https://www.coze.cn\"\n}}\n"),
        format!(r#"{{"client_type":"web",{base},"client_secret":"Sentinel-of-the-console-0123"}}"#),
        format!(r#"{{"client_type":"jwt",{base},"public_key_id":"mock-jwt-key-1","private_key":"{key}"}}"#),
        format!(r#"{{"client_type":"jwt","client_id":100000000001,"coze_api_base":"https://api.coze.com","public_key_id":7,"private_key":"-----BEGIN PRIVATE KEY-----\nSentinel"}}"#),
        format!("// mine\n{{'client_type': 'web', /* a */ {base}, 'client_secret': 'Sentinel-a\\u0062c',}}"),
        r#"{"client_type":"web","client_secret":null,"client_secret":"Sentinel","x":[1,{"y":false}]}"#.to_owned(),
        r#"{"client_type":"other","client_id":"","coze_api_base":"ftp://Sentinel@x"}"#.to_owned(),
        "{\"client_type\":\"jwt\",\"private_key\":\"-----BEGIN\nSentinel\n\"".to_owned(),
    ]
}

fn mock_config() -> Vec<String> {
    let sample: String = SAMPLE_CONFIG
        .lines()
        .filter(|line| !line.contains("tls") && !line.contains("_file"))
        .map(|line| format!("{line}\n"))
        .collect();
    // Each line that the sample has in a comment, said.
    let said = sample.lines().filter_map(|line| line.strip_prefix("# "));
    let said: Vec<&str> = said
        .filter(|line| line.contains(" = ") && !line.contains('.'))
        .collect();
    let options = "listen=127.0.0.1:0\npublic_url=http://mock:9777\nallowed_origins=https://a.example,null\nallowed_hosts=mock.test\nadmin_token=Sentinel-admin\nrule=code.single_use\njournal=5\nmax_memory_mb=64\nseed=3\nallow_other_machines=1";
    let mut all = vec![
        sample.clone(),
        format!("{}\n%%\n{options}", said.join("\n")),
        "[[app]]\nkind = \"web\"\nclient_id = \"w\"\nclient_secret = \"Sentinel-secret\"\nredirect_uris = [\"https://a.example/cb\"]\nconsent = \"approve\"\n".to_owned(),
        "[[fault]]\non = { endpoint = \"token\", grant = \"refresh_token\" }\ntimes = 1\nskip = 2\nprobability = 0.5\nfault = { kind = \"status\", status = 502 }\n".to_owned(),
        "[[api]]\nmethod = \"GET\"\npath = \"/v1/bots/{bot_id}\"\njson = { code = 0, data = { name = \"Mock\" } }\n".to_owned(),
        "[ttl]\naccess = \"1h30m\"\nrefresh = 60\n[answers]\n\"refresh.rotate\" = \"401:invalid_client\"\n[rules]\n\"code.single_use\" = \"off\"\n[clock]\nmode = \"frozen\"\nstart = \"2026-01-01T00:00:00Z\"\n".to_owned(),
        "seed = -1\nlisten = 5\npublc_url = \"x\"\n[limits]\ngrants = 0\n".to_owned(),
    ];
    for block in sample.split("\n\n").filter(|block| block.contains(" = ")) {
        all.push(block.to_owned());
    }
    all
}

fn pem() -> Vec<String> {
    let key = "-----BEGIN PRIVATE KEY-----\n{key}\n-----END PRIVATE KEY-----\n";
    let rsa = key.replace("PRIVATE", "RSA PRIVATE");
    vec![
        key.to_owned(),
        key.replace('\n', "\\n"),
        key.replace('\n', " "),
        format!("\u{feff}\"{key}\""),
        format!("{key}{key}"),
        "{key}".to_owned(),
        rsa,
        key.replace("-----", "—"),
        key.replace("PRIVATE", "ENCRYPTED PRIVATE"),
        key.replace("PRIVATE", "PUBLIC"),
        key.replace("PRIVATE", "EC PRIVATE"),
        key.replace("\n{key}", "\nProc-Type: 4,ENCRYPTED\n\n{key}"),
        key.replace("{key}", "{key}AAAA"),
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----".to_owned(),
        "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----".to_owned(),
        "LS0tLS1CRUdJTiBQUklWQVRFIEtFWS0tLS0tCk1JSUU=".to_owned(),
        "/home/me/key.pem".to_owned(),
        "ssh-rsa AAAAB3NzaC1yc2E= me".to_owned(),
        "{\"kty\":\"RSA\"}".to_owned(),
        "%2D%2D%2D%2D%2DBEGIN+PRIVATE+KEY%2D%2D%2D%2D%2D%0A\\u002d\\x2d`n{key}".to_owned(),
    ]
}

fn environment() -> Vec<String> {
    let mock = CozeAuthMock::builder().seed(1).build().expect("a mock");
    let mut own = String::new();
    for (name, value) in mock.variables() {
        own += &format!("{name}={}\n", value.replace('\n', "\\n"));
    }
    vec![
        own,
        "COZE_API_BASE=https://api.coze.com\nCOZE_API_TOKEN=pat_Sentinel-0123\nCOZE_WEB_OAUTH_CLIENT_ID=1.app.coze\nCOZE_WEB_OAUTH_CLIENT_SECRET=Sentinel-secret\nCOZE_WEB_OAUTH_REDIRECT_URI=http://localhost:8080/cb".to_owned(),
        "COZE_JWT_OAUTH_CLIENT_ID=1\nCOZE_JWT_OAUTH_PUBLIC_KEY_ID=k\nCOZE_JWT_OAUTH_PRIVATE_KEY_FILE_PATH=~/key.pem\nFILE=Sentinel".to_owned(),
        "COZELOOP_JWT_OAUTH_CLIENT_ID=1\nCOZELOOP_JWT_OAUTH_PRIVATE_KEY=-----BEGIN PRIVATE KEY-----\\nSentinel".to_owned(),
        "HTTPS_PROXY=http://user:Sentinel@proxy.example:3128\nHTTP_PROXY=socks5://Sentinel\nNO_PROXY=*.internal,10.0.0.0/8,[::1],api.example:8080".to_owned(),
        "ALL_PROXY=proxy.example\nREQUEST_METHOD=GET\nhttp_proxy=http://x:1\nno_proxy=*".to_owned(),
        "COZE_API_BASE=http://Sentinel:8080/x?y\nCOZE_WWW_BASE=x\nCOZE_API_TOKEN=Bearer Sentinel\nCOZE_PKCE_OAUTH_CLIENT_ID=\"1\"\nCOZE_DEVICE_OAUTH_CLIENT_ID=${ID}".to_owned(),
    ]
}

fn grants() -> Vec<String> {
    let grant = r#"{"access_token":"Sentinel-access-0123456789abcdef","refresh_token":"Sentinel-refresh","issued_at":1790000000,"expires_at":1790000900,"clock_skew":-5}"#;
    let record = |version: u32, subject: &str| {
        format!(
            "file\n{{\"version\":{version},\"api_base\":\"https://api.coze.cn\",\"client_id\":\"1234.app.coze\",\"subject\":\"{subject}\",\"grant\":{grant}}}\n"
        )
    };
    let login = r#"{"state":"Sentinel-state","code_verifier":"0123456789012345678901234567890123456789012","redirect_uri":"https://a.example/cb","client_id":"1","api_base":"https://api.coze.cn"}"#;
    vec![
        format!("grant\n{grant}"),
        format!(
            "grant\n{}",
            grant.replace("\"refresh_token\":\"Sentinel-refresh\",", "")
        ),
        "grant\n{\"access_token\":\"\",\"expires_at\":-1}".to_owned(),
        format!("login\n{login}"),
        record(1, "alice"),
        record(1, "bob"),
        record(2, "alice"),
        record(1, "al\\u0069ce"),
        "file\n".to_owned(),
        "file\n{\"version\":1".to_owned(),
        "sealed\n{sealed}".to_owned(),
        "sealed\n{sealed}A".to_owned(),
        "sealed\n{head}AAAA".to_owned(),
        "sealed\n{head}".to_owned(),
        "sealed\nsealed1:2026-11:00000000:AAAA".to_owned(),
        "sealed\nsealed2:x".to_owned(),
        "sealed\nsealed1:other:Sentinel:".to_owned(),
        format!("sealed\n{grant}"),
        "seal key\n2026-11\nq0ck0jzjDlW8d2bq6YhXz0hN3gkP1mV5sT7uWxYzA4E=".to_owned(),
        "seal key\n2025\n9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f07070707070707070707070707070707"
            .to_owned(),
        "seal key\nSentinel key\n\"Sentinel\"".to_owned(),
    ]
}

/// Requests that released SDKs were seen to send.
fn captured() -> Vec<String> {
    let mut all = Vec::new();
    for name in [
        "cozepy", "cozejs", "cozego", "cozejava", "cozeloop", "workload",
    ] {
        for line in file(&format!("conformance/tests/captures/{name}.jsonl")).lines() {
            let seen: Value = serde_json::from_str(line).expect("JSON");
            let text = |name: &str| seen[name].as_str().unwrap_or_default().to_owned();
            let mut request = format!("{} {}", text("method"), text("target"));
            for (name, value) in seen["headers"].as_object().into_iter().flatten() {
                request += &format!("\n{name}: {}", value.as_str().unwrap_or_default());
            }
            let body = match &seen["body"] {
                Value::Null => String::new(),
                Value::String(body) => body.clone(),
                body => body.to_string(),
            };
            all.push(format!("{request}\n\n{body}"));
        }
    }
    all
}

fn control() -> Vec<String> {
    let talk = Talk::flows();
    let mut all: Vec<String> = talk
        .requests
        .chunks(4)
        .map(|some| some.join("\n%%\n"))
        .collect();
    all.extend(captured().chunks(6).map(|some| some.join("\n%%\n")));
    // Every call of the control plane with the example of its document.
    let document = talk.mock.openapi();
    for (path, methods) in document["paths"].as_object().into_iter().flatten() {
        for (method, call) in methods.as_object().into_iter().flatten() {
            let examples = &call["requestBody"]["content"]["application/json"];
            let mut bodies: Vec<String> = Vec::new();
            if !examples["example"].is_null() {
                bodies.push(examples["example"].to_string());
            }
            for example in examples["examples"].as_object().into_iter().flatten() {
                bodies.push(example.1["value"].to_string());
            }
            if bodies.is_empty() {
                bodies.push(String::new());
            }
            let path = path.replace(['{', '}'], "");
            for body in bodies {
                let method = method.to_uppercase();
                all.push(format!("{method} {path}\ncontent-type: application/json\n\n{body}\n%%\nPOST {TOKEN}\nauthorization: Bearer Sentinel\ncontent-type: application/json\n\n{{\"grant_type\":\"refresh_token\"}}\n%%\nGET /_mock/v1/requests\n\n"));
            }
        }
    }
    all.push("GET /v1/users/me\nauthorization: Bearer Sentinel-of-a-client-0123\n\n".to_owned());
    all.push("POST /_mock/v1/worlds\n\n{\"name\":\"w1\",\"seed\":42,\"config\":\"[ttl]\\naccess = 60\"}\n%%\nGET /t/w1/_mock/v1/info\n\n".to_owned());
    all
}

fn shim() -> Vec<String> {
    let hello = r#"{"id":1,"ok":{"protocol":1,"name":"sh","version":"1","language":"sh","runtime":"sh","caps":["device","clock","cancel"]}}"#;
    let start = r#"{"op":"device.start","args":{"client":"c","as":"d"}}"#;
    let answers = [
        r#"{"id":2,"ok":{"user_code":"A","verification_uri":"https://x.example/","expires_in":300,"interval":5}}"#,
        r#"{"id":2,"err":{"kind":"oauth","code":"invalid_client","http_status":400,"logid":"x","message":"no"}}"#,
        r#"{"id":2,"err":{"kind":"protocol","message":"what?"}}"#,
        r#"{"id":2,"unsupported":"it has none","issue_url":"https://x.example/1"}"#,
        "{\"ev\":\"log\",\"level\":\"info\",\"text\":\"hi\\u001b[31m\"}\n{\"ev\":\"sleep\",\"n\":1,\"ms\":5000}\n{\"id\":2,\"ok\":{}}",
        "not json",
        "{\"id\":null,\"err\":{\"kind\":\"protocol\",\"message\":\"x\"}}",
    ];
    let mut all: Vec<String> = answers
        .iter()
        .map(|answer| format!("{start}\n{hello}\n{answer}\n"))
        .collect();
    let poll = r#"{"op":"device.poll","args":{"device":"d"}}"#;
    all.push(format!("{poll}\n{hello}\n{{\"ev\":\"sleep\",\"n\":1,\"ms\":18446744073709551615}}\n{{\"ev\":\"sleep\",\"n\":2,\"ms\":1}}\n{{\"id\":2,\"ok\":{{\"access_token\":\"t\",\"expires_in\":1}}}}\n"));
    all.push(format!(
        "{{\"op\":\"process.end\",\"args\":{{}}}}\n{hello}\n{{\"id\":2,\"ok\":{{}}}}\n"
    ));
    all.push(format!(
        "{start}\n{}\n",
        hello.replace("\"protocol\":1", "\"protocol\":2")
    ));
    all.push(format!("{start}\n{hello}"));
    all
}

fn bridge() -> Vec<String> {
    let form = |path: &str, head: &str, body: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nHost: {{host}}\r\n{head}Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let basic = |pair: &str| {
        use base64::Engine as _;
        let pair = base64::engine::general_purpose::STANDARD.encode(pair);
        format!("Authorization: Basic {pair}\r\n")
    };
    let get =
        |target: &str, head: &str| format!("GET {target} HTTP/1.1\r\nHost: {{host}}\r\n{head}\r\n");
    let requests = [
        form("/token", &basic("1.app.coze:Sentinel-secret-01"), "grant_type=authorization_code&code=Sentinel-code&redirect_uri=https%3A%2F%2Fa.example%2Fcb"),
        form("/token", "", "grant_type=authorization_code&client_id=1.app.coze&code=Sentinel-code&code_verifier=dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk&redirect_uri=https%3A%2F%2Fa.example%2Fcb"),
        form("/token", &basic("1.app.coze:Sentinel-secret-01"), "grant_type=refresh_token&refresh_token=Sentinel-refresh"),
        form("/token", "", "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code&client_id=1.app.coze&device_code=Sentinel-device"),
        form("/token", &basic("machine:Sentinel-of-a-machine-0123456789"), "grant_type=client_credentials&scope=a+b&session_name=s&duration_seconds=900"),
        form(
            "/token",
            &basic("1.app.coze:Sentinel-secret-01"),
            "grant_type=authorization_code&code=Sentinel-code%00&redirect_uri=https%3A%2F%2Fa.example%2Fcb",
        ),
        form("/device_authorization", "", "client_id=1.app.coze&workspace_id=5"),
        get("/authorize?response_type=code&client_id=1.app.coze&redirect_uri=https%3A%2F%2Fa.example%2Fcb&state=s&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256", ""),
        get("/authorize?response_type=token&client_secret=Sentinel", "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n"),
        get("/userinfo", "Authorization: Bearer Sentinel-access\r\n"),
        get("/.well-known/oauth-authorization-server", "Origin: https://page.example\r\n"),
        get("/.well-known/openid-configuration", ""),
        "OPTIONS /token HTTP/1.1\r\nHost: {host}\r\nOrigin: https://page.example\r\nAccess-Control-Request-Method: POST\r\n\r\nGET /health HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
        "GET http://{host}/health HTTP/1.1\r\n\r\n".to_owned(),
        "POST /token HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n".to_owned(),
        "GET / HTTP/1.0\r\nHost: evil.example\r\n\r\n".to_owned(),
    ];
    let answers = Talk::flows().answers;
    let grant = "200\ndate: Mon, 21 Sep 2026 13:46:40 GMT\nx-tt-logid: 20260921LOG\n\n{\"access_token\":\"czu_a\",\"refresh_token\":\"r\",\"expires_in\":4000000000}".to_owned();
    let user = "200\n\n{\"code\":0,\"msg\":\"\",\"data\":{\"user_id\":\"7\",\"user_name\":\"a<b\",\"nick_name\":\"\",\"avatar_url\":\"https://x.example/a.png\"}}".to_owned();
    let odd = "302\nlocation: https://evil.example/\n\nx".to_owned();
    let usual = [grant, user, odd];
    let answers = usual
        .iter()
        .chain(answers.iter().filter(|answer| answer.len() < 1_500));
    let mut all: Vec<String> = requests
        .iter()
        .map(|request| format!("{}\n%%\n{request}", usual[0]))
        .collect();
    let pairs = answers.zip(requests.iter().cycle());
    all.extend(pairs.map(|(answer, request)| format!("{answer}\n%%\n{request}")));
    all
}

/// What a shadow records between a client and a mock.
fn record() -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let recorded = runtime.expect("a runtime").block_on(async {
        let mock = CozeAuthMock::builder()
            .seed(1)
            .start()
            .await
            .expect("a mock");
        let shadow = Shadow::builder(mock.base_url()).mock_apps().records();
        let shadow = shadow.start().await.expect("a shadow");
        let talk = Talk::flows();
        for request in talk
            .requests
            .iter()
            .filter(|request| !request.contains("/_mock/"))
        {
            raw(shadow.base_url(), request).await;
        }
        shadow.record().expect("it records")
    });
    let record = recorded.expect("a record");
    let mut all = vec![
        "{}".to_owned(),
        r#"{"format":"coze-auth-record/1","upstream":"https://api.coze.cn","apps":[{"kind":"web","client_id":"1","has_secret":true,"redirect_uris":[]}],"exchanges":[]}"#.to_owned(),
        r#"{"format":"coze-auth-record/2"}"#.to_owned(),
        "Sentinel".to_owned(),
    ];
    // One exchange each, so that none hides behind others.
    let whole: Value = serde_json::from_str(&record).expect("JSON");
    for exchange in whole["exchanges"].as_array().into_iter().flatten() {
        let mut one = whole.clone();
        one["exchanges"] = json!([exchange]);
        all.push(one.to_string());
    }
    all
}

/// Sends a request of the targets' form.
async fn raw(base: &str, request: &str) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let host = base.trim_start_matches("http://");
    let (head, body) = request.split_once("\n\n").unwrap_or((request, ""));
    let (line, headers) = head.split_once('\n').unwrap_or((head, ""));
    let mut text = format!(
        "{line} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: {}\r\n",
        body.len()
    );
    for header in headers.lines() {
        text += &format!("{header}\r\n");
    }
    text += "\r\n";
    text += body;
    let stream = tokio::net::TcpStream::connect(host).await;
    let mut stream = stream.expect("the shadow listens");
    stream.write_all(text.as_bytes()).await.expect("it reads");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
}
