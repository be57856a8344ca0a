// com.coze:coze-api, with and without the files of docs/official-sdks.md beside this one. See run.py.

import com.coze.openapi.client.auth.DeviceAuthResp;
import com.coze.openapi.client.auth.GetPKCEAuthURLResp;
import com.coze.openapi.client.auth.OAuthToken;
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
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;

public class Drive {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final String REDIRECT = "https://app.example/callback";

  private interface Exchange {
    OAuthToken of(String code) throws Exception;
  }

  private final boolean page;
  private final String base;
  private WebOAuthClient web;
  private Auth auth;
  private CozeAPI api;
  private String state;
  private Exchange exchange;

  Drive(boolean page, String base) {
    this.page = page;
    this.base = base;
  }

  private <T extends OAuthClient.OAuthBuilder<T>> T app(T builder) {
    builder.baseURL(base);
    return page ? builder.client(Careful.client()) : builder;
  }

  private static Map<String, Object> said(String name, Object value) {
    Map<String, Object> said = new HashMap<>();
    said.put(name, value);
    return said;
  }

  /** What an application can tell of an error. */
  private static Map<String, Object> failed(Exception error) {
    Map<String, Object> said = said("error", error.getClass().getSimpleName());
    boolean known = error instanceof CozeAuthException;
    CozeAuthException refused = known ? (CozeAuthException) error : null;
    said.put("code", known && refused.getCode() != null ? refused.getCode().getValue() : null);
    said.put("status", known ? refused.getStatusCode() : null);
    said.put("known", known);
    said.put("text", String.valueOf(error.getMessage()));
    return said;
  }

  private static Map<String, Object> token(Callable<OAuthToken> call) {
    try {
      return said("token", call.call().getAccessToken());
    } catch (Exception error) {
      return failed(error);
    }
  }

  private JWTOAuthClient jwt(String key) throws Exception {
    return app(new JWTOAuthClient.JWTOAuthBuilder())
        .clientID("100000000001").publicKey("mock-jwt-key-1").privateKey(key).build();
  }

  private WebOAuthClient web(String secret) {
    return app(new WebOAuthClient.WebOAuthBuilder()).clientID(System.getenv("WEB")).clientSecret(secret).build();
  }

