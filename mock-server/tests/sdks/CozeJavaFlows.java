// Flows that coze-java must complete: every token is proved with the SDK's own `workspaces().list`, since it has no `users/me`.

import com.coze.openapi.client.auth.DeviceAuthResp;
import com.coze.openapi.client.auth.GetJWTAccessTokenReq;
import com.coze.openapi.client.auth.GetPKCEAuthURLResp;
import com.coze.openapi.client.auth.LoadAuthConfig;
import com.coze.openapi.client.auth.OAuthToken;
import com.coze.openapi.client.auth.model.DeviceInfo;
import com.coze.openapi.client.auth.model.SessionContext;
import com.coze.openapi.client.auth.scope.Scope;
import com.coze.openapi.client.common.pagination.PageResp;
import com.coze.openapi.client.workspace.ListWorkspaceReq;
import com.coze.openapi.client.workspace.model.Workspace;
import com.coze.openapi.service.auth.Auth;
import com.coze.openapi.service.auth.DeviceOAuthClient;
import com.coze.openapi.service.auth.JWTOAuth;
import com.coze.openapi.service.auth.JWTOAuthClient;
import com.coze.openapi.service.auth.OAuthClient;
import com.coze.openapi.service.auth.PKCEOAuthClient;
import com.coze.openapi.service.auth.PKCEOAuthClient.CodeChallengeMethod;
import com.coze.openapi.service.auth.TokenAuth;
import com.coze.openapi.service.auth.WebOAuthClient;
import com.coze.openapi.service.service.CozeAPI;
import com.fasterxml.jackson.databind.JsonNode;
import java.util.List;
import java.util.Map;
import okhttp3.OkHttpClient;

final class CozeJavaFlows {
  static final Mock.Want PENDING = Mock.want().refused(428, "authorization_pending", "device.pending");
  private static final Mock.Want SLOW_DOWN = Mock.want().refused(400, "slow_down", "device.interval");
  /** Each client of the SDK would keep threads and connections of its own for five minutes. */
  private static final OkHttpClient HTTP = new OkHttpClient();

  /** One call of `list`: the SDK asks for the first page twice, once for its iterator. */
  private static final String[] PAGE = {"workspaces", "workspaces"};

  private CozeJavaFlows() {}

  // --- the apps, through the SDK's own builders ---

  static WebOAuthClient web(Mock mock) {
    return web(mock, mock.client("web"), mock.app("web", "client_secret"));
  }

  static WebOAuthClient web(Mock mock, String id, String secret) {
    return new WebOAuthClient.WebOAuthBuilder().clientID(id).clientSecret(secret).baseURL(mock.base).client(HTTP).build();
  }

  static PKCEOAuthClient pkce(Mock mock, String kind) {
    return new PKCEOAuthClient.PKCEOAuthBuilder().clientID(mock.client(kind)).baseURL(mock.base).client(HTTP).build();
  }

  static DeviceOAuthClient device(Mock mock, String kind) {
    return new DeviceOAuthClient.DeviceOAuthBuilder().clientID(mock.client(kind)).baseURL(mock.base).client(HTTP).build();
  }

  static JWTOAuthClient.JWTOAuthBuilder jwtBuilder(Mock mock) {
    return new JWTOAuthClient.JWTOAuthBuilder()
        .clientID(mock.client("jwt"))
        .privateKey(mock.app("jwt", "private_key"))
        .publicKey(mock.app("jwt", "key_id"))
        .baseURL(mock.base)
        .client(HTTP);
  }

  static JWTOAuthClient jwt(Mock mock) throws Exception {
    return jwtBuilder(mock).build();
  }

  private static LoadAuthConfig config(Mock mock, String kind) throws Exception {
    return LoadAuthConfig.builder().filePath(mock.configFile(kind).toString()).build();
  }

  // --- steps ---

  /** The answer as the SDK parsed it, and the one journal entry from which it is. */
  static JsonNode checkToken(Mock mock, OAuthToken token, String grant, String app) throws Exception {
    return checkToken(mock, token, grant, app, true, Mock.ACCESS_SECONDS, null);
  }

