// Coze Loop's client for Java judges the JWT grant: `run.py` starts it, and says on standard input what the mock and its worlds are.
// Every token is proved with the client's own HTTP client, at a call which the mock answers as `mock.toml` says.

import com.coze.loop.auth.Auth;
import com.coze.loop.auth.JWTOAuthAuth;
import com.coze.loop.auth.TokenAuth;
import com.coze.loop.exception.CozeLoopException;
import com.coze.loop.http.HttpClient;
import com.coze.loop.internal.Constants;
import com.fasterxml.jackson.databind.JsonNode;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

public final class CozeloopJavaCases {
  private static final String PROMPTS = "/v1/loop/prompts/mget";

  public static void main(String[] arguments) throws Exception {
    Map<String, Mock.Body> cases = new LinkedHashMap<>();
    add(cases);
    Mock.judge(cases, "cozeloop-core " + Constants.Version);
  }

  // --- steps ---

  private static JWTOAuthAuth jwt(Mock mock) {
    return jwt(mock, mock.app("jwt", "private_key"), mock.app("jwt", "key_id"));
  }

  private static JWTOAuthAuth jwt(Mock mock, String key, String keyId) {
    return new JWTOAuthAuth(mock.client("jwt"), key, keyId, mock.base);
  }

  private static void call(Mock mock, Auth auth) {
    HttpClient http = new HttpClient(auth);
    try {
      String prompts = http.post(mock.base + PROMPTS, Map.of("workspace_id", "ws_a"));
      Mock.expect("the answer has a prompt of the workspace", true, prompts.contains("\"workspace_id\":\"ws_a\""));
    } finally {
      http.close();
    }
  }

  /** One call, for which the client gets a token first. Gives the entry of the grant. */
  private static JsonNode granted(Mock mock, Auth auth) throws Exception {
    call(mock, auth);
    List<JsonNode> entries = mock.newEntries();
    Mock.expect("a grant and the call", 2, entries.size());
    Mock.check(entries.get(0), "token", Mock.want().grant("jwt_bearer").client(mock.client("jwt")));
    Mock.check(entries.get(1), "api", Mock.want().path(PROMPTS));
    return entries.get(0);
  }

  /** A call with the token that is there. */
  private static void prove(Mock mock, Auth auth) throws Exception {
    call(mock, auth);
    mock.saw("api", Mock.want().path(PROMPTS));
  }

  /** Of a refused grant the SDK keeps nothing: what it throws is about a lock of its own. So the journal alone speaks. */
  private static void jwtRefused(Mock mock, Auth auth, String rule) throws Exception {
    Mock.thrown(IllegalMonitorStateException.class, auth::getToken);
    JsonNode entry = mock.saw("token", Mock.want().refused(401, "invalid_client", rule).grant("jwt_bearer"));
    mock.explained(entry.get("outcome").get("logid").asText(), rule);
  }

  /** Of a refused call it keeps status and body, in the text of its exception; the log id is in the body. */
  private static void tokenRefused(Mock mock, Auth auth, String rule) throws Exception {
    CozeLoopException why =
        Mock.thrown(
            CozeLoopException.class,
            () -> {
              call(mock, auth);
              return null;
            });
    JsonNode entry = mock.saw("api", Mock.want().refused(401, "4100", rule));
    String said = why.getMessage(), logid = entry.get("outcome").get("logid").asText();
    for (String part : List.of("code: 401", "\"code\":4100", "\"msg\":\"authentication is invalid\"", logid)) {
      Mock.expect("the SDK's error has " + part + ": " + said, true, said.contains(part));
    }
    mock.explained(logid, rule);
  }

  private static void add(Map<String, Mock.Body> cases) {
    // --- JWT ---
    cases.put("jwt.plain", mock -> {
      // Its aud has no port (protocol §1.3).
      Mock.expect("aud in the assertion", mock.name, Mock.claim(granted(mock, jwt(mock)), "aud"));
    });
    cases.put("jwt.kept-for-ever-as-the-sdk-does-it", mock -> {
      // It takes expires_in for a duration, so it keeps a token beyond its end (protocol §3.1).
      JWTOAuthAuth auth = jwt(mock);
      granted(mock, auth);
      SdkTime.pass(Mock.ACCESS_SECONDS - 1);
      prove(mock, auth);
      SdkTime.pass(2);
      tokenRefused(mock, auth, "token.expiry");
    });
    cases.put("jwt.unknown-kid", mock -> jwtRefused(mock, jwt(mock, mock.app("jwt", "private_key"), "no-such-key"), "jwt.kid"));
    cases.put("jwt.wrong-key", mock -> jwtRefused(mock, jwt(mock, Mock.otherKey(), mock.app("jwt", "key_id")), "jwt.signature"));
    cases.put("jwt.wrong-aud", mock -> {
      // The SDK takes aud from its base URL, and an HTTP client may lead that elsewhere.
      JWTOAuthAuth auth = jwt(mock);
      auth.setBaseUrl("http://api.elsewhere.example");
      auth.setHttpClient(
          new HttpClient(null) {
            @Override
            public String post(String url, Object body, Map<String, String> headers) {
              return super.post(url.replace("http://api.elsewhere.example", mock.base), body, headers);
            }
          });
      jwtRefused(mock, auth, "jwt.aud");
    });
    cases.put("jwt.expired-assertion", mock -> {
      SdkTime.offset(-7200);
      jwtRefused(mock, jwt(mock), "jwt.exp");
    });
    cases.put("jwt.reused-jti", mock -> {
      // Its jti is a UUID, so an HTTP client sends the first assertion again.
      Map<String, String> first = new HashMap<>();
      HttpClient again =
          new HttpClient(null) {
            @Override
            public String post(String url, Object body, Map<String, String> headers) {
              if (first.isEmpty()) first.putAll(headers);
              return super.post(url, body, first);
            }
          };
      JWTOAuthAuth auth = jwt(mock), other = jwt(mock);
      auth.setHttpClient(again);
      other.setHttpClient(again);
      granted(mock, auth);
      jwtRefused(mock, other, "jwt.jti");
    });

    // --- tokens ---
    cases.put("token.pat", mock -> prove(mock, new TokenAuth(mock.token("pat"))));
    cases.put("token.sat", mock -> prove(mock, new TokenAuth(mock.token("sat"))));
    cases.put("token.unknown", mock -> tokenRefused(mock, new TokenAuth("pat_no_such_token"), "token.known"));
    cases.put("token.expired", mock -> {
      JWTOAuthAuth auth = jwt(mock);
      granted(mock, auth);
      mock.advance(Mock.ACCESS_SECONDS + 60); // and not the SDK's clock
      tokenRefused(mock, auth, "token.expiry");
    });
    cases.put("token.revoked", mock -> {
      Auth auth = new TokenAuth(mock.token("pat"));
      prove(mock, auth);
      mock.revoke(mock.token("pat"));
      tokenRefused(mock, auth, "token.revoked");
    });
  }
}
