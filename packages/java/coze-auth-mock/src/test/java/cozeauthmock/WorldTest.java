package cozeauthmock;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cozeauthmock.CozeAuthMock.AuthorizeException;
import cozeauthmock.CozeAuthMock.ControlException;
import cozeauthmock.CozeAuthMock.Expect;
import cozeauthmock.CozeAuthMock.Fault;
import cozeauthmock.CozeAuthMock.FaultHandle;
import cozeauthmock.CozeAuthMock.Gate;
import cozeauthmock.CozeAuthMock.JournalEntry;
import cozeauthmock.CozeAuthMock.Json;
import cozeauthmock.CozeAuthMock.MockClock;
import cozeauthmock.CozeAuthMock.MockWorld;
import cozeauthmock.CozeAuthMock.On;
import cozeauthmock.CozeAuthMock.RequestFilter;
import cozeauthmock.CozeAuthMock.ScriptStep;
import cozeauthmock.CozeAuthMock.Settings;
import java.io.IOException;
import java.net.HttpURLConnection;
import java.net.Proxy;
import java.net.URI;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneId;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.RepeatedTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A world of the mock, and whose it is. The tests run at once. */
@ExtendWith(CozeAuthMock.class)
class WorldTest {
  private static final String CALLBACK = "https://app.example/callback";
  private static final String ALICE = "pat_mock_alice";
  private static final Set<String> NAMES = ConcurrentHashMap.newKeySet();

  private final MockWorld ofConstructor;
  private MockWorld before;

  WorldTest(MockWorld world) {
    ofConstructor = world;
  }

  @BeforeEach
  void before(MockWorld world) {
    before = world;
  }

  @AfterEach
  void after(MockWorld world) {
    assertSame(before, world);
    assertSame(ofConstructor, world);
  }

  /** Calls the data plane with a token; gives the status, and 0 for a connection that breaks. */
  static int me(String base, String token) {
    try {
      HttpURLConnection call = (HttpURLConnection) URI.create(base + "/v1/users/me").toURL().openConnection(Proxy.NO_PROXY);
      call.setRequestProperty("Authorization", "Bearer " + token);
      call.setRequestProperty("Connection", "close");
      return call.getResponseCode();
    } catch (IOException broken) {
      return 0;
    }
  }

  private static String authorizeUrl(MockWorld world, String redirect) {
    String query = "?response_type=code&state=a%20b&client_id=" + world.app("web").clientId() + "&redirect_uri=" + redirect;
    return world.baseUrl() + "/api/permission/oauth2/authorize" + query;
  }

  private static void own(MockWorld world) {
    assertTrue(NAMES.add(world.name()), world.name() + " is of two tests");
    assertTrue(world.name().matches("java-[A-Za-z0-9-]{0,33}[0-9a-f]{8}"), world.name());
    assertEquals(List.of(), world.requests(RequestFilter.any()));
    assertTrue(world.revoke(ALICE));
    assertEquals(401, me(world.baseUrl(), ALICE));
  }

  @RepeatedTest(10)
  void eachRepetitionHasAWorldOfItsOwn(MockWorld world) {
    own(world);
  }

  @ParameterizedTest
  @ValueSource(strings = {"a", "a b", "世界"})
  void eachInvocationHasAWorldOfItsOwn(String word, MockWorld world) {
    assertNotNull(word);
    own(world);
  }

  @Test
  void 一个测试的名字可以是中文(MockWorld world) {
    own(world);
  }

  @Nested
  @Settings(clock = "2026-01-02T03:04:05Z", config = "[[token]]\nkind = \"pat\"\nvalue = \"pat_mine\"\n[[user]]\nname = \"bob\"\n")
  class Inside {
    @Test
    void aNestedTestHasAWorldOfItsOwn(MockWorld world) {
      assertSame(before, world);
      assertEquals("pat_mine", world.consoleToken("pat"));
      assertEquals(Instant.parse("2026-01-02T03:04:05Z"), world.clock().instant());
    }

    @Test
    @Settings(clock = "2027-01-01T00:00:00Z")
    void theNearestSettingsCountEachByItself(MockWorld world) {
      assertEquals(Instant.parse("2027-01-01T00:00:00Z"), world.clock().instant());
      assertEquals("pat_mine", world.consoleToken("pat"));
    }
  }