  static JsonNode checkToken(
      Mock mock, OAuthToken token, String grant, String app, boolean refreshable, long seconds, String path) throws Exception {
    JsonNode entry =
        mock.saw("token", Mock.want().logid(token.getLogID()).grant(grant).client(mock.client(app)).path(path));
    Mock.expect("token_type", "Bearer", token.getTokenType());
    Mock.expect("has a refresh token", refreshable, token.getRefreshToken() != null && !token.getRefreshToken().isEmpty());
    // Absolute Unix seconds in every flow (protocol §3.1).
    Mock.expect("expires_in", mock.now() + seconds, (long) token.getExpiresIn());
    return entry;
  }

  static JsonNode checkJwt(Mock mock, OAuthToken token) throws Exception {
    return checkToken(mock, token, "jwt_bearer", "jwt", false, Mock.ACCESS_SECONDS, null);
  }

  static PageResp<Workspace> workspaces(Mock mock, Auth auth) {
    CozeAPI api = new CozeAPI.Builder().auth(auth).baseURL(mock.base).client(HTTP).build();
    return api.workspaces().list(ListWorkspaceReq.of(1, 20));
  }

  static void prove(Mock mock, String accessToken) throws Exception {
    PageResp<Workspace> page = workspaces(mock, new TokenAuth(accessToken));
    Mock.expect("workspace", "ws_a", page.getItems().get(0).getId());
    mock.saw(PAGE); // the log id that the SDK shows is of either
  }

  private static void refreshAndProve(Mock mock, OAuthClient app, OAuthToken token, String kind) throws Exception {
    prove(mock, token.getAccessToken());
    OAuthToken next = app.refreshToken(token.getRefreshToken());
    checkToken(mock, next, "refresh_token", kind);
    Mock.expect("a new access token", true, !next.getAccessToken().equals(token.getAccessToken()));
    Mock.expect("a new refresh token", true, !next.getRefreshToken().equals(token.getRefreshToken()));
    prove(mock, next.getAccessToken());
  }

  static String webCode(Mock mock) throws Exception {
    return mock.approve(web(mock).getOAuthURL(Mock.CALLBACK, "s"), "s");
  }

  static OAuthToken webToken(Mock mock, WebOAuthClient app) throws Exception {
    OAuthToken token = app.getAccessToken(webCode(mock), Mock.CALLBACK);
    checkToken(mock, token, "authorization_code", "web");
    return token;
  }

  static OAuthToken pkceToken(Mock mock, PKCEOAuthClient app, GetPKCEAuthURLResp url) throws Exception {
    String code = mock.approve(url.getAuthorizationURL(), "s");
    OAuthToken token = app.getAccessToken(code, Mock.CALLBACK, url.getCodeVerifier());
    checkToken(mock, token, "authorization_code", "pkce");
    return token;
  }

  static DeviceAuthResp deviceStart(Mock mock, DeviceOAuthClient app) throws Exception {
    return checkDevice(mock, app.getDeviceCode(), "/api/permission/oauth2/device/code");
  }

  private static DeviceAuthResp checkDevice(Mock mock, DeviceAuthResp device, String path) throws Exception {
    mock.saw("device_code", Mock.want().logid(device.getLogID()).client(mock.client("device")).path(path));
    // A duration, unlike the token's (protocol §3.2).
    Mock.expect("interval and expires_in of the device code", List.of(5, 300), List.of(device.getInterval(), device.getExpiresIn()));
    return device;
  }

  /** Polls as the SDK does, on virtual time; the person acts while the SDK sleeps for the first time. */
  static OAuthToken poll(Mock mock, DeviceAuthResp device, String action) throws Exception {
    SdkTime.duringSleep =
        number -> {
          if (action != null && number == 1) mock.user(device.getUserCode(), action);
        };
    return device(mock, "device").getAccessToken(device.getDeviceCode(), true);
  }

  /** One entry per poll: those refused, then the last. */
  static void checkPolls(Mock mock, Mock.Want last, Mock.Want... refused) throws Exception {
    List<JsonNode> entries = mock.newEntries();
    Mock.expect("number of polls", refused.length + 1, entries.size());
    for (int number = 0; number < refused.length; number++) {
      Mock.check(entries.get(number), "token", refused[number].grant("device_code"));
    }
    Mock.check(entries.get(refused.length), "token", last.grant("device_code"));
  }

