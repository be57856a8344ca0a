// A case against a world of the mock that nobody else uses: act, and account for every journal entry.

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.net.URI;
import java.net.URLDecoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyPairGenerator;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/** A world of the mock as a case sees it: the control plane and the journal. */
final class Mock {
  static final String CALLBACK = "https://app.example/callback"; // allowed by the ready-made web and PKCE apps
  static final int ACCESS_SECONDS = 15 * 60; // protocol §3.4
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final HttpClient HTTP = HttpClient.newHttpClient(); // follows no redirects

  /** What was expected, and what came. */
  static final class Mismatch extends RuntimeException {
    Mismatch(String text) {
      super(text);
    }
  }

  interface Body {
    void run(Mock mock) throws Exception;
  }

  interface Call<T> {
    T run() throws Exception;
  }

  static void expect(String what, Object expected, Object came) {
    if (!Objects.equals(expected, came)) {
      throw new Mismatch(what + ": expected " + expected + ", came " + came);
    }
  }

  /** What the call throws, if it is of this kind. */
  static <T extends Exception> T thrown(Class<T> kind, Call<?> call) throws Exception {
    Object came;
    try {
      came = call.run();
    } catch (Exception error) {
      if (kind == error.getClass()) return kind.cast(error);
      throw error;
    }
    throw new Mismatch("expected " + kind.getSimpleName() + ", the SDK returned " + (came == null ? null : came.getClass()));
  }

  // --- the world ---

  private final String controls;
  private final String browser;
  /** The world's own port: coze-java drops the path of a base. */
  final String base;
  final String host;
  final String name; // of the host, without its port
  private final Map<String, JsonNode> apps = new HashMap<>();
  private final Map<String, String> tokens = new HashMap<>();
  private long lookedAt;

  private Mock(JsonNode info, JsonNode made) {
    controls = made.get("base_url").asText() + "/_mock/v1";
    base = made.get("port_url").asText();
    // With a shadow in between, the browser has a base of its own.
    browser = made.path("browser_url").asText(base);
    host = URI.create(base).getAuthority();
    name = URI.create(base).getHost();
    for (JsonNode app : info.get("apps")) {
      String kind = app.get("kind").asText();
      apps.put(apps.containsKey(kind) ? "other_" + kind : kind, app);
    }
    for (JsonNode token : info.get("tokens")) tokens.put(token.get("kind").asText(), token.get("value").asText());
  }

  private static JsonNode control(String controls, String method, String path, Object body) throws Exception {
    HttpRequest.BodyPublisher data =
        body == null
            ? HttpRequest.BodyPublishers.noBody()
            : HttpRequest.BodyPublishers.ofString(JSON.writeValueAsString(body));
    HttpRequest request =
        HttpRequest.newBuilder(URI.create(controls + path)).header("content-type", "application/json").method(method, data).build();
    HttpResponse<String> reply = HTTP.send(request, HttpResponse.BodyHandlers.ofString());
    if (reply.statusCode() >= 300) {
      throw new Mismatch("control plane: " + method + " " + path + " answered " + reply.statusCode() + ": " + reply.body());
    }
    return JSON.readTree(reply.body());
  }

  JsonNode control(String method, String path, Object body) throws Exception {
    return control(controls, method, path, body);
  }

  String app(String kind, String member) {
    return apps.get(kind).get(member).asText();
  }

  String client(String kind) {
    return app(kind, "client_id");
  }

  String token(String kind) {
    return tokens.get(kind);
  }

  /** What Coze's console gives for this app as `coze_oauth_config.json` (protocol §9), in a file. */
  Path configFile(String kind) throws Exception {
    Map<String, String> config = new LinkedHashMap<>();
    config.put("client_type", kind);
    config.put("client_id", client(kind));
    config.put("coze_api_base", base);
    config.put("coze_www_base", base);
    if (kind.equals("web")) config.put("client_secret", app(kind, "client_secret"));
    if (kind.equals("jwt")) {
      config.put("private_key", app(kind, "private_key"));
      config.put("public_key_id", app(kind, "key_id"));
    }
    Path file = Files.createTempFile("coze_oauth_config", ".json");
    file.toFile().deleteOnExit();
    return Files.writeString(file, JSON.writeValueAsString(config));
  }