  Map<String, Object> answer(String what, JsonNode with) throws Exception {
    String text = with.path(0).asText();
    switch (what) {
      case "refresh":
        if (web == null) web = web("mock-web-secret"); // one connection
        return token(() -> web.refreshToken(text));
      case "device": {
        DeviceOAuthClient app =
            app(new DeviceOAuthClient.DeviceOAuthBuilder()).clientID(System.getenv("DEVICE")).build();
        DeviceAuthResp device = app.getDeviceCode();
        if (page) return token(() -> DeviceLogin.logIn(app, device));
        return token(() -> app.getAccessToken(device.getDeviceCode(), true));
      }
      case "auth": {
        JWTOAuthClient app = jwt(System.getenv("KEY"));
        auth = page ? new KeptToken(() -> app.getAccessToken()) : new JWTOAuth(app);
        ExecutorService pool = Executors.newFixedThreadPool(8);
        List<Future<String>> asked = new ArrayList<>();
        for (int at = 0; at < 8; at++) asked.add(pool.submit(auth::token));
        pool.shutdown();
        pool.awaitTermination(5, TimeUnit.MINUTES); // one that failed is not the end of the others
        List<String> tokens = new ArrayList<>();
        for (Future<String> one : asked) tokens.add(one.get());
        return said("tokens", tokens);
      }
      case "token":
        return said("token", auth.token());
      case "call":
        return call(auth);
      case "list": // with one API client, whose connections are kept
        if (api == null) api = api(auth);
        return list(api);
      case "inside": {
        WebOAuthClient app = web("mock-web-secret");
        try {
          return list(api(new KeptToken(() -> app.refreshToken(text))));
        } catch (RuntimeException thrown) {
          if (!page) return failed(thrown);
          throw ApiError.of(thrown);
        }
      }
      case "api":
        return call(new TokenAuth(text));
      case "key":
        return token(() -> jwt(page ? Settings.key(text) : text).getAccessToken());
      case "secret":
        return token(() -> web(page ? Settings.secret(text) : text).refreshToken("rt1"));
      case "slash": {
        String given = page ? Settings.base(base + "/") : base + "/";
        DeviceOAuthClient app =
            new DeviceOAuthClient.DeviceOAuthBuilder().clientID(System.getenv("DEVICE")).baseURL(given).build();
        String url = new WebOAuthClient.WebOAuthBuilder().baseURL(given).build().getOAuthURL(REDIRECT, "s");
        return url.contains("//api/") ? said("url", url) : said("token", app.getDeviceCode().getDeviceCode());
      }
      case "www": {
        WebOAuthClient.WebOAuthBuilder builder =
            new WebOAuthClient.WebOAuthBuilder().clientID("a").clientSecret("b").baseURL(text);
        if (page) builder.wwwURL(with.path(1).asText());
        return said("url", builder.build().getOAuthURL(REDIRECT, "s"));
      }
      case "link": {
        PKCEOAuthClient app =
            app(new PKCEOAuthClient.PKCEOAuthBuilder()).clientID(System.getenv("PKCE")).build();
        String url, verifier;
        if (page) {
          LoginLink login = new LoginLink(app, REDIRECT);
          state = login.state;
          url = login.url;
          verifier = login.verifier;
        } else {
          GetPKCEAuthURLResp made = app.genOAuthURL(REDIRECT, "");
          url = made.getAuthorizationURL();
          verifier = made.getCodeVerifier();
        }
        exchange = code -> app.getAccessToken(code, REDIRECT, verifier);
        Map<String, Object> said = said("url", url);
        said.put("verifier", verifier);
        return said;
      }
      case "web_link": {
        WebOAuthClient app = web("mock-web-secret");
        String url = app.getOAuthURL(REDIRECT, "");
        if (page) {
          LoginLink login = new LoginLink(app, REDIRECT);
          state = login.state;
          url = login.url;
        }
        exchange = code -> app.getAccessToken(code, REDIRECT);
        return said("url", url);
      }
      case "no_state":
        state = "";
        return said("state", state);
      case "callback": {
        Map<String, String> query = new HashMap<>();
        with.path(0).fields().forEachRemaining(pair -> query.put(pair.getKey(), pair.getValue().asText()));
        return token(() -> exchange.of(page ? LoginLink.code(query::get, state) : query.get("code")));
      }
      default:
        throw new IllegalArgumentException(what);
    }
  }

  private CozeAPI api(Auth auth) {
    return new CozeAPI.Builder().auth(auth).baseURL(base).client(Careful.api()).build();
  }

  private static Map<String, Object> list(CozeAPI api) {
    return said("ok", api.workspaces().list(ListWorkspaceReq.of(1, 20)).getItems().get(0).getId());
  }

  private Map<String, Object> call(Auth auth) {
    CozeAPI api = api(auth);
    try {
      return page && auth instanceof KeptToken ? ((KeptToken) auth).call(() -> list(api)) : list(api);
    } catch (CozeApiException caught) {
      return said("code", String.valueOf(caught.getCode()));
    } catch (RuntimeException thrown) {
      if (!page) return failed(thrown);
      CozeApiException refusal = ApiError.of(thrown);
      Map<String, Object> said = said("code", String.valueOf(refusal.getCode()));
      said.put("text", refusal.getMsg());
      return said;
    }
  }

  public static void main(String[] args) throws Exception {
    Map<String, Drive> drives = new HashMap<>();
    BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
    for (String line; (line = lines.readLine()) != null; ) {
      JsonNode asked = JSON.readTree(line);
      String how = asked.get("how").asText(), base = asked.get("base").asText();
      Drive drive = drives.computeIfAbsent(how + base, none -> new Drive(how.equals("page"), base));
      Map<String, Object> said;
      try {
        said = drive.answer(asked.get("do").asText(), asked.get("with"));
      } catch (Exception error) {
        said = failed(error);
      }
      System.out.println(JSON.writeValueAsString(said));
    }
    if (args.length == 0) System.exit(0);
    // With `stay` the process ends as Java lets it: when no thread is left that is not a daemon.
  }
}
