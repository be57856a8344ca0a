// The released com.coze:coze-api behind `coze-auth-shim/1` (README.md).

import com.coze.openapi.client.auth.DeviceAuthResp;
import com.coze.openapi.client.auth.GetJWTAccessTokenReq;
import com.coze.openapi.client.auth.GetPKCEAuthURLResp;
import com.coze.openapi.client.auth.LoadAuthConfig;
import com.coze.openapi.client.auth.OAuthToken;
import com.coze.openapi.client.auth.model.DeviceInfo;
import com.coze.openapi.client.auth.model.SessionContext;
import com.coze.openapi.client.auth.scope.Scope;
import com.coze.openapi.client.auth.scope.ScopeAccountPermission;
import com.coze.openapi.client.auth.scope.ScopeAttributeConstraint;
import com.coze.openapi.client.auth.scope.ScopeAttributeConstraintConnectorBotChatAttribute;
import com.coze.openapi.client.exception.CozeApiException;
import com.coze.openapi.client.exception.CozeAuthException;
import com.coze.openapi.client.workspace.ListWorkspaceReq;
import com.coze.openapi.service.auth.Auth;
import com.coze.openapi.service.auth.DeviceOAuthClient;
import com.coze.openapi.service.auth.JWTOAuth;
import com.coze.openapi.service.auth.JWTOAuthClient;
import com.coze.openapi.service.auth.OAuthClient;
import com.coze.openapi.service.auth.PKCEOAuthClient;
import com.coze.openapi.service.auth.TokenAuth;
import com.coze.openapi.service.auth.WebOAuthClient;
import com.coze.openapi.service.service.CozeAPI;
import com.coze.openapi.service.utils.VersionUtils;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.net.SocketTimeoutException;
import java.net.URI;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import retrofit2.HttpException;

public final class CozeJavaShim implements ShimWire.Library {
  // CozeAPI has no call of the user's own page, so there is no `api`.
  private static final String CAPS =
      "web pkce device jwt refresh api.workspaces workspace www_base timeout config pkce.verifier pkce.plain device.poll_once jwt.scope"
          + " jwt.session_name jwt.session_context jwt.account jwt.enterprise provider.jwt provider.parallel provider.scope"
          + " provider.session_name provider.session_context provider.account provider.enterprise client.ttl client.parallel"
          + " documented cancel clock logs https end base.origin";

  public static void main(String[] args) throws IOException {
    ShimWire.serve(new CozeJavaShim());
  }

  @Override
  public ObjectNode about() {
    ObjectNode about =
        ShimWire.object("protocol", 1, "name", "com.coze:coze-api", "version", VersionUtils.getVersion(), "language", "java");
    about.put("runtime", System.getProperty("java.version"));
    about.put("homepage", "https://github.com/coze-dev/coze-java");
    about.put("issues", "https://github.com/coze-dev/coze-java/issues");
    about.set("caps", ShimWire.list(List.of(CAPS.split(" "))));
    return about;
  }

  private Case kept = new Case("");

  @Override
  public void end() {
    for (OAuthClient client : kept.clients.values()) client.shutdownExecutor();
    for (CozeAPI api : kept.apis.values()) api.shutdownExecutor();
    kept = new Case("");
  }

  @Override
  public Map<String, ShimWire.Operation> newCase(String base) {
    Case kept = new Case(base);
    this.kept = kept;
    Map<String, ShimWire.Operation> all = new HashMap<>();
    all.put("client.new", kept::clientNew);
    all.put("client.parallel", kept::clientParallel);
    all.put("config.load", kept::configLoad);
    all.put("web.authorize_url", kept::webUrl);
    all.put("pkce.authorize_url", kept::pkceUrl);
    all.put("web.token", kept::token);
    all.put("pkce.token", kept::token);
    all.put("device.start", kept::deviceStart);
    all.put("device.poll", args -> kept.poll(args, true));
    all.put("device.poll_once", args -> kept.poll(args, false));
    all.put("jwt.token", kept::jwtToken);
    all.put("refresh", kept::refresh);
    all.put("provider.new", kept::providerNew);
    all.put("provider.token", args -> provided(kept.providers.get(args.get("provider").asText())));
    all.put("provider.parallel", kept::providerParallel);
    all.put("api.workspaces", kept::apiWorkspaces);
    all.put("api.call", args -> { throw new ShimWire.Unsupported("CozeAPI has no call that tells whose a token is"); });
    return all;
  }

  /** A login that was begun. */
  private static final class Attempt {
    final OAuthClient client;
    final String redirectUri;
    final String verifier;