  void advance(double seconds) throws Exception {
    control("POST", "/clock", Map.of("advance_ms", Math.round(seconds * 1000)));
  }

  long nowMs() throws Exception {
    return control("GET", "/clock", null).get("now_ms").asLong();
  }

  /** Whole Unix seconds. */
  long now() throws Exception {
    return nowMs() / 1000;
  }

  /** What the person with the user code does on the device page. */
  void user(String userCode, String action) throws Exception {
    control("POST", "/device/" + userCode, Map.of("action", action));
  }

  void revoke(String token) throws Exception {
    control("POST", "/tokens/revoke", Map.of("token", token));
  }

  /** The browser leg; gives the query of the redirect back to the app. */
  Map<String, String> answerConsent(String url, String action) throws Exception {
    String redirect = control("POST", "/authorize", Map.of("url", url, "action", action)).get("redirect").asText();
    expect("redirect target", CALLBACK, redirect.split("\\?")[0]);
    Map<String, String> query = new HashMap<>();
    for (String pair : URI.create(redirect).getRawQuery().split("&")) {
      String[] parts = pair.split("=", 2);
      query.put(parts[0], URLDecoder.decode(parts[1], StandardCharsets.UTF_8));
    }
    return query;
  }

  String approve(String url, String state) throws Exception {
    Map<String, String> answer = answerConsent(url, "approve");
    expect("callback state", state, answer.get("state"));
    saw("authorize", want().status(302));
    return answer.get("code");
  }

  HttpResponse<String> openAsBrowser(String url) throws Exception {
    return HTTP.send(HttpRequest.newBuilder(URI.create(url.replace(base, browser))).build(), HttpResponse.BodyHandlers.ofString());
  }

  // --- the journal ---

  /** What an entry has to be: status 200 unless it says otherwise, no error and no rule; what is null below those counts not. */
  static final class Want implements Cloneable {
    int status = 200;
    String error, rule, logid, client, grant, path;

    Want status(int status) {
      Want copy = copy();
      copy.status = status;
      return copy;
    }

    Want refused(int status, String error, String rule) {
      Want copy = status(status);
      copy.error = error;
      copy.rule = rule;
      return copy;
    }

    Want logid(String logid) {
      Want copy = copy();
      copy.logid = logid;
      return copy;
    }

    Want client(String client) {
      Want copy = copy();
      copy.client = client;
      return copy;
    }

    Want grant(String grant) {
      Want copy = copy();
      copy.grant = grant;
      return copy;
    }

    Want path(String path) {
      Want copy = copy();
      copy.path = path;
      return copy;
    }

    private Want copy() {
      try {
        return (Want) clone();
      } catch (CloneNotSupportedException why) {
        throw new IllegalStateException(why);
      }
    }
  }

  static Want want() {
    return new Want();
  }

  /** Entries that no case has looked at yet, oldest first. */
  List<JsonNode> newEntries() throws Exception {
    List<JsonNode> fresh = new ArrayList<>();
    for (JsonNode entry : control("GET", "/requests", null).get("requests")) {
      if (entry.get("seq").asLong() > lookedAt) fresh.add(entry);
    }
    fresh.sort((a, b) -> Long.compare(a.get("seq").asLong(), b.get("seq").asLong()));
    if (!fresh.isEmpty()) lookedAt = fresh.get(fresh.size() - 1).get("seq").asLong();
    return fresh;
  }

  /** Exactly one new entry, and it is this one. Gives the entry back. */
  JsonNode saw(String endpoint, Want want) throws Exception {
    List<JsonNode> fresh = newEntries();
    expect("number of new journal entries", 1, fresh.size());
    check(fresh.get(0), endpoint, want);
    return fresh.get(0);
  }

