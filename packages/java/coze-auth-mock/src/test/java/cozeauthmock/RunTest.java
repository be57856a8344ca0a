package cozeauthmock;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;
import static org.junit.platform.engine.discovery.DiscoverySelectors.selectClass;

import cozeauthmock.CozeAuthMock.MockWorld;
import cozeauthmock.CozeAuthMock.StartException;
import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.MethodOrderer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.TestMethodOrder;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.api.parallel.Isolated;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;
import org.junit.platform.testkit.engine.EngineTestKit;
import org.junit.platform.testkit.engine.Event;
import org.junit.platform.testkit.engine.EventType;
import org.junit.platform.testkit.engine.Events;

/** Runs of JUnit of their own: what they print, and what is left of them. */
@Isolated("standard error is of the process")
class RunTest {
  /** What the last run printed on standard error. */
  private String printed;

  private Events run(Class<?> tests) {
    PrintStream before = System.err;
    ByteArrayOutputStream said = new ByteArrayOutputStream();
    System.setErr(new PrintStream(said, true));
    try {
      return EngineTestKit.engine("junit-jupiter")
          .configurationParameter("junit.jupiter.execution.parallel.enabled", "false")
          .selectors(selectClass(tests))
          .execute()
          .allEvents();
    } finally {
      System.setErr(before);
      printed = said.toString(StandardCharsets.UTF_8);
    }
  }

  private static String failure(Events events) {
    List<Event> failed = events.failed().list();
    assertEquals(1, failed.size(), failed.toString());
    return failed.get(0).getRequiredPayload(org.junit.platform.engine.TestExecutionResult.class).getThrowable().orElseThrow().getMessage();
  }

  // --- the journal of a test that fails ---

  @ExtendWith(CozeAuthMock.class)
  @TestMethodOrder(MethodOrderer.MethodName.class)
  static class Failing {
    static String base;

    @AfterEach
    void after(MockWorld world) {
      base = world.baseUrl();
      WorldTest.me(base, "of-nobody");
    }

    @Test
    void a(MockWorld world) {
      fail("the reason");
    }

    @Test
    void b(MockWorld world) {
      // passes
    }

    @Test
    void c(MockWorld world) {
      Assumptions.abort("not here");
    }
  }

  @Test
  void aTestThatFailsPrintsTheJournalOfItsWorld() {
    Events events = run(Failing.class);
    assertEquals(1, events.failed().count());
    assertEquals(1, events.aborted().count());
    // What @AfterEach did is told as well.
    String head = "coze-auth-mock journal of Failing.a: the last 1 of 1 requests to http://127.0.0.1:";
    assertTrue(printed.startsWith(head), printed);
    assertTrue(printed.contains("\n  1 GET users_me 401 4100 rule="), printed);
    assertTrue(printed.contains("\n      rule: "), printed);
    assertEquals(1, printed.split("coze-auth-mock journal", -1).length - 1, printed);
    assertEquals(0, WorldTest.me(Failing.base, "of-nobody"), "the mock is left after its run");
  }

  @ExtendWith(CozeAuthMock.class)
  static class FailingAfter {
    @Test
    void passes(MockWorld world) {
      // its end does not
    }

    @AfterEach
    void after() {
      fail("the reason");
    }
  }

  @Test
  void aTestWhoseEndFailsPrintsTheJournal() {
    run(FailingAfter.class);
    assertTrue(printed.startsWith("coze-auth-mock journal of FailingAfter.passes: no requests to http://"), printed);
  }

  @ExtendWith(CozeAuthMock.class)
  static class FailingFactory {
    @TestFactory
    Stream<DynamicTest> factory(MockWorld world) {
      return Stream.of(401, 402, 401)
          .map(status -> DynamicTest.dynamicTest("me", () -> assertEquals(status, WorldTest.me(world.baseUrl(), "of-nobody"))));
    }
  }