    Attempt(OAuthClient client, String redirectUri, String verifier) {
      this.client = client;
      this.redirectUri = redirectUri;
      this.verifier = verifier;
    }
  }

  private static final class Device {
    final DeviceOAuthClient client;
    final String code;

    Device(DeviceOAuthClient client, String code) {
      this.client = client;
      this.code = code;
    }
  }

  /** The handles of a case. */
  private final class Case {
    private final String base;
    final Map<String, OAuthClient> clients = new ShimWire.Handles<>();
    final Map<String, Attempt> attempts = new ShimWire.Handles<>();
    final Map<String, Device> devices = new ShimWire.Handles<>();
    final Map<String, Auth> providers = new ShimWire.Handles<>();
    final Map<String, CozeAPI> apis = new HashMap<>();

    Case(String base) {
      this.base = base;
    }

    private <T extends OAuthClient.OAuthBuilder<T>> T common(T builder, JsonNode args) {
      builder.clientID(args.get("client_id").asText()).baseURL(args.path("base_url").asText(base));
      if (args.has("www_base_url")) builder.wwwURL(args.get("www_base_url").asText());
      if (args.has("timeout_ms")) {
        int ms = args.get("timeout_ms").asInt();
        builder.readTimeout(ms).connectTimeout(ms);
      }
      return builder;
    }

    ObjectNode clientNew(JsonNode args) throws Exception {
      OAuthClient client;
      switch (args.get("kind").asText()) {
        case "web":
          WebOAuthClient.WebOAuthBuilder web = common(new WebOAuthClient.WebOAuthBuilder(), args);
          client = web.clientSecret(args.get("client_secret").asText()).build();
          break;
        case "pkce":
          client = common(new PKCEOAuthClient.PKCEOAuthBuilder(), args).build();
          break;
        case "device":
          client = common(new DeviceOAuthClient.DeviceOAuthBuilder(), args).build();
          break;
        case "workload":
          throw new ShimWire.Unsupported("no workloads");
        default:
          JWTOAuthClient.JWTOAuthBuilder jwt = common(new JWTOAuthClient.JWTOAuthBuilder(), args);
          if (args.has("ttl_s")) jwt.ttl(args.get("ttl_s").asInt());
          client = jwt.privateKey(args.get("private_key").asText()).publicKey(args.get("key_id").asText()).build();
      }
      clients.put(args.get("as").asText(), client);
      return null;
    }

    /** The SDK reads a file, and each of its classes loads its own kind: which one it is, is left to the caller. */
    ObjectNode configLoad(JsonNode args) throws Exception {
      Path file = Files.createTempFile("coze_oauth_config", ".json");
      try {
        Files.writeString(file, args.get("config").toString());
        LoadAuthConfig load = LoadAuthConfig.builder().filePath(file.toString()).build();
        String kind = args.get("config").path("client_type").asText();
        OAuthClient client;
        if (kind.equals("web")) client = WebOAuthClient.loadFromConfig(load);
        else if (kind.equals("pkce")) client = PKCEOAuthClient.loadFromConfig(load);
        else if (kind.equals("device")) client = DeviceOAuthClient.loadFromConfig(load);
        else if (kind.equals("jwt")) client = JWTOAuthClient.loadFromConfig(load);
        else throw new IllegalArgumentException("none of the SDK's classes is of this client_type");
        clients.put(args.get("as").asText(), client);
        return ShimWire.object("kind", kind);
      } finally {
        Files.delete(file);
      }
    }

    ObjectNode webUrl(JsonNode args) {
      WebOAuthClient client = (WebOAuthClient) clients.get(args.get("client").asText());
      String redirect = args.get("redirect_uri").asText(), state = text(args, "state"), workspace = text(args, "workspace_id");
      attempts.put(args.get("as").asText(), new Attempt(client, redirect, null));
      return ShimWire.object(
          "url", workspace == null ? client.getOAuthURL(redirect, state) : client.getOAuthURL(redirect, state, workspace));
    }

