// The driver of ScribeJava and of Nimbus's OAuth 2.0 SDK (README.md). Neither keeps a token, so the program here refreshes when what expires_in told is over.

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.github.scribejava.core.builder.ServiceBuilder;
import com.github.scribejava.core.builder.api.DefaultApi20;
import com.github.scribejava.core.model.OAuth2AccessToken;
import com.github.scribejava.core.oauth.OAuth20Service;
import com.nimbusds.oauth2.sdk.*;
import com.nimbusds.oauth2.sdk.auth.ClientSecretBasic;
import com.nimbusds.oauth2.sdk.auth.Secret;
import com.nimbusds.oauth2.sdk.id.ClientID;
import com.nimbusds.oauth2.sdk.id.State;
import com.nimbusds.oauth2.sdk.token.AccessToken;
import com.nimbusds.oauth2.sdk.token.RefreshToken;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.HttpURLConnection;
import java.net.URI;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;

public class Driver {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static long ahead;

  /** The clock of this program, and of the recipes, which ask the system elsewhere. */
  static long now() {
    return System.currentTimeMillis() + ahead * 1000;
  }

  /** What a grant brings; `life` in seconds, 0 if the library tells none. */
  record Granted(String token, String refresh, long life) {}

  /** What a library does. What it throws is what a program would see. */
  interface Library {
    String link(String state) throws Exception;

    Granted exchange(String code) throws Exception;

    Granted refresh(String token) throws Exception;
  }

  static class Scribe implements Library {
    private final OAuth20Service service;

    Scribe(JsonNode given) {
      DefaultApi20 api = new DefaultApi20() {
        @Override
        public String getAccessTokenEndpoint() {
          return given.get("token").asText();
        }

        @Override
        protected String getAuthorizationBaseUrl() {
          return given.get("authorize").asText();
        }
      };
      if (isRecipe(given)) api = new CozeApi(given.get("token").asText().replaceFirst("/token$", ""));
      service = new ServiceBuilder(given.get("client_id").asText()).apiSecret(given.get("client_secret").asText())
          .callback(given.get("redirect_uri").asText()).build(api);
    }

    @Override
    public String link(String state) {
      return service.getAuthorizationUrl(state);
    }

    private static Granted of(OAuth2AccessToken token) {
      Integer life = token.getExpiresIn();
      return new Granted(token.getAccessToken(), token.getRefreshToken(), life == null ? 0 : life);
    }

    @Override
    public Granted exchange(String code) throws Exception {
      return of(service.getAccessToken(code));
    }

    @Override
    public Granted refresh(String token) throws Exception {
      return of(service.refreshAccessToken(token));
    }
  }

  static class Nimbus implements Library {
    private final JsonNode given;
    private final ClientID id;
    private final Secret secret;
    private final URI redirect;

    Nimbus(JsonNode given) {
      this.given = given;
      id = new ClientID(given.get("client_id").asText());
      secret = new Secret(given.get("client_secret").asText());
      redirect = URI.create(given.get("redirect_uri").asText());
    }

    @Override
    public String link(String state) {
      URI authorize = URI.create(given.get("authorize").asText());
      return new AuthorizationRequest.Builder(ResponseType.CODE, id).endpointURI(authorize).redirectionURI(redirect)
          .state(new State(state)).build().toURI().toString();
    }

    private Granted grant(AuthorizationGrant grant) throws Exception {
      TokenRequest request = new TokenRequest(URI.create(given.get("token").asText()), new ClientSecretBasic(id, secret), grant);
      TokenResponse answer = isRecipe(given) ? NimbusCoze.send(request, id, secret) : TokenResponse.parse(request.toHTTPRequest().send());
      if (!answer.indicatesSuccess()) {
        ErrorObject error = answer.toErrorResponse().getErrorObject();
        throw new GeneralException(error.getCode() + ": " + error.getDescription(), error);
      }
      AccessToken token = answer.toSuccessResponse().getTokens().getAccessToken();
      RefreshToken refresh = answer.toSuccessResponse().getTokens().getRefreshToken();
      return new Granted(token.getValue(), refresh == null ? null : refresh.getValue(), token.getLifetime());
    }

    @Override
    public Granted exchange(String code) throws Exception {
      return grant(new AuthorizationCodeGrant(new AuthorizationCode(code), redirect));
    }

    @Override
    public Granted refresh(String token) throws Exception {
      return grant(new RefreshTokenGrant(new RefreshToken(token)));
    }
  }

  private static boolean isRecipe(JsonNode given) {
    return given.get("how").asText().equals("by recipe");
  }

  private final boolean isScribe;
  private Library library;
  private JsonNode given;
  private Granted kept;
  private long ends;

  private Driver(boolean isScribe) {
    this.isScribe = isScribe;
  }

  private void keep(Granted granted) {
    kept = granted;
    ends = granted.life() == 0 ? Long.MAX_VALUE : now() + granted.life() * 1000;
  }

  private String callback(String url) throws Exception {
    Map<String, String> query = new HashMap<>();
    for (String pair : URI.create(url).getRawQuery().split("&")) {
      String[] parts = pair.split("=", 2);
      query.put(parts[0], URLDecoder.decode(parts[1], StandardCharsets.UTF_8));
    }
    if (!"state-of-this-login".equals(query.get("state"))) throw new IllegalStateException("another state");
    keep(library.exchange(query.get("code")));
    return kept.token();
  }

  private String profile() throws Exception {
    if (now() >= ends) keep(library.refresh(kept.refresh()));
    HttpURLConnection call = (HttpURLConnection) URI.create(given.get("profile").asText()).toURL().openConnection();
    call.setRequestProperty("Authorization", "Bearer " + kept.token());
    JsonNode said = JSON.readTree(call.getInputStream());
    return (isRecipe(given) ? said.get("data").get("user_name") : said.get("name")).asText();
  }

  private ObjectNode answer(JsonNode asked) throws Exception {
    ObjectNode said = JSON.createObjectNode();
    switch (asked.get("do").asText()) {
      case "clock" -> ahead = asked.get("seconds").asLong();
      case "begin" -> {
        given = asked;
        kept = null;
        library = isScribe ? new Scribe(asked) : new Nimbus(asked);
        said.put("url", library.link("state-of-this-login"));
      }
      case "callback" -> said.put("token", callback(asked.get("url").asText()));
      default -> said.put("name", profile());
    }
    return said;
  }

  public static void main(String[] arguments) throws IOException {
    Driver driver = new Driver(arguments[0].equals("ScribeJava"));
    BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = lines.readLine(); line != null; line = lines.readLine()) {
      ObjectNode said;
      try {
        said = driver.answer(JSON.readTree(line));
      } catch (Exception why) {
        said = JSON.createObjectNode().put("error", String.valueOf(why.getMessage())).put("type", why.getClass().getSimpleName());
      }
      System.out.println(said);
    }
  }
}