  @Test
  void aDynamicTestThatFailsPrintsTheJournalOfItsFactory() {
    assertEquals(1, run(FailingFactory.class).failed().count());
    assertTrue(printed.startsWith("coze-auth-mock journal of FailingFactory.factory: the last 3 of 3 requests to http://"), printed);
  }

  // --- where a world is not to be had ---

  @ExtendWith(CozeAuthMock.class)
  static class BeforeTheClass {
    @BeforeAll
    static void before(MockWorld world) {
      fail("a world of no test");
    }

    @Test
    void test() {
      fail("it is not reached");
    }
  }

  @ExtendWith(CozeAuthMock.class)
  @TestInstance(TestInstance.Lifecycle.PER_CLASS)
  static class OneInstance {
    OneInstance(MockWorld world) {
      fail("a world of no test");
    }

    @Test
    void test() {
      fail("it is not reached");
    }
  }

  @Test
  void aWorldOfAClassIsRefused() {
    for (Class<?> tests : List.of(BeforeTheClass.class, OneInstance.class)) {
      String said = failure(run(tests));
      assertTrue(said.contains("a MockWorld is of one test: take it in the test, in @BeforeEach or in @AfterEach"), said);
    }
  }

  // --- the process ---

  @ExtendWith(CozeAuthMock.class)
  static class Child {
    @Test
    void test(MockWorld world) throws IOException {
      System.out.println("BASE " + world.baseUrl());
      switch (System.getenv("CHILD")) {
        case "waits":
          System.in.read();
          break;
        case "halts":
          Runtime.getRuntime().halt(3);
          break;
        default:
          fail("the reason");
      }
    }

    public static void main(String[] none) {
      var request = LauncherDiscoveryRequestBuilder.request().selectors(selectClass(Child.class)).build();
      LauncherFactory.create()
          .execute(
              request,
              new org.junit.platform.launcher.TestExecutionListener() {
                @Override
                public void executionFinished(
                    org.junit.platform.launcher.TestIdentifier test, org.junit.platform.engine.TestExecutionResult result) {
                  result.getThrowable().ifPresent(error -> System.out.println("FAILED " + error.getMessage()));
                }
              });
    }
  }

  private static Process child(String what, Map<String, String> environment) throws IOException {
    String java = Path.of(System.getProperty("java.home"), "bin", "java").toString();
    ProcessBuilder command =
        new ProcessBuilder(java, "-XX:TieredStopAtLevel=1", "-cp", System.getProperty("java.class.path"), Child.class.getName());
    command.environment().put("CHILD", what);
    command.environment().putAll(environment);
    return command.redirectError(ProcessBuilder.Redirect.INHERIT).start();
  }

  /** The next line of a child that begins with this word, without it. */
  private static String line(Process child, String word) throws IOException {
    BufferedReader output = new BufferedReader(new InputStreamReader(child.getInputStream(), StandardCharsets.UTF_8));
    List<String> others = new ArrayList<>();
    for (String line = output.readLine(); line != null; line = output.readLine()) {
      if (line.startsWith(word + " ")) return line.substring(word.length() + 1);
      others.add(line);
    }
    return fail("the child says " + others);
  }

  /** Waits for the end of a mock, whose only sign is that nothing answers. The bound is a guard. */
  private static void ended(String base) throws InterruptedException {
    for (int n = 0; n < 1000; n++) {
      if (WorldTest.me(base, "of-nobody") == 0) return;
      Thread.sleep(10);
    }
    fail("the mock is left behind: " + base);
  }

  @Test
  void theMockEndsWithAProcessThatIsKilled() throws Exception {
    Process child = child("waits", Map.of());
    String base = line(child, "BASE");
    assertEquals(401, WorldTest.me(base, "of-nobody"));
    child.destroyForcibly();
    ended(base);
  }

  @Test
  void theMockEndsWithCtrlC() throws Exception {
    Process child = child("waits", Map.of());
    String base = line(child, "BASE");
    child.destroy();
    ended(base);
    assertTrue(child.waitFor(60, TimeUnit.SECONDS));
  }

  @Test
  void theMockEndsWithAProcessThatHalts() throws Exception {
    ended(line(child("halts", Map.of()), "BASE"));
  }

