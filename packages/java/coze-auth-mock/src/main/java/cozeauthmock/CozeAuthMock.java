package cozeauthmock;

import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.io.UnsupportedEncodingException;
import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import java.net.HttpURLConnection;
import java.net.Proxy;
import java.net.URI;
import java.net.URL;
import java.net.URLDecoder;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneId;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.junit.jupiter.api.extension.DynamicTestInvocationContext;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.InvocationInterceptor;
import org.junit.jupiter.api.extension.ParameterContext;
import org.junit.jupiter.api.extension.ParameterResolutionException;
import org.junit.jupiter.api.extension.ParameterResolver;
import org.junit.platform.commons.support.AnnotationSupport;
import org.opentest4j.TestAbortedException;

/**
 * Gives each test a world of its own of {@code coze-auth-mock}, a mock of Coze's (扣子) auth server: {@code @ExtendWith(CozeAuthMock.class)},
 * and a parameter {@link MockWorld} of the test, of {@code @BeforeEach} and {@code @AfterEach}, or of the constructor.
 *
 * <p>The mock is a program, which the extension finds and starts once for all tests of a run; it ends with them, and with this process,
 * however that ends. A world has apps, tokens, a clock, faults and a journal that no other test sees, so tests may run at once. When a
 * test fails, the journal of its world is printed on standard error, and why requests were refused.
 */
public final class CozeAuthMock implements ParameterResolver, InvocationInterceptor {
  private static final ExtensionContext.Namespace NAMESPACE = ExtensionContext.Namespace.create(CozeAuthMock.class);
  private static final String BINARY = "coze-auth-mock";

  /** Settings of the world of a test, or of all tests of a class. Those nearest to the test count, each by itself. */
  @Target({ElementType.METHOD, ElementType.TYPE})
  @Retention(RetentionPolicy.RUNTIME)
  public @interface Settings {
    /** A configuration as a text in TOML, without files and addresses. */
    String config() default "";

    /** The time at which the world's clock stands, such as {@code 2026-01-01T00:00:00Z}. */
    String clock() default "";

    /** Makes ids and tokens repeatable. 0 is none. */
    long seed() default 0;
  }

  // --- JUnit ---

  @Override
  public ExtensionContextScope getTestInstantiationExtensionContextScope(ExtensionContext root) {
    return ExtensionContextScope.TEST_METHOD;
  }

  @Override
  public boolean supportsParameter(ParameterContext parameter, ExtensionContext context) {
    return parameter.getParameter().getType() == MockWorld.class;
  }

  @Override
  public Object resolveParameter(ParameterContext parameter, ExtensionContext context) {
    if (!context.getTestMethod().isPresent()) {
      throw new ParameterResolutionException(
          "a MockWorld is of one test: take it in the test, in @BeforeEach or in @AfterEach, and not where the class is set up");
    }
    return context.getStore(NAMESPACE).getOrComputeIfAbsent("world", key -> new HeldWorld(context), HeldWorld.class).world;
  }

  /** A failure of a dynamic test is not one of its factory, whose world it has. */
  @Override
  public void interceptDynamicTest(Invocation<Void> test, DynamicTestInvocationContext of, ExtensionContext context) throws Throwable {
    try {
      test.proceed();
    } catch (Throwable failure) {
      HeldWorld held = context.getStore(NAMESPACE).get("world", HeldWorld.class);
      if (held != null) held.failure = failure;
      throw failure;
    }
  }

  /** A world, up to the end of its test: JUnit closes what is in a store. */
  private static final class HeldWorld implements AutoCloseable {
    final MockWorld world;
    private final ExtensionContext context;
    private final Process mock;
    private final String name;
    volatile Throwable failure;

    HeldWorld(ExtensionContext context) {
      this.context = context;
      mock = context.getRoot().getStore(NAMESPACE).getOrComputeIfAbsent("mock", key -> new Process(), Process.class);
      Map<String, Object> body = new LinkedHashMap<>();
      // The nearest first.
      for (Optional<ExtensionContext> at = Optional.of(context); at.isPresent(); at = at.get().getParent()) {
        AnnotationSupport.findAnnotation(at.get().getElement(), Settings.class)
            .ifPresent(
                settings -> {
                  if (!settings.config().isEmpty()) body.putIfAbsent("config", settings.config());
                  if (!settings.clock().isEmpty()) body.putIfAbsent("clock", settings.clock());
                  if (settings.seed() != 0) body.putIfAbsent("seed", settings.seed());
                });
      }
      name = mock.takeName(context.getRequiredTestMethod().getName(), context.getUniqueId());
      try {
        body.put("name", name);
        body.put("port", 0);
        Object made = mock.control.send("POST", "/worlds", body);
        world = new MockWorld(new Control(mock.control.base + "/t/" + name), name, text(made, "port_url"));
      } catch (RuntimeException error) {
        mock.giveBack(name);
        throw error;
      }
    }

    @Override
    public void close() {
      failure = context.getExecutionException().orElse(failure);
      if (failure != null && !(failure instanceof TestAbortedException)) {
        String test = context.getRequiredTestClass().getSimpleName() + "." + context.getRequiredTestMethod().getName();
        System.err.println("coze-auth-mock journal of " + test + ": " + world.report());
      }
      try {
        mock.control.send("DELETE", "/worlds/" + name, null);
      } catch (ControlException ended) {
        // A mock that has ended is told by the next test that needs it.
      } finally {
        mock.giveBack(name);
      }
    }
  }

  // --- the mock as a process ---

  /** The binary was not found, or did not start; the text says what it printed. */
  public static final class StartException extends RuntimeException {
    StartException(String text) {
      super(text);
    }
  }