  /** One entry per member, in this order: the endpoints of calls that succeeded. */
  void saw(String... endpoints) throws Exception {
    List<String> came = new ArrayList<>();
    for (JsonNode entry : newEntries()) {
      int status = entry.get("outcome").get("status").asInt();
      came.add(entry.get("endpoint").asText() + (status == 200 ? "" : " " + status));
    }
    expect("journal", List.of(endpoints), came);
  }

  private static String text(JsonNode node, String member) {
    JsonNode value = node.get(member);
    return value == null || value.isNull() ? null : value.asText();
  }

  static void check(JsonNode entry, String endpoint, Want want) {
    JsonNode outcome = entry.get("outcome");
    expect(
        "journal [endpoint, status, error, rule]",
        Arrays.asList(endpoint, want.status, want.error, want.rule),
        Arrays.asList(text(entry, "endpoint"), outcome.get("status").asInt(), text(outcome, "error"), text(outcome, "rule")));
    if (want.logid != null) expect("log id of the SDK against the journal's", text(outcome, "logid"), want.logid);
    if (want.client != null) expect("journal client", want.client, text(entry, "client"));
    if (want.grant != null) expect("journal grant", want.grant, text(entry, "grant"));
    if (want.path != null) expect("journal path", want.path, text(entry, "path").split("\\?")[0]);
  }

  /** The log id that the SDK shows leads a person to the rule. */
  void explained(String logid, String rule) throws Exception {
    if (logid == null) throw new Mismatch("the SDK shows no log id");
    expect("rule that /explain names", rule, text(control("GET", "/explain/" + logid, null), "rule"));
  }

  /** A claim of the assertion, as the journal has it. */
  static String claim(JsonNode entry, String claim) {
    return text(entry.get("jwt").get("payload"), claim);
  }

  private static String otherKey;

  /** The base64 of a private key that no app has. */
  static String otherKey() throws Exception {
    if (otherKey == null) {
      KeyPairGenerator keys = KeyPairGenerator.getInstance("RSA");
      keys.initialize(2048);
      otherKey = Base64.getEncoder().encodeToString(keys.generateKeyPair().getPrivate().getEncoded());
    }
    return otherKey;
  }

  static JsonNode plain(Object value) {
    return JSON.valueToTree(value);
  }

  // --- the run ---

  /** Runs all cases in each of the worlds on standard input: one line per case, then the closing line. It ends the program. */
  static void judge(Map<String, Body> cases, String title) throws Exception {
    JsonNode info = JSON.readTree(System.in);
    int failed = 0;
    for (JsonNode world : info.get("worlds")) {
      int red = 0, number = 0;
      for (Map.Entry<String, Body> one : cases.entrySet()) {
        try {
          inWorld(info, world.get("name").asText() + "." + number++, world.get("config").asText(), one.getValue());
          System.out.println("ok   " + one.getKey());
        } catch (Throwable why) { // a case may fail in any way; the run goes on
          red++;
          String said = String.valueOf(why instanceof Mismatch ? why.getMessage() : why);
          System.out.println("FAIL " + one.getKey() + " — " + said.replaceAll("\\s+", " "));
        }
      }
      System.out.println(title + ": " + (cases.size() - red) + " passed, " + red + " failed");
      failed += red;
    }
    System.exit(failed > 0 ? 1 : 0); // threads of the SDK would live on
  }

  /** Runs a case in a new world of the mock, whose clock stands still until it is told to move. */
  private static void inWorld(JsonNode info, String name, String config, Body body) throws Exception {
    String controls = info.get("base_url").asText() + "/_mock/v1";
    JsonNode made = control(controls, "POST", "/worlds", Map.of("name", name, "config", config, "port", 0));
    try {
      Mock mock = new Mock(info, made);
      SdkTime.begin(mock);
      try {
        body.run(mock);
      } catch (ShimClock.Abandoned why) {
        throw SdkTime.wrong;
      }
      expect("journal entries that the case does not account for", List.of(), mock.newEntries());
    } finally {
      control(controls, "DELETE", "/worlds/" + name, null);
    }
  }
}