  static void add(Map<String, Mock.Body> cases) {
    // --- web ---
    cases.put("web.login-and-refresh", mock -> {
      WebOAuthClient app = web(mock);
      refreshAndProve(mock, app, webToken(mock, app), "web");
    });
    cases.put("web.workspace", mock -> {
      WebOAuthClient app = web(mock);
      String code = mock.answerConsent(app.getOAuthURL(Mock.CALLBACK, "s", "ws_a"), "approve").get("code");
      mock.saw("authorize", Mock.want().status(302).path("/api/permission/oauth2/workspace_id/ws_a/authorize"));
      OAuthToken token = app.getAccessToken(code, Mock.CALLBACK);
      checkToken(mock, token, "authorization_code", "web");
      refreshAndProve(mock, app, token, "web");
    });
    cases.put("web.config-file", mock ->
        prove(mock, webToken(mock, WebOAuthClient.loadFromConfig(config(mock, "web"))).getAccessToken()));
    cases.put("web.refreshed-after-expiry", mock -> {
      WebOAuthClient app = web(mock);
      OAuthToken token = webToken(mock, app);
      mock.advance(Mock.ACCESS_SECONDS + 60);
      OAuthToken next = app.refreshToken(token.getRefreshToken());
      checkToken(mock, next, "refresh_token", "web");
      prove(mock, next.getAccessToken());
    });

    // --- PKCE; the SDK's verifier has 16 characters ---
    cases.put("pkce.s256", mock -> {
      PKCEOAuthClient app = pkce(mock, "pkce");
      refreshAndProve(mock, app, pkceToken(mock, app, app.genOAuthURL(Mock.CALLBACK, "s", CodeChallengeMethod.S256)), "pkce");
    });
    cases.put("pkce.plain", mock -> { // the SDK's default method
      PKCEOAuthClient app = pkce(mock, "pkce");
      refreshAndProve(mock, app, pkceToken(mock, app, app.genOAuthURL(Mock.CALLBACK, "s")), "pkce");
    });
    cases.put("pkce.workspace", mock -> {
      PKCEOAuthClient app = pkce(mock, "pkce");
      GetPKCEAuthURLResp url = app.genOAuthURL(Mock.CALLBACK, "s", CodeChallengeMethod.S256, "ws_a");
      prove(mock, pkceToken(mock, app, url).getAccessToken());
    });
    cases.put("pkce.config-file", mock -> {
      PKCEOAuthClient app = PKCEOAuthClient.loadFromConfig(config(mock, "pkce"));
      GetPKCEAuthURLResp url = app.genOAuthURL(Mock.CALLBACK, "s", CodeChallengeMethod.S256);
      prove(mock, pkceToken(mock, app, url).getAccessToken());
    });

    // --- device ---
    cases.put("device.pending-then-approve", mock -> {
      DeviceOAuthClient app = device(mock, "device");
      DeviceAuthResp device = deviceStart(mock, app);
      String complete = device.getVerificationURI() + "?user_code=" + device.getUserCode();
      Mock.expect("verification_url", complete, device.getVerificationURL());
      OAuthToken token = poll(mock, device, "approve");
      checkPolls(mock, Mock.want().logid(token.getLogID()), PENDING);
      Mock.expect("sleeps of the SDK", List.of(5.0), SdkTime.sleeps);
      refreshAndProve(mock, app, token, "device");
    });
    cases.put("device.workspace", mock -> {
      DeviceAuthResp device = device(mock, "device").getDeviceCode("ws_a");
      checkDevice(mock, device, "/api/permission/oauth2/workspace_id/ws_a/device/code");
      OAuthToken token = poll(mock, device, "approve");
      checkPolls(mock, Mock.want(), PENDING);
      prove(mock, token.getAccessToken());
    });
    cases.put("device.slow-down-then-approve", mock -> {
      DeviceOAuthClient app = device(mock, "device");
      DeviceAuthResp device = deviceStart(mock, app);
      // The SDK ignores the server's interval (protocol §7), so its first sleep is cut short from outside.
      SdkTime.mockAdvances = seconds -> seconds == 5 ? 1 : seconds;
      SdkTime.duringSleep =
          number -> {
            if (number == 2) mock.user(device.getUserCode(), "approve");
          };
      OAuthToken token = app.getAccessToken(device.getDeviceCode(), true);
      checkPolls(mock, Mock.want(), PENDING, SLOW_DOWN);
      Mock.expect("sleeps of the SDK: 5 s, then 5 s more", List.of(5.0, 10.0), SdkTime.sleeps);
      prove(mock, token.getAccessToken());
    });
    cases.put("device.config-file", mock -> {
      DeviceOAuthClient app = DeviceOAuthClient.loadFromConfig(config(mock, "device"));
      DeviceAuthResp device = deviceStart(mock, app);
      mock.user(device.getUserCode(), "approve");
      OAuthToken token = app.getAccessToken(device.getDeviceCode(), true);
      checkPolls(mock, Mock.want());
      prove(mock, token.getAccessToken());
    });

    // --- JWT ---
    cases.put("jwt.plain", mock -> {
      // Sends no client_id (protocol §2.4), and an aud without the port (§1.3).
      OAuthToken token = jwt(mock).getAccessToken();
      Mock.expect("aud in the assertion", mock.name, Mock.claim(checkJwt(mock, token), "aud"));
      prove(mock, token.getAccessToken());
    });
    cases.put("jwt.scope-session-ttl", mock -> {
      Scope scope = Scope.buildBotChat(List.of("bot_1"), null);
      OAuthToken token = jwt(mock).getAccessToken(7200, scope, "user-1");
      JsonNode entry = checkToken(mock, token, "jwt_bearer", "jwt", false, 7200, null);
      Mock.expect("scope in the body", Mock.plain(scope), entry.get("json").get("scope"));
      Mock.expect("session_name in the assertion", "user-1", Mock.claim(entry, "session_name"));
      prove(mock, token.getAccessToken());
    });
    cases.put("jwt.session-context", mock -> {
      DeviceInfo device = DeviceInfo.builder().deviceID("device-1").customConsumer("consumer-1").build();
      SessionContext context = SessionContext.builder().deviceInfo(device).build();
      OAuthToken token = jwt(mock).getAccessToken(GetJWTAccessTokenReq.builder().sessionContext(context).build());
      JsonNode came = checkJwt(mock, token).get("jwt").get("payload").get("session_context");
      Mock.expect("session_context in the assertion", Mock.plain(context), came);
      prove(mock, token.getAccessToken());
    });
    cases.put("jwt.account", mock -> {
      OAuthToken token = jwt(mock).getAccessToken(GetJWTAccessTokenReq.builder().accountID(123L).build());
      checkToken(mock, token, "jwt_bearer", "jwt", false, Mock.ACCESS_SECONDS, "/api/permission/oauth2/account/123/token");
      prove(mock, token.getAccessToken());
    });
    cases.put("jwt.enterprise", mock -> {
      OAuthToken token = jwt(mock).getAccessToken(GetJWTAccessTokenReq.builder().enterpriseID("ent_1").build());
      checkToken(mock, token, "jwt_bearer", "jwt", false, Mock.ACCESS_SECONDS, "/api/permission/oauth2/enterprise_id/ent_1/token");
      prove(mock, token.getAccessToken());
    });
    cases.put("jwt.config-file", mock -> {
      OAuthToken token = JWTOAuthClient.loadFromConfig(config(mock, "jwt")).getAccessToken();
      checkJwt(mock, token);
      prove(mock, token.getAccessToken());
    });
    cases.put("jwt.cached-until-expiry", mock -> {
      // It keeps a token of 15 minutes until 30 s before its expires_in.
      Auth auth = JWTOAuth.builder().jwtClient(jwt(mock)).build();
      workspaces(mock, auth);
      mock.saw("token", "workspaces", "workspaces");
      SdkTime.pass(870);
      workspaces(mock, auth);
      mock.saw(PAGE);
      SdkTime.pass(1);
      workspaces(mock, auth);
      mock.saw("token", "workspaces", "workspaces");
    });

    // --- static tokens ---
    cases.put("token.pat", mock -> prove(mock, mock.token("pat")));
    cases.put("token.sat", mock -> prove(mock, mock.token("sat")));
  }
}