  /**
   * Returns the path of the command {@code coze-auth-mock}: the one that {@code COZE_AUTH_MOCK_BIN} names, else that of npm
   * (node_modules) or of a virtual environment of pip (.venv, venv) in this folder or one above it, of the environment that is active, of
   * PATH, or of pip or cargo in the home folder.
   *
   * @throws StartException if it is in none of them
   */
  public static Path findBinary() {
    return findBinary(System.getenv(), Paths.get("").toAbsolutePath(), Paths.get(System.getProperty("user.home")));
  }

  static Path findBinary(Map<String, String> environment, Path here, Path home) {
    boolean windows = System.getProperty("os.name").startsWith("Windows");
    List<String> endings = windows ? Arrays.asList(".exe", ".cmd") : Collections.singletonList("");
    List<Path> folders = new ArrayList<>();
    String path = environment.getOrDefault("PATH", environment.getOrDefault("Path", ""));
    List<Path> onPath =
        Arrays.stream(path.split(File.pathSeparator)).filter(folder -> !folder.isEmpty()).map(here::resolve).collect(Collectors.toList());
    String named = environment.getOrDefault("COZE_AUTH_MOCK_BIN", "");
    if (!named.isEmpty()) {
      // A name without a folder is looked for on PATH, as a shell does.
      if (named.contains("/") || named.contains(File.separator)) onPath = Collections.singletonList(here);
      for (Path folder : onPath) {
        if (isProgram(folder.resolve(named))) return folder.resolve(named);
      }
      throw new StartException("COZE_AUTH_MOCK_BIN names " + named + ", which is not a program: correct it, or unset it");
    }
    String scripts = windows ? "Scripts" : "bin";
    // npm's package of this platform, by npm's names; its command needs node, and the binary does not.
    String system = windows ? "win32" : System.getProperty("os.name").startsWith("Mac") ? "darwin" : "linux";
    String machine = System.getProperty("os.arch").equals("aarch64") ? "arm64" : "x64";
    for (Path folder = here; folder != null; folder = folder.getParent()) {
      folders.add(folder.resolve("node_modules").resolve(BINARY + "-" + system + "-" + machine).resolve("bin"));
      folders.add(folder.resolve("node_modules").resolve(".bin"));
      folders.add(folder.resolve(".venv").resolve(scripts));
      folders.add(folder.resolve("venv").resolve(scripts));
    }
    String active = environment.getOrDefault("VIRTUAL_ENV", "");
    if (!active.isEmpty()) folders.add(Paths.get(active, scripts));
    folders.addAll(onPath);
    folders.add(home.resolve(".local").resolve("bin"));
    folders.add(home.resolve(".cargo").resolve("bin"));
    for (Path folder : folders) {
      for (String ending : endings) {
        if (isProgram(folder.resolve(BINARY + ending))) return folder.resolve(BINARY + ending);
      }
    }
    throw new StartException(
        "the command "
            + BINARY
            + " is not in node_modules, .venv or venv of this folder or of one above it, nor on PATH: install it with pip, npm or cargo, or"
            + " name the program in the variable COZE_AUTH_MOCK_BIN");
  }

  private static boolean isProgram(Path file) {
    return Files.isRegularFile(file) && Files.isExecutable(file);
  }

  /** The mock of a run of tests. */
  private static final class Process implements AutoCloseable {
    private static final int START_SECONDS = 30; // a guard only: it starts within milliseconds
    private static final int STOP_SECONDS = 10;
    final Control control;
    private final java.lang.Process child;
    /** Of the worlds that are in use. */
    private final Set<String> names = new HashSet<>();

    Process() {
      String program = findBinary().toString();
      ProcessBuilder command =
          new ProcessBuilder(program, "serve", "--listen", "127.0.0.1:0", "--print", "json", "--until-stdin-closes");
      // The mock would take them for its own, and this class could not control it any more.
      command.environment().keySet().removeAll(Arrays.asList("COZE_AUTH_MOCK_PUBLIC_URL", "COZE_AUTH_MOCK_ADMIN_TOKEN"));
      // The journal tells of requests; the log only of what goes wrong with the mock itself.
      command.environment().putIfAbsent("RUST_LOG", "warn");
      File log = null;
      try {
        log = File.createTempFile(BINARY + "-", ".log");
        child = command.redirectError(log).start();
        CountDownLatch started = new CountDownLatch(1);
        Thread alarm =
            new Thread(
                () -> {
                  try {
                    if (!started.await(START_SECONDS, TimeUnit.SECONDS)) child.destroyForcibly();
                  } catch (InterruptedException ends) {
                    Thread.currentThread().interrupt();
                  }
                });
        alarm.setDaemon(true);
        alarm.start();
        // It listens before it prints.
        String line = new BufferedReader(new InputStreamReader(child.getInputStream(), StandardCharsets.UTF_8)).readLine();
        started.countDown();
        String base = line == null || !line.contains("\"base_url\"") ? null : text(Json.read(line), "base_url");
        if (base == null) {
          stop();
          String said = new String(Files.readAllBytes(log.toPath()), StandardCharsets.UTF_8).trim();
          throw new StartException(program + " did not start: " + (said.isEmpty() ? "it printed " + (line == null ? "nothing" : line) : said));
        }
        control = new Control(base);
      } catch (IOException error) {
        throw new StartException(program + " does not start: " + error.getMessage());
      } finally {
        if (log != null && !log.delete()) log.deleteOnExit();
      }
    }

    /** A test has the same name in each run, so with a seed it has the same tokens. */
    String takeName(String title, String id) {
      String words = title.replaceAll("[^A-Za-z0-9]+", "-").replaceAll("^-", "");
      StringBuilder hash = new StringBuilder();
      try {
        byte[] digest = MessageDigest.getInstance("SHA-256").digest(id.getBytes(StandardCharsets.UTF_8));
        for (int at = 0; at < 4; at++) hash.append(String.format("%02x", digest[at]));
      } catch (NoSuchAlgorithmException every) {
        throw new IllegalStateException(every);
      }
      String name = ("java-" + words.substring(0, Math.min(words.length(), 32)) + "-").replace("--", "-") + hash;
      synchronized (names) {
        String free = name;
        for (int number = 2; !names.add(free); number++) free = name + "-" + number;
        return free;
      }
    }