  @RepeatedTest(2)
  @Settings(seed = 7, clock = "2026-01-01T00:00:00Z")
  void aSeedMakesCodesRepeatable(MockWorld world) {
    String code = world.authorize(authorizeUrl(world, CALLBACK)).query("code");
    NAMES.add("code " + code);
    assertEquals(1, NAMES.stream().filter(name -> name.startsWith("code ")).count());
  }

  @Test
  void appsTokensAndVariables(MockWorld world) {
    assertEquals(5, world.apps().size());
    assertEquals("mock-web-secret", world.app("web").clientSecret());
    assertEquals(List.of(), world.app("device").redirectUris());
    assertTrue(world.app("jwt").privateKey().contains("BEGIN PRIVATE KEY-----\n"));
    assertTrue(world.variables().get("COZE_API_BASE").endsWith("/t/" + world.name()));
    assertFalse(world.revoke("of-nobody"));
    world.addApi("GET", "/v1/bots/{bot_id}", Map.of("code", 0, "data", Arrays.asList("a\"b\\\n\u0001世界", null, 1.5, true)));
    world.removeKey(world.app("jwt").clientId(), world.app("jwt").keyId());
    Object keys = world.control("GET", "/apps/" + world.app("jwt").clientId() + "/keys", null);
    assertEquals(Map.of("keys", List.of()), keys);
    String said = assertThrows(IllegalArgumentException.class, () -> world.app("wbe")).getMessage();
    assertEquals("the configuration has no app of the kind wbe; it has device, jwt, pkce, web, workload", said);
  }

  @Test
  void aPersonDecides(MockWorld world) {
    assertEquals("a b", world.authorize(authorizeUrl(world, CALLBACK)).query("state"));
    assertEquals("access_denied", world.decide(authorizeUrl(world, CALLBACK), "deny", null).query("error"));
    assertNull(world.decide(authorizeUrl(world, CALLBACK), "deny", "alice").query("code"));
    String elsewhere = authorizeUrl(world, "https://elsewhere.example");
    AuthorizeException refused = assertThrows(AuthorizeException.class, () -> world.authorize(elsewhere));
    assertEquals("authorize.redirect_uri", refused.explanation().rule());
    assertTrue(refused.getMessage().endsWith(refused.explanation().fix()), refused.getMessage());
    String url = authorizeUrl(world, CALLBACK);
    ControlException nobody = assertThrows(ControlException.class, () -> world.decide(url, "approve", "nobody"));
    assertEquals(400, nobody.status());
  }

  @Test
  void aFaultActsAsOftenAsItSays(MockWorld world) {
    On me = On.endpoint("users_me");
    try (FaultHandle fault = world.fault(me, Fault.status(503).skip(1).times(2))) {
      for (int expected : new int[] {200, 503, 503, 200}) assertEquals(expected, me(world.baseUrl(), ALICE));
      assertEquals(2, fault.fired());
    }
    List<JournalEntry> broken;
    try (FaultHandle reset = world.fault(me, Fault.of("reset").at("answer"))) {
      assertEquals(0, me(world.baseUrl(), ALICE));
      broken = world.requests(me.fault("reset"));
      assertEquals(reset.fired(), broken.size()); // Java asks again by itself
    }
    assertEquals(0, broken.get(0).outcome().status());
    world.fault(me.path("/v1/users/me"), Fault.status(418).header("x-a", "1").header("x-b", "2"));
    assertEquals(418, me(world.baseUrl(), ALICE));
    world.verify(Expect.exactly(2, me.status(503)));
    ControlException refused = assertThrows(ControlException.class, () -> world.fault(On.token(), Fault.of("rest")));
    assertTrue(refused.getMessage().startsWith("POST /faults: the mock answered 400: expected a fault: "), refused.getMessage());
  }

  @Test
  void aScriptAnswersInOrder(MockWorld world) {
    world.script(
        On.endpoint("users_me"), ScriptStep.error("4100"), ScriptStep.pass(), ScriptStep.error("4013", 429), ScriptStep.fault(Fault.status(502).times(9)));
    for (int expected : new int[] {401, 200, 429, 502, 200}) assertEquals(expected, me(world.baseUrl(), ALICE));
  }

  @Test
  void aGateHoldsRequests(MockWorld world) {
    CompletableFuture<Integer> call;
    try (Gate gate = world.gate("g1", On.endpoint("users_me"))) {
      // Not of the common pool, which may have no thread for it.
      call = new CompletableFuture<>();
      new Thread(() -> call.complete(me(world.baseUrl(), ALICE))).start();
      assertTrue(gate.arrived(1));
      assertFalse(call.isDone());
    }
    assertEquals(200, call.join());
  }