    ObjectNode pkceUrl(JsonNode args) {
      PKCEOAuthClient client = (PKCEOAuthClient) clients.get(args.get("client").asText());
      String redirect = args.get("redirect_uri").asText(), state = text(args, "state"), workspace = text(args, "workspace_id");
      String named = text(args, "method");
      PKCEOAuthClient.CodeChallengeMethod method = null;
      for (PKCEOAuthClient.CodeChallengeMethod one : PKCEOAuthClient.CodeChallengeMethod.values())
        if (one.getValue().equals(named)) method = one;
      GetPKCEAuthURLResp made;
      if (method == null) made = workspace == null ? client.genOAuthURL(redirect, state) : client.genOAuthURL(redirect, state, workspace);
      else if (workspace == null) made = client.genOAuthURL(redirect, state, method);
      else made = client.genOAuthURL(redirect, state, method, workspace);
      attempts.put(args.get("as").asText(), new Attempt(client, redirect, made.getCodeVerifier()));
      return ShimWire.object("url", made.getAuthorizationURL(), "code_verifier", made.getCodeVerifier());
    }

    ObjectNode token(JsonNode args) {
      Attempt begun = attempts.get(args.get("attempt").asText());
      String code = query(args.get("callback").asText()).get("code");
      if (code == null || code.isEmpty())
        throw new ShimWire.Unsupported("reading the callback is left to the caller, and this one has no code");
      if (begun.client instanceof WebOAuthClient) return grant(((WebOAuthClient) begun.client).getAccessToken(code, begun.redirectUri));
      return grant(((PKCEOAuthClient) begun.client).getAccessToken(code, begun.redirectUri, begun.verifier));
    }

    ObjectNode deviceStart(JsonNode args) {
      DeviceOAuthClient client = (DeviceOAuthClient) clients.get(args.get("client").asText());
      String workspace = text(args, "workspace_id");
      DeviceAuthResp started = workspace == null ? client.getDeviceCode() : client.getDeviceCode(workspace);
      devices.put(args.get("as").asText(), new Device(client, started.getDeviceCode()));
      return ShimWire.object(
          "user_code", started.getUserCode(),
          "verification_uri", started.getVerificationURI(),
          "verification_uri_complete", started.getVerificationURL(),
          "interval_s", started.getInterval(),
          "expires_in_s", started.getExpiresIn());
    }

    ObjectNode poll(JsonNode args, boolean poll) throws Exception {
      Device started = devices.get(args.get("device").asText());
      return grant(started.client.getAccessToken(started.code, poll));
    }

    ObjectNode jwtToken(JsonNode args) {
      JWTOAuthClient client = (JWTOAuthClient) clients.get(args.get("client").asText());
      GetJWTAccessTokenReq.GetJWTAccessTokenReqBuilder asked = GetJWTAccessTokenReq.builder();
      if (args.has("ttl_s")) asked.ttl(args.get("ttl_s").asInt());
      if (args.has("account_id")) asked.accountID(Long.valueOf(args.get("account_id").asText())); // the type of the SDK's member
      if (args.has("scope")) asked.scope(scope(args.get("scope")));
      if (args.has("session_context")) asked.sessionContext(sessionContext(args.get("session_context")));
      asked.sessionName(text(args, "session_name")).enterpriseID(text(args, "enterprise_id"));
      return grant(client.getAccessToken(asked.build()));
    }

    ObjectNode refresh(JsonNode args) {
      return grant(clients.get(args.get("client").asText()).refreshToken(args.get("refresh_token").asText()));
    }

    ObjectNode providerNew(JsonNode args) {
      if (args.has("grant")) throw new ShimWire.Unsupported("nothing keeps and renews the token of a login");
      JWTOAuthClient client = (JWTOAuthClient) clients.get(args.get("client").asText());
      JWTOAuth.OAuthJWTBuilder auth = JWTOAuth.builder().jwtClient(client);
      if (args.has("ttl_s")) auth.ttl(args.get("ttl_s").asInt());
      if (args.has("account_id")) auth.accountID(Long.valueOf(args.get("account_id").asText()));
      if (args.has("scope")) auth.scope(scope(args.get("scope")));
      if (args.has("session_context")) auth.sessionContext(sessionContext(args.get("session_context")));
      auth.sessionName(text(args, "session_name")).enterpriseID(text(args, "enterprise_id"));
      providers.put(args.get("as").asText(), auth.build());
      return null;
    }

    ObjectNode providerParallel(JsonNode args) throws Exception {
      Auth auth = providers.get(args.get("provider").asText());
      return ShimWire.together(CozeJavaShim.this, Collections.nCopies(args.get("callers").asInt(), () -> provided(auth)));
    }

    ObjectNode clientParallel(JsonNode args) throws Exception {
      boolean refresh = args.get("call").asText().equals("refresh");
      List<Callable<ObjectNode>> calls = new ArrayList<>();
      for (JsonNode each : args.get("each")) calls.add(() -> refresh ? refresh(each) : jwtToken(each));
      return ShimWire.together(CozeJavaShim.this, calls);
    }