    void giveBack(String name) {
      synchronized (names) {
        names.remove(name);
      }
    }

    @Override
    public void close() throws IOException {
      stop();
    }

    private void stop() throws IOException {
      try {
        child.getOutputStream().close(); // the mock ends when its standard input does
        if (child.waitFor(STOP_SECONDS, TimeUnit.SECONDS)) return;
      } catch (InterruptedException ends) {
        Thread.currentThread().interrupt();
      }
      child.destroyForcibly();
    }
  }

  // --- the control plane ---

  /** The mock refused what a test asked of it, or does not answer. */
  public static class ControlException extends RuntimeException {
    private final int status;
    private final transient Object answer;

    ControlException(String text, int status, Object answer) {
      super(text);
      this.status = status;
      this.answer = answer;
    }

    /** The HTTP status of the refusal, and 0 without an answer. */
    public int status() {
      return status;
    }
  }

  /** The mock refused an authorize request: the browser would have shown an error. */
  public static final class AuthorizeException extends ControlException {
    private final transient Explanation explanation;

    AuthorizeException(ControlException refused) {
      super(text(refused.answer, "error") + ": " + new Explanation(refused.answer), refused.status(), refused.answer);
      explanation = new Explanation(refused.answer);
    }

    /** The rule that refused the request, and how to fix the client. */
    public Explanation explanation() {
      return explanation;
    }
  }

  /** Sends each request on a connection of its own, so that threads share nothing. It knows no proxy. */
  private static final class Control {
    private static final int ANSWER_MS = 90_000; // the longest wait of the mock is 60 s
    final String base;

    Control(String base) {
      this.base = base;
    }

    Object send(String method, String path, Object body) {
      int status;
      String text;
      try {
        URL url = URI.create(base + "/_mock/v1" + path).toURL();
        HttpURLConnection connection = (HttpURLConnection) url.openConnection(Proxy.NO_PROXY);
        connection.setRequestMethod(method);
        connection.setConnectTimeout(ANSWER_MS);
        connection.setReadTimeout(ANSWER_MS);
        connection.setRequestProperty("Connection", "close");
        if (body != null) {
          byte[] data = Json.write(body).getBytes(StandardCharsets.UTF_8);
          connection.setRequestProperty("Content-Type", "application/json");
          connection.setDoOutput(true);
          connection.setFixedLengthStreamingMode(data.length);
          try (OutputStream out = connection.getOutputStream()) {
            out.write(data);
          }
        }
        status = connection.getResponseCode();
        try (InputStream in = status < 400 ? connection.getInputStream() : connection.getErrorStream()) {
          text = in == null ? "" : read(in);
        }
      } catch (IOException error) {
        String why = method + " " + path + ": the mock does not answer at " + base + ", so it has ended: " + error.getMessage();
        throw new ControlException(why, 0, null);
      }
      Object answer = text.startsWith("{") ? Json.read(text) : text;
      if (status == 200) return answer;
      String refusal = text(answer, "error");
      String why = method + " " + path + ": the mock answered " + status + ": " + (refusal == null ? text : refusal);
      throw new ControlException(why, status, answer);
    }

    /** False if the mock does not know what is changed. */
    boolean known(String method, String path, Object body) {
      try {
        send(method, path, body);
        return true;
      } catch (ControlException error) {
        if (error.status() == 404) return false;
        throw error;
      }
    }