  @Test
  void theClockMovesAndIsOneOfJava(MockWorld world) {
    MockClock clock = world.clock();
    clock.freeze();
    Instant at = clock.instant();
    clock.advance(Duration.ofMinutes(90).plusMillis(500));
    assertEquals(at.plus(Duration.ofMinutes(90).plusMillis(500)), clock.instant());
    clock.set(Instant.ofEpochSecond(1_700_000_000));
    Clock there = clock.withZone(ZoneId.of("Asia/Shanghai"));
    assertEquals(1_700_000_000_000L, there.millis());
    assertEquals(ZoneId.of("Asia/Shanghai"), there.getZone());
  }

  @Test
  void theJournalTellsOfRequests(MockWorld world) {
    assertEquals(401, me(world.baseUrl(), "of-nobody"));
    assertEquals(1, world.requests(On.endpoint("users_me").status(401)).size());
    JournalEntry entry = world.requests(On.endpoint("users_me")).get(0);
    assertEquals("/v1/users/me", entry.path());
    assertTrue(entry.headers().containsKey("authorization"), entry.headers().toString());
    String logId = entry.outcome().logId();
    assertEquals(entry.outcome().rule(), world.explain(logId).rule());
    assertNotNull(world.explain(logId).fix());
    assertNull(world.explain("20260101000000MOCK00000000000009"));
    me(world.baseUrl() + "/v1/users/me?client_secret=" + world.app("web").clientSecret() + "#", "of-nobody");
    assertEquals("client_secret@query", world.leaks().get(0).toString().split(" ")[0]);
    String report = world.report();
    assertTrue(report.startsWith("the last 2 of 2 requests to " + world.baseUrl() + ":\n  1 GET users_me 401 4100 rule="), report);
    assertTrue(report.contains("\n      rule: " + world.explain(logId)), report);
    assertTrue(report.contains("leak=client_secret@query"), report);
  }

  @Test
  void expectationsAreCompared(MockWorld world) {
    On all = On.endpoint("users_me");
    me(world.baseUrl(), "of-nobody");
    me(world.baseUrl(), ALICE);
    world.verify(Expect.exactly(2, all), Expect.atLeast(1, all), Expect.atMost(2, all), Expect.order(all, all));
    AssertionError unmet =
        assertThrows(
            AssertionError.class,
            () ->
                world.verify(
                    Expect.atLeast(3, all.error("4100")),
                    Expect.exactly(0, RequestFilter.any().rule("refresh.rotate")),
                    Expect.atMost(1, all),
                    Expect.order(On.token(), all),
                    Expect.gaps(Duration.ofHours(1), all)));
    String[] lines = unmet.getMessage().split("\n(?=expectation )");
    assertEquals(List.of("0", "2", "3", "4"), Arrays.stream(lines).map(line -> line.split("[ :]")[1]).toList());
    assertTrue(lines[0].contains("expected at least 3 of endpoint users_me, error 4100; 1 matched"), lines[0]);
  }

  @Test
  void jsonIsReadAndWritten() {
    String text = "{\"a\":[1,-2,2.5,true,false,null,\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u4e16界\",[],{}],\"b\":{\"c\":1e3}}";
    Object read = Json.read(" " + text.replace(",", " ,\n\t") + " ");
    Map<String, Object> expected =
        Map.of("a", Arrays.asList(1L, -2L, 2.5, true, false, null, "\"\\/\b\f\n\r\t世界", List.of(), Map.of()), "b", Map.of("c", 1000.0));
    assertEquals(expected, read);
    assertEquals(expected, Json.read(Json.write(read)));
    for (String wrong : List.of("", "{", "[1", "[1,]", "[1 2]", "{\"a\"}", "{a:1}", "\"a", "\"\\x\"", "\"\\u00\"", "tru", "1 2", "{}}")) {
      assertThrows(IllegalArgumentException.class, () -> Json.read(wrong), wrong);
    }
    String alien = assertThrows(IllegalArgumentException.class, () -> Json.write(Map.of("a", new Object()))).getMessage();
    assertTrue(alien.startsWith("a java.lang.Object is not JSON"), alien);
  }
}