    ObjectNode apiWorkspaces(JsonNode args) {
      String token = text(args, "token"), provider = text(args, "provider");
      Auth auth = provider == null ? new TokenAuth(token) : providers.get(provider);
      String name = provider + " " + token;
      if (!apis.containsKey(name)) apis.put(name, new CozeAPI.Builder().auth(auth).baseURL(base).build());
      return ShimWire.object("count", apis.get(name).workspaces().list(new ListWorkspaceReq()).getItems().size());
    }
  }

  private static String text(JsonNode of, String member) {
    return of.has(member) ? of.get(member).asText() : null;
  }

  private static Map<String, String> query(String url) {
    Map<String, String> query = new HashMap<>();
    String raw = URI.create(url).getRawQuery();
    for (String pair : raw == null ? new String[0] : raw.split("&")) {
      String[] parts = pair.split("=", 2);
      query.put(parts[0], parts.length < 2 ? "" : URLDecoder.decode(parts[1], StandardCharsets.UTF_8));
    }
    return query;
  }

  private static Scope scope(JsonNode of) {
    JsonNode bots = of.path("attribute_constraint").path("connector_bot_chat_attribute").path("bot_id_list");
    ScopeAttributeConstraint constraint =
        bots.isMissingNode() ? null : new ScopeAttributeConstraint(new ScopeAttributeConstraintConnectorBotChatAttribute(texts(bots)));
    return new Scope(new ScopeAccountPermission(texts(of.path("account_permission").path("permission_list"))), constraint);
  }

  private static SessionContext sessionContext(JsonNode of) {
    JsonNode device = of.path("device_info");
    DeviceInfo info = DeviceInfo.builder().deviceID(text(device, "device_id")).customConsumer(text(device, "custom_consumer")).build();
    return SessionContext.builder().deviceInfo(info).build();
  }

  private static List<String> texts(JsonNode of) {
    List<String> texts = new ArrayList<>();
    for (JsonNode one : of) texts.add(one.asText());
    return texts;
  }

  private static ObjectNode provided(Auth auth) {
    return ShimWire.object("access_token", auth.token());
  }

  private static ObjectNode grant(OAuthToken token) {
    if (token == null) return ShimWire.object("access_token", null, "expires_at", null);
    ObjectNode grant = ShimWire.object("access_token", token.getAccessToken(), "expires_at", token.getExpiresIn());
    if (token.getRefreshToken() != null) grant.put("refresh_token", token.getRefreshToken());
    if (token.getTokenType() != null) grant.put("token_type", token.getTokenType());
    return grant;
  }

  /** What a caller can tell by public members, of the exception or of one that it was caused by: the SDK wraps nearly all of them. */
  @Override
  public ObjectNode tell(Throwable thrown) {
    // The samples catch these two, and not what they are the cause of.
    boolean documented = thrown instanceof CozeAuthException || thrown instanceof CozeApiException;
    return kind(thrown).put("documented", documented);
  }

  private static ObjectNode kind(Throwable thrown) {
    for (Throwable why = thrown; why != null; why = why.getCause()) {
      if (why instanceof CozeAuthException) {
        CozeAuthException refused = (CozeAuthException) why;
        String code = refused.getCode() == null ? refused.getParam() : refused.getCode().getValue();
        ObjectNode told = ShimWire.object("kind", code == null ? "api" : "oauth", "http_status", refused.getStatusCode());
        if (code != null) told.put("code", code);
        return refused.getLogID() == null ? told : told.put("logid", refused.getLogID());
      }
      if (why instanceof CozeApiException) {
        CozeApiException refused = (CozeApiException) why;
        ObjectNode told = ShimWire.object("kind", "api", "code", String.valueOf(refused.getCode()));
        return refused.getLogID() == null ? told : told.put("logid", refused.getLogID());
      }
      if (why instanceof HttpException) return ShimWire.object("kind", "api", "http_status", ((HttpException) why).code());
      if (why instanceof JsonProcessingException) return ShimWire.object("kind", "parse");
      if (why instanceof SocketTimeoutException) return ShimWire.object("kind", "timeout");
      if (why instanceof InterruptedException || why instanceof InterruptedIOException) return ShimWire.object("kind", "cancelled");
      if (why instanceof IOException) return ShimWire.object("kind", "transport");
      if (why instanceof IllegalArgumentException || why instanceof GeneralSecurityException)
        return ShimWire.object("kind", "config");
    }
    return ShimWire.object("kind", "other");
  }
}