    private static String read(InputStream in) throws IOException {
      ByteArrayOutputStream bytes = new ByteArrayOutputStream();
      byte[] buffer = new byte[8192];
      for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) bytes.write(buffer, 0, n);
      return new String(bytes.toByteArray(), StandardCharsets.UTF_8);
    }
  }

  // --- a world ---

  /** A world of the mock for one test: apps, users, their codes and tokens, a clock, a journal, gates and faults. */
  public static final class MockWorld {
    // How many requests, and how many refusals, a report tells.
    private static final int REPORTED = 50;
    private static final int EXPLAINED = 5;
    private final Control control;
    private final String name;
    private final String baseUrl;

    MockWorld(Control control, String name, String baseUrl) {
      this.control = control;
      this.name = name;
      this.baseUrl = baseUrl;
    }

    /** The name, which is made of that of the test: with a seed the test has the same tokens in each run. */
    public String name() {
      return name;
    }

    /**
     * What a client takes as its base: scheme, host and port, without a trailing slash. Each world has a port of its own, since the Java
     * SDK keeps host and port only.
     */
    public String baseUrl() {
      return baseUrl;
    }

    /** The world's clock. */
    public MockClock clock() {
      return new MockClock(control, ZoneOffset.UTC);
    }

    /**
     * Sends any request to the world's control plane, such as {@code control("GET", "/tokens", null)}, and returns its answer: maps, lists,
     * texts, numbers ({@code Long}, {@code Double}), booleans and null, as JSON has them. The body is made of the same.
     */
    public Object control(String method, String path, Object body) {
      return control.send(method, path, body);
    }

    /** The apps, in the order of the configuration. */
    public List<MockApp> apps() {
      return list(control.send("GET", "/info", null), "apps").stream().map(MockApp::new).collect(Collectors.toList());
    }

    /** The first app of a kind: {@code web}, {@code pkce}, {@code device}, {@code jwt} or {@code workload}. */
    public MockApp app(String kind) {
      List<MockApp> apps = apps();
      Set<String> kinds = apps.stream().map(MockApp::kind).collect(Collectors.toCollection(TreeSet::new));
      return apps.stream()
          .filter(app -> app.kind().equals(kind))
          .findFirst()
          .orElseThrow(
              () ->
                  new IllegalArgumentException(
                      "the configuration has no app of the kind " + kind + "; it has " + String.join(", ", kinds)));
    }

    /** The first token of the console of a kind: {@code pat} or {@code sat}. */
    public String consoleToken(String kind) {
      return list(control.send("GET", "/info", null), "tokens").stream()
          .filter(token -> kind.equals(text(token, "kind")))
          .map(token -> text(token, "value"))
          .findFirst()
          .orElseThrow(() -> new IllegalArgumentException("the configuration has no token of the kind " + kind));
    }

    /** The environment of a client, by the names that Coze's samples read: {@code COZE_API_BASE}, {@code COZE_WEB_OAUTH_CLIENT_ID} … */
    public Map<String, String> variables() {
      return texts(member(control.send("GET", "/variables", null), "variables"));
    }

    /**
     * Approves as the signed-in user on the consent page of an authorize URL.
     *
     * @throws AuthorizeException if the mock refuses the authorize request
     */
    public Redirect authorize(String url) {
      return decide(url, "approve", null);
    }

    /**
     * Decides on the consent page of an authorize URL: {@code approve} or {@code deny}, as this user, or as the signed-in one for null.
     *
     * @throws AuthorizeException if the mock refuses the authorize request
     */
    public Redirect decide(String url, String action, String user) {
      Map<String, Object> body = object("url", url, "action", action);
      if (user != null) body.put("user", user);
      try {
        return new Redirect(text(control.send("POST", "/authorize", body), "redirect"));
      } catch (ControlException error) {
        throw text(error.answer, "rule") == null ? error : new AuthorizeException(error);
      }
    }

    /** Decides about a device code, as a user on the device page: {@code approve}, {@code deny} or {@code expire}. */
    public void decideDevice(String userCode, String action) {
      control.send("POST", "/device/" + segment(userCode), object("action", action));
    }

    /** Revokes an access token, refresh token, PAT or SAT. Returns false if the token is unknown. */
    public boolean revoke(String token) {
      return control.known("POST", "/tokens/revoke", object("token", token));
    }

    /** Removes a key of a JWT app. Its assertions are refused from then on. */
    public void removeKey(String clientId, String kid) {
      control.send("DELETE", "/apps/" + segment(clientId) + "/keys/" + segment(kid), null);
    }

    /** Adds an API call of your own, which is answered with this JSON if its token is good. A segment {name} of the path is any one. */
    public void addApi(String method, String path, Object json) {
      control.send("POST", "/api", object("method", method, "path", path, "json", json));
    }

    /** Applies a fault to the requests that {@code on} selects. If several faults match, only the first that acts applies. */
    public FaultHandle fault(On on, Fault fault) {
      Map<String, Object> body = fault.placed();
      body.put("on", on.members);
      return new FaultHandle(control, text(control.send("POST", "/faults", body), "id"));
    }

    /** Answers the next requests that {@code on} selects by the steps, in order. It acts before faults. Afterwards requests pass. */
    public void script(On on, ScriptStep... steps) {
      List<Object> then = Arrays.stream(steps).map(step -> step.members).collect(Collectors.toList());
      control.send("POST", "/script", object("on", on.members, "then", then, "after", "pass"));
    }

    /** Holds the requests that {@code on} selects before the mock looks at them, until the gate is opened or the world ends. */
    public Gate gate(String name, On on) {
      control.send("POST", "/gates/" + segment(name), object("on", on.members, "at", "request"));
      return new Gate(control, "/gates/" + segment(name));
    }

    /** The requests to the data plane that match, oldest first; {@code RequestFilter.any()} matches all. */
    public List<JournalEntry> requests(Requests requests) {
      return requests(requests, 0);
    }

    private List<JournalEntry> requests(Requests requests, int limit) {
      String query = limit == 0 ? "" : "limit=" + limit;
      for (Map.Entry<String, Object> one : requests.members.entrySet()) {
        query += (query.isEmpty() ? "" : "&") + one.getKey() + "=" + segment(String.valueOf(one.getValue()));
      }
      Object found = control.send("GET", "/requests?" + query, null);
      return list(found, "requests").stream().map(JournalEntry::new).collect(Collectors.toList());
    }

    /**
     * Compares the journal with expectations.
     *
     * @throws AssertionError which says for each unmet one how many requests matched, and which other request was nearest
     */
    public void verify(Expect... expected) {
      List<Object> expect = Arrays.stream(expected).map(one -> one.members).collect(Collectors.toList());
      List<Object> failures = list(control.send("POST", "/verify", object("expect", expect)), "failures");
      if (!failures.isEmpty()) {
        throw new AssertionError(
            failures.stream()
                .map(one -> "expectation " + member(one, "index") + ": " + text(one, "why"))
                .collect(Collectors.joining("\n")));
      }
    }

    /** The secrets that requests had where they do not belong, oldest first. */
    public List<Leak> leaks() {
      return list(control.send("GET", "/leaks", null), "leaks").stream().map(Leak::new).collect(Collectors.toList());
    }

    /** Explains the answer with this {@code X-Tt-Logid}. Null if no journal of the mock has it. */
    public Explanation explain(String logId) {
      try {
        return new Explanation(control.send("GET", "/explain/" + segment(logId), null));
      } catch (ControlException error) {
        if (error.status() == 404) return null;
        throw error;
      }
    }

    /** The last 50 requests, one a line, and why the last 5 of the refused ones were refused: what a failed test shows. */
    public String report() {
      try {
        List<JournalEntry> entries = requests(RequestFilter.any(), REPORTED);
        if (entries.isEmpty()) return "no requests to " + baseUrl;
        List<JournalEntry> refused = entries.stream().filter(entry -> entry.outcome().rule() != null).collect(Collectors.toList());
        refused = refused.subList(Math.max(0, refused.size() - EXPLAINED), refused.size());
        long seq = entries.get(entries.size() - 1).seq();
        StringBuilder report = new StringBuilder("the last " + entries.size() + " of " + seq + " requests to " + baseUrl + ":");
        for (JournalEntry entry : entries) {
          report.append("\n  ").append(entry);
          Explanation why = refused.contains(entry) ? explain(entry.outcome().logId()) : null;
          if (why != null) report.append("\n      rule: ").append(why);
        }
        return report.toString();
      } catch (ControlException error) {
        return error.getMessage();
      }
    }

    @Override
    public String toString() {
      return "MockWorld " + baseUrl;
    }
  }

  /** The redirect that a browser would follow back to the app. */
  public static final class Redirect {
    private final String url;

    Redirect(String url) {
      this.url = url;
    }

    /** The whole URL. */
    public String url() {
      return url;
    }

    /** A parameter of its query, such as {@code code}, {@code state} or {@code error}. Null if it has none of this name. */
    public String query(String name) {
      String query = URI.create(url).getRawQuery();
      for (String pair : query == null ? new String[0] : query.split("&")) {
        String[] parts = pair.split("=", 2);
        if (parts[0].equals(name)) {
          try {
            return URLDecoder.decode(parts.length == 2 ? parts[1] : "", "UTF-8");
          } catch (UnsupportedEncodingException every) {
            throw new IllegalStateException(every);
          }
        }
      }
      return null;
    }
  }

  /** The clock of a world, as a {@code java.time.Clock} for the program that is tested. */
  public static final class MockClock extends Clock {
    private final Control control;
    private final ZoneId zone;

    MockClock(Control control, ZoneId zone) {
      this.control = control;
      this.zone = zone;
    }

    @Override
    public Instant instant() {
      return Instant.ofEpochMilli((Long) member(control.send("GET", "/clock", null), "now_ms"));
    }

    @Override
    public ZoneId getZone() {
      return zone;
    }

    @Override
    public Clock withZone(ZoneId other) {
      return new MockClock(control, other);
    }

    /** Advances the clock, and does not wait. */
    public void advance(Duration by) {
      control.send("POST", "/clock", object("advance_ms", by.toMillis()));
    }

    /** Sets the clock to a time. */
    public void set(Instant to) {
      control.send("POST", "/clock", object("set_ms", to.toEpochMilli()));
    }

    /** Stops the clock: it stands until it is moved. */
    public void freeze() {
      control.send("POST", "/clock", object("mode", "frozen"));
    }
  }

  // --- what goes wrong ---

  /** Requests to the data plane that are selected: an {@link On} or a {@link RequestFilter}. */
  public abstract static class Requests {
    final Map<String, Object> members;

    Requests(Map<String, Object> members) {
      this.members = members;
    }

    /** Those of them that were answered with this HTTP status; 0 if nothing was sent. */
    public RequestFilter status(int status) {
      return new RequestFilter(with(members, "status", status));
    }

    /** Those of them that were answered with this error code. */
    public RequestFilter error(String error) {
      return new RequestFilter(with(members, "error", error));
    }

    /** Those of them that this rule refused. */
    public RequestFilter rule(String rule) {
      return new RequestFilter(with(members, "rule", rule));
    }

    /** Those of them on which a fault of this kind acted. */
    public RequestFilter fault(String kind) {
      return new RequestFilter(with(members, "fault", kind));
    }

    @Override
    public String toString() {
      return members.toString();
    }
  }

  /** A selector of requests to the data plane: what a gate, a fault or a script acts on. */
  public static final class On extends Requests {
    On(Map<String, Object> members) {
      super(members);
    }

    /** All requests to the token endpoint. */
    public static On token() {
      return endpoint("token");
    }

    /**
     * The requests to a token endpoint of one grant type: {@code authorization_code}, {@code refresh_token}, {@code device_code} or {@code
     * jwt_bearer}, or of a workload {@code client_credentials} or {@code token_exchange}.
     */
    public static On grant(String name) {
      boolean ofWorkload = name.equals("client_credentials") || name.equals("token_exchange");
      return new On(object("endpoint", ofWorkload ? "workload_token" : "token", "grant", name));
    }

    /**
     * The requests to one endpoint: {@code authorize}, {@code token}, {@code device_code}, {@code workload_token}, {@code integration},
     * {@code project_env}, {@code users_me}, {@code workspaces}, {@code api} or {@code unknown}.
     */
    public static On endpoint(String name) {
      return new On(object("endpoint", name));
    }

    /** Those of them that claim this client id (for the JWT grant: this issuer). */
    public On client(String clientId) {
      return new On(with(members, "client_id", clientId));
    }

    /** Those of them of this path, character for character, without their query. */
    public On path(String path) {
      return new On(with(members, "path", path));
    }
  }

  /** A filter over journal entries: an {@link On} or {@link #any}, and conditions. */
  public static final class RequestFilter extends Requests {
    RequestFilter(Map<String, Object> members) {
      super(members);
    }

    /** Every request. */
    public static RequestFilter any() {
      return new RequestFilter(object());
    }
  }

  /** What goes wrong with a request. The README of the mock has all kinds, and what a client sees. */
  public static final class Fault {
    private static final List<String> BESIDE = Arrays.asList("at", "times", "skip", "probability");
    private final Map<String, Object> members;

    private Fault(Map<String, Object> members) {
      this.members = members;
    }

    /**
     * A fault of a kind without members of its own: {@code hold}, {@code reset}, {@code close_before_body}, {@code truncate}, {@code
     * garbage}, {@code wrong_content_type}, {@code empty_200}, {@code dup_header}, {@code consent_policy}, {@code callback_307} or {@code
     * callback_twice}.
     */
    public static Fault of(String kind) {
      return new Fault(object("kind", kind));
    }

    /** Answers with this HTTP status. */
    public static Fault status(int status) {
      return of("status").with("status", status);
    }

    /** Answers after a delay, which is real time. */
    public static Fault delay(Duration delay) {
      return of("delay").with("ms", delay.toMillis());
    }

    /** Closes the connection with RST. */
    public static Fault reset() {
      return of("reset");
    }

    /** Sends the answer byte by byte with this pause between the bytes. */
    public static Fault slowDrip(Duration pause) {
      return of("slow_drip").with("ms", pause.toMillis());
    }

    /** Answers with a redirect, which Coze does not send. */
    public static Fault redirect(int status, String location) {
      return of("redirect").with("status", status).with("location", location);
    }

    /**
     * Changes one member of a good answer, such as {@code expires_in}, to {@code absent}, {@code null}, {@code string}, {@code float},
     * {@code milliseconds}, {@code too_large} or {@code other_type}.
     */
    public static Fault member(String member, String to) {
      return of("member").with("member", member).with("to", to);
    }

    /** Gives one member of a good answer this value, which has to be JSON. An answer without the member gets it. */
    public static Fault memberValue(String member, Object value) {
      return of("member").with("member", member).with("value", value);
    }

    /** Sets the body, instead of the fault's own or that of the answer. */
    public Fault body(String body) {
      return with("body", body);
    }

    /** Sets a header of the answer. */
    public Fault header(String name, String value) {
      return with("header", CozeAuthMock.with(texts(members.get("header")), name, value));
    }

    /** Sets when the fault acts: at the {@code request}, before the mock has acted, or at the {@code answer}, after it has. */
    public Fault at(String at) {
      return with("at", at);
    }

    /** Sets the maximum number of requests on which the fault acts; by default it acts on all. */
    public Fault times(int times) {
      return with("times", times);
    }

    /** Sets the number of requests that pass before the fault acts. */
    public Fault skip(int skip) {
      return with("skip", skip);
    }

    /** Sets the share of the requests on which the fault acts, 0 to 1. The seed decides, so the same run repeats. */
    public Fault probability(double probability) {
      return with("probability", probability);
    }

    private Fault with(String name, Object value) {
      return new Fault(CozeAuthMock.with(members, name, value));
    }

    /** The fault itself, and beside it when and how often it acts. */
    Map<String, Object> placed() {
      Map<String, Object> inside = new LinkedHashMap<>(members);
      Map<String, Object> beside = new LinkedHashMap<>(members);
      inside.keySet().removeAll(BESIDE);
      beside.keySet().retainAll(BESIDE);
      beside.put("fault", inside);
      return beside;
    }
  }

  /** A fault in a world. It ends with the world, or where it is closed. */
  public static final class FaultHandle implements AutoCloseable {
    private final Control control;
    private final String id;

    FaultHandle(Control control, String id) {
      this.control = control;
      this.id = id;
    }

    /** Number of requests on which the fault acted. 0 if it was removed. */
    public long fired() {
      for (Object one : list(control.send("GET", "/faults", null), "faults")) {
        if (id.equals(text(one, "id"))) return (Long) member(one, "fired");
      }
      return 0;
    }

    /** Removes the fault, and releases the requests that it holds or delays. */
    @Override
    public void close() {
      control.known("DELETE", "/faults/" + id, null);
    }
  }

  /** A step of a script: the answer to one request. */
  public static final class ScriptStep {
    private final Map<String, Object> members;

    private ScriptStep(Map<String, Object> members) {
      this.members = members;
    }

    /** Answers as without the script. */
    public static ScriptStep pass() {
      return new ScriptStep(object("pass", true));
    }

    /**
     * Answers with the error {@code code} in Coze's shape, without acting: a code such as {@code invalid_grant} as an OAuth error, one that
     * consists of digits as a resource error.
     */
    public static ScriptStep error(String code) {
      return new ScriptStep(object("error", code));
    }

    /** Answers with the error {@code code} and this HTTP status. */
    public static ScriptStep error(String code, int status) {
      return new ScriptStep(object("error", code, "status", status));
    }

    /** Applies this fault, whatever its {@code times}, {@code skip} and {@code probability} are. */
    public static ScriptStep fault(Fault fault) {
      Map<String, Object> placed = fault.placed();
      placed.keySet().retainAll(Arrays.asList("fault", "at"));
      return new ScriptStep(placed);
    }
  }

  /** A gate, which holds requests to the data plane. */
  public static final class Gate implements AutoCloseable {
    private final Control control;
    private final String path;

    Gate(Control control, String path) {
      this.control = control;
      this.path = path;
    }

    /** Waits until at least {@code n} requests have arrived. Returns false if that did not happen within ten seconds. */
    public boolean arrived(int n) {
      return (Boolean) member(control.send("GET", path + "?arrived=" + n, null), "reached");
    }

    /** Releases all requests and removes the gate. */
    @Override
    public void close() {
      control.known("DELETE", path, null);
    }
  }

  /** One expectation about the requests of a world. */
  public static final class Expect {
    private final Map<String, Object> members;

    private Expect(Map<String, Object> members) {
      this.members = members;
    }

    /** Expects exactly {@code n} matching requests. */
    public static Expect exactly(int n, Requests requests) {
      return new Expect(with(requests.members, "count", object("eq", n)));
    }

    /** Expects at least {@code n} matching requests. */
    public static Expect atLeast(int n, Requests requests) {
      return new Expect(with(requests.members, "count", object("at_least", n)));
    }

    /** Expects at most {@code n} matching requests. */
    public static Expect atMost(int n, Requests requests) {
      return new Expect(with(requests.members, "count", object("at_most", n)));
    }

    /** Expects matching requests in this order, with any others in between. */
    public static Expect order(Requests... requests) {
      List<Object> order = Arrays.stream(requests).map(one -> one.members).collect(Collectors.toList());
      return new Expect(object("order", order));
    }

    /** Expects two or more matching requests, each at least this long after the one before, by the mock's clock. */
    public static Expect gaps(Duration least, Requests requests) {
      return new Expect(object("gaps_ms", with(requests.members, "min", least.toMillis())));
    }
  }

  // --- what the mock tells ---

  /** An app that a world knows, as its owner has registered it. */
  public static final class MockApp {
    private final Object told;

    MockApp(Object told) {
      this.told = told;
    }

    /** {@code web}, {@code pkce}, {@code device}, {@code jwt} or {@code workload}. */
    public String kind() {
      return text(told, "kind");
    }

    /** Client id; of a JWT app the app id. */
    public String clientId() {
      return text(told, "client_id");
    }

    /** Only of a web app and a workload. */
    public String clientSecret() {
      return text(told, "client_secret");
    }

    /** Of a JWT app, for the {@code kid} of its assertions. */
    public String keyId() {
      return text(told, "key_id");
    }

    /** Of a JWT app, in PEM. Null if the configuration has only its public key. */
    public String privateKey() {
      return text(told, "private_key");
    }

    /** Of web and PKCE apps. One that ends with {@code :*}{@code /*} is any port and path of its host. */
    public List<String> redirectUris() {
      return list(told, "redirect_uris").stream().map(String::valueOf).collect(Collectors.toList());
    }
  }

  /** One request to the data plane. Codes, tokens, secrets, verifiers, assertions and states are masked. */
  public static final class JournalEntry {
    private final Object told;

    JournalEntry(Object told) {
      this.told = told;
    }

    /** Number of the request, counted from 1. */
    public long seq() {
      return (Long) member(told, "seq");
    }

    /** The time by the mock's clock. */
    public Instant at() {
      return Instant.ofEpochMilli((Long) member(told, "at_ms"));
    }

    /** Such as {@code token} or {@code users_me}. */
    public String endpoint() {
      return text(told, "endpoint");
    }

    /** The HTTP method. */
    public String method() {
      return text(told, "method");
    }

    /** Path and query, redacted. */
    public String path() {
      return text(told, "path");
    }

    /** Redacted; the names are in lower case. */
    public Map<String, String> headers() {
      return texts(member(told, "headers"));
    }

    /** The members of a JSON body, redacted. Empty if there was none. */
    public Map<String, Object> json() {
      return map(member(told, "json"));
    }

    /** The claims of the assertion of a JWT grant. Empty of another request. */
    public Map<String, Object> jwtPayload() {
      return map(member(member(told, "jwt"), "payload"));
    }

    /** The client id (for the JWT grant: the issuer). Null if there was none. */
    public String client() {
      return text(told, "client");
    }

    /** Such as {@code refresh_token}. Null of another endpoint. */
    public String grant() {
      return text(told, "grant");
    }

    /** The kind of the fault that acted on the request. Null if none did. */
    public String fault() {
      return text(told, "fault");
    }

    /** The secrets that the request had where they do not belong. */
    public List<Leak> leaks() {
      return list(told, "leaks").stream().map(Leak::new).collect(Collectors.toList());
    }

    /** How the request was answered. */
    public Outcome outcome() {
      return new Outcome(member(told, "outcome"));
    }

    /** One line, as a mock in a Rust test prints it when its test fails. */
    @Override
    public String toString() {
      List<String> words = new ArrayList<>(Arrays.asList(String.valueOf(seq()), method(), endpoint()));
      if (grant() != null) words.add(grant());
      words.add(String.valueOf(outcome().status()));
      if (outcome().error() != null) words.add(outcome().error());
      words.add("rule=" + (outcome().rule() == null ? "-" : outcome().rule()));
      words.add("logid=" + outcome().logId());
      if (fault() != null) words.add("fault=" + fault());
      leaks().forEach(leak -> words.add("leak=" + leak.kind() + "@" + leak.place()));
      return String.join(" ", words);
    }
  }

  /** How a request was answered. */
  public static final class Outcome {
    private final Object told;

    Outcome(Object told) {
      this.told = told;
    }

    /** The HTTP status that was sent; 0 if a fault sent none. */
    public int status() {
      return ((Long) member(told, "status")).intValue();
    }

    /** The error code in the body of a refusal. Null of a success. */
    public String error() {
      return text(told, "error");
    }

    /** The rule that refused the request. Null if none did. */
    public String rule() {
      return text(told, "rule");
    }

    /** The {@code X-Tt-Logid} of the answer. */
    public String logId() {
      return text(told, "logid");
    }
  }

  /** A secret where it does not belong. Its text is nowhere. */
  public static final class Leak {
    private final Object told;

    Leak(Object told) {
      this.told = told;
    }

    /** Such as {@code refresh_token} or {@code client_secret}. */
    public String kind() {
      return text(told, "kind");
    }

    /** Such as {@code query} or {@code header}. */
    public String place() {
      return text(told, "place");
    }

    /** Of the request. */
    public String logId() {
      return text(told, "logid");
    }

    @Override
    public String toString() {
      return kind() + "@" + place() + " of " + logId();
    }
  }

  /** The explanation of an answer. */
  public static final class Explanation {
    private final Object told;

    Explanation(Object told) {
      this.told = told;
    }

    /** The rule that refused the request. Null for a success. */
    public String rule() {
      return CozeAuthMock.text(told, "rule");
    }

    /** The text of the rule, or what succeeded. */
    public String text() {
      return CozeAuthMock.text(told, "text");
    }

    /** How sure we are that Coze has this rule: {@code documented}, {@code sdk}, {@code report} or {@code guess}. */
    public String evidence() {
      return CozeAuthMock.text(told, "evidence");
    }

    /** What the rule requires. */
    public String expected() {
      return CozeAuthMock.text(told, "expected");
    }

    /** What the request had instead, without any secret. */
    public String actual() {
      return CozeAuthMock.text(told, "actual");
    }

    /** How to fix the client. */
    public String fix() {
      return CozeAuthMock.text(told, "fix");
    }

    @Override
    public String toString() {
      String both = expected() == null || actual() == null ? "" : " Expected " + expected() + "; actual " + actual() + ".";
      return text() + both + (fix() == null ? "" : " " + fix());
    }
  }

  // --- JSON ---

  private static Map<String, Object> object(Object... members) {
    Map<String, Object> object = new LinkedHashMap<>();
    for (int at = 0; at < members.length; at += 2) object.put((String) members[at], members[at + 1]);
    return object;
  }

  private static Map<String, Object> with(Map<String, ?> members, String name, Object value) {
    Map<String, Object> copy = new LinkedHashMap<>(members);
    copy.put(name, value);
    return copy;
  }

  private static Object member(Object object, String name) {
    return object instanceof Map ? ((Map<?, ?>) object).get(name) : null;
  }

  private static String text(Object object, String name) {
    Object value = member(object, name);
    return value == null ? null : String.valueOf(value);
  }

  @SuppressWarnings("unchecked")
  private static List<Object> list(Object object, String name) {
    Object value = member(object, name);
    return value == null ? Collections.emptyList() : (List<Object>) value;
  }

  @SuppressWarnings("unchecked")
  private static Map<String, Object> map(Object value) {
    return value == null ? Collections.emptyMap() : (Map<String, Object>) value;
  }

  private static Map<String, String> texts(Object value) {
    Map<String, String> texts = new LinkedHashMap<>();
    map(value).forEach((name, text) -> texts.put(name, String.valueOf(text)));
    return texts;
  }

  /** A text in a path or a query. */
  private static String segment(String text) {
    try {
      return URLEncoder.encode(text, "UTF-8").replace("+", "%20");
    } catch (UnsupportedEncodingException every) {
      throw new IllegalStateException(every);
    }
  }

  /** JSON as the mock writes and reads it: Java has none of its own, and this class needs no other package. */
  static final class Json {
    private final String text;
    private int at;

    private Json(String text) {
      this.text = text;
    }

    /** Maps, lists, texts, {@code Long}, {@code Double}, booleans and null. */
    static Object read(String text) {
      Json json = new Json(text);
      Object value = json.value();
      json.space();
      if (json.at != text.length()) throw json.wrong();
      return value;
    }

    private Object value() {
      space();
      if (take('{')) {
        Map<String, Object> object = new LinkedHashMap<>();
        for (boolean first = true; !ends('}', first); first = false) {
          space();
          expect('"');
          String name = string();
          space();
          expect(':');
          object.put(name, value());
        }
        return object;
      }
      if (take('[')) {
        List<Object> list = new ArrayList<>();
        for (boolean first = true; !ends(']', first); first = false) list.add(value());
        return list;
      }
      if (take('"')) return string();
      int start = at;
      while (at < text.length() && ",]} \t\r\n".indexOf(text.charAt(at)) < 0) at++;
      String word = text.substring(start, at);
      if (word.equals("null")) return null;
      if (word.equals("true") || word.equals("false")) return word.equals("true");
      try {
        if (word.matches("-?\\d+")) return Long.valueOf(word);
        return Double.valueOf(word);
      } catch (NumberFormatException error) {
        throw wrong();
      }
    }

    /** At the end of a list or an object, or after the comma in front of its next part. */
    private boolean ends(char end, boolean first) {
      space();
      if (take(end)) return true;
      if (!first) expect(',');
      return false;
    }

    private String string() {
      StringBuilder string = new StringBuilder();
      while (at < text.length()) {
        char next = text.charAt(at++);
        if (next == '"') return string.toString();
        if (next != '\\') {
          string.append(next);
          continue;
        }
        if (at == text.length()) break;
        char escaped = text.charAt(at++);
        int known = "\"\\/bfnrt".indexOf(escaped);
        if (known >= 0) {
          string.append("\"\\/\b\f\n\r\t".charAt(known));
        } else if (escaped == 'u' && at + 4 <= text.length()) {
          string.append((char) Integer.parseInt(text.substring(at, at += 4), 16));
        } else {
          throw wrong();
        }
      }
      throw wrong();
    }

    private void space() {
      while (at < text.length() && " \t\r\n".indexOf(text.charAt(at)) >= 0) at++;
    }

    private boolean take(char one) {
      boolean there = at < text.length() && text.charAt(at) == one;
      if (there) at++;
      return there;
    }

    private void expect(char one) {
      if (!take(one)) throw wrong();
    }

    private IllegalArgumentException wrong() {
      return new IllegalArgumentException("not JSON, at character " + at);
    }

    static String write(Object value) {
      StringBuilder out = new StringBuilder();
      write(out, value);
      return out.toString();
    }

    private static void write(StringBuilder out, Object value) {
      if (value instanceof Map) {
        String before = "{";
        for (Map.Entry<?, ?> one : ((Map<?, ?>) value).entrySet()) {
          out.append(before);
          write(out, String.valueOf(one.getKey()));
          out.append(':');
          write(out, one.getValue());
          before = ",";
        }
        out.append(before.equals("{") ? "{}" : "}");
      } else if (value instanceof Iterable) {
        String before = "[";
        for (Object one : (Iterable<?>) value) {
          out.append(before);
          write(out, one);
          before = ",";
        }
        out.append(before.equals("[") ? "[]" : "]");
      } else if (value == null || value instanceof Number || value instanceof Boolean) {
        out.append(value);
      } else if (value instanceof CharSequence) {
        out.append('"');
        for (char c : value.toString().toCharArray()) {
          if (c == '"' || c == '\\') out.append('\\').append(c);
          else if (c < ' ') out.append(String.format(Locale.ROOT, "\\u%04x", (int) c));
          else out.append(c);
        }
        out.append('"');
      } else {
        throw new IllegalArgumentException("a " + value.getClass().getName() + " is not JSON: give maps, lists, texts, numbers or booleans");
      }
    }
  }
}