  @Test
  void variablesOfTheTestsDoNotReachTheMock() throws Exception {
    Map<String, String> alien = Map.of("COZE_AUTH_MOCK_PUBLIC_URL", "http://mock.example:1", "COZE_AUTH_MOCK_ADMIN_TOKEN", "secret");
    String base = line(child("fails", alien), "BASE");
    assertTrue(base.startsWith("http://127.0.0.1:"), base);
    ended(base);
  }

  /** The platform, as npm names it. */
  private static String platform() {
    String machine = System.getProperty("os.arch").equals("aarch64") ? "arm64" : "x64";
    return (OS.MAC.isCurrentOs() ? "darwin-" : "linux-") + machine;
  }

  private static Path program(Path file, String text) throws IOException {
    Files.createDirectories(file.getParent());
    Files.writeString(file, text);
    assertTrue(file.toFile().setExecutable(true));
    return file;
  }

  @Test
  @DisabledOnOs(value = OS.WINDOWS, disabledReason = "the stand-ins are scripts of a shell")
  void whatIsNotAMockIsToldByWhatItSaid(@TempDir Path folder) throws Exception {
    Map<String, String> said = new HashMap<>();
    said.put("#!/bin/sh\necho hello\necho 'no mock here' >&2\n", "one did not start: no mock here");
    said.put("#!/bin/sh\necho '[]'\n", "one did not start: it printed []");
    said.put("#!/bin/sh\n", "one did not start: it printed nothing");
    for (Map.Entry<String, String> one : said.entrySet()) {
      Path program = program(folder.resolve("one"), one.getKey());
      String told = line(child("waits", Map.of("COZE_AUTH_MOCK_BIN", program.toString())), "FAILED");
      assertTrue(told.contains(one.getValue()), told);
    }
  }

  @Test
  @DisabledOnOs(value = OS.WINDOWS, disabledReason = "the stand-ins are scripts of a shell")
  void theCommandIsFound(@TempDir Path folder) throws Exception {
    Path home = folder.resolve("home");
    Path here = Files.createDirectories(folder.resolve("project/package"));
    Map<String, String> environment = new HashMap<>();
    environment.put("PATH", folder.resolve("empty") + File.pathSeparator + folder.resolve("path"));
    String none = assertThrows(StartException.class, () -> CozeAuthMock.findBinary(environment, here, home)).getMessage();
    assertTrue(none.endsWith("install it with pip, npm or cargo, or name the program in the variable COZE_AUTH_MOCK_BIN"), none);
    // From the last to the first that counts.
    for (String place :
        Arrays.asList(
            "home/.cargo/bin", "home/.local/bin", "path", "active/bin", "project/venv/bin", "project/.venv/bin",
            "project/node_modules/.bin", "project/node_modules/coze-auth-mock-" + platform() + "/bin", "project/package/.venv/bin", "named")) {
      Path there = program(folder.resolve(place).resolve("coze-auth-mock"), "#!/bin/sh\n");
      if (place.equals("active/bin")) environment.put("VIRTUAL_ENV", folder.resolve("active").toString());
      if (place.equals("named")) environment.put("COZE_AUTH_MOCK_BIN", there.toString());
      assertEquals(there, CozeAuthMock.findBinary(environment, here, home));
    }
    environment.put("COZE_AUTH_MOCK_BIN", "coze-auth-mock");
    assertEquals(folder.resolve("path/coze-auth-mock"), CozeAuthMock.findBinary(environment, here, home));
    for (String gone : List.of("gone", folder.resolve("gone").toString(), folder.toString())) {
      environment.put("COZE_AUTH_MOCK_BIN", gone);
      String said = assertThrows(StartException.class, () -> CozeAuthMock.findBinary(environment, here, home)).getMessage();
      assertEquals("COZE_AUTH_MOCK_BIN names " + gone + ", which is not a program: correct it, or unset it", said);
    }
    assertFalse(Files.exists(home.resolve("gone")));
  }
}
