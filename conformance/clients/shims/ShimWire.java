// The half of a shim in Java that is the same for every library: the wire and the answers (README.md). ShimClock.java has the clock.

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.logging.Handler;
import java.util.logging.Level;
import java.util.logging.LogManager;
import java.util.logging.LogRecord;
import java.util.logging.Logger;

final class ShimWire {
  private static final int LONGEST_TEXT = 65536;
  private static final String PASSWORD = "not-a-secret";
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final PrintStream WIRE = System.out;

  /** The library has no such feature. */
  static final class Unsupported extends RuntimeException {
    Unsupported(String why) {
      super(why);
    }
  }

  /** The runner's fault, or the shim's. */
  static final class Misused extends RuntimeException {
    Misused(String why) {
      super(why);
    }
  }

  /** One operation of a case. What it gives is the `ok` of the answer; null is an empty one. */
  interface Operation {
    ObjectNode call(JsonNode args) throws Exception;
  }

  /** What differs from library to library. */
  interface Library {
    ObjectNode about();

    /** Starts a case, and gives its operations by name. */
    Map<String, Operation> newCase(String baseUrl);

    /** What the library's pages say is to be called at the end. */
    void end();

    /** The protocol's members of what the library threw, but for `type` and `message`. */
    ObjectNode tell(Throwable why);
  }

  /** A map that knows what to say of a name that it has not. */
  static final class Handles<T> extends HashMap<String, T> {
    @Override
    public T get(Object name) {
      if (!containsKey(name)) throw new Misused("no such handle: " + name);
      return super.get(name);
    }
  }

  // --- the wire ---

  static ObjectNode object(Object... namesAndValues) {
    ObjectNode made = JSON.createObjectNode();
    for (int at = 0; at < namesAndValues.length; at += 2)
      made.set((String) namesAndValues[at], JSON.valueToTree(namesAndValues[at + 1]));
    return made;
  }

  static ArrayNode list(List<?> values) {
    return JSON.valueToTree(values);
  }

  static synchronized void send(ObjectNode message) {
    // Half a character of a server's text becomes a question mark: most readers refuse the whole line.
    byte[] line = (message + "\n").getBytes(StandardCharsets.UTF_8);
    WIRE.write(line, 0, line.length);
    WIRE.flush();
  }

  private static String cut(String text) {
    return text == null ? "" : text.length() <= LONGEST_TEXT ? text : text.substring(0, LONGEST_TEXT);
  }

  private static void log(String level, String text) {
    if (!text.isBlank()) send(object("ev", "log", "level", level, "text", cut(text)));
  }

  /** What is printed becomes events, a line each. */
  private static PrintStream printed(String level) {
    OutputStream lines =
        new OutputStream() {
          private final ByteArrayOutputStream line = new ByteArrayOutputStream();

          @Override
          public synchronized void write(int octet) {
            if (octet != '\n') line.write(octet);
            else {
              log(level, line.toString(StandardCharsets.UTF_8));
              line.reset();
            }
          }
        };
    return new PrintStream(lines, true, StandardCharsets.UTF_8);
  }

  /** What goes to java.util.logging, where slf4j-jdk14 brings what goes to slf4j. Nothing is said unless the case asks for it: without a
   * binding slf4j is silent. */
  private static void logs(boolean debug) {
    LogManager.getLogManager().reset();
    Logger root = Logger.getLogger("");
    root.setLevel(debug ? Level.ALL : Level.OFF);
    root.addHandler(
        new Handler() {
          @Override
          public void publish(LogRecord said) {
            int level = said.getLevel().intValue();
            log(
                level >= 1000 ? "error" : level >= 900 ? "warning" : level >= 800 ? "info" : "debug",
                said.getMessage() + (said.getThrown() == null ? "" : " " + said.getThrown()));
          }

          @Override
          public void flush() {}

          @Override
          public void close() {}
        });
  }

  /** Makes this certificate what the process trusts, until the next one. */
  private static void trust(String file) throws Exception {
    KeyStore store = KeyStore.getInstance("PKCS12");
    store.load(null, null);
    try (InputStream pem = Files.newInputStream(Path.of(file))) {
      store.setCertificateEntry("ca", CertificateFactory.getInstance("X.509").generateCertificate(pem));
    }
    Path kept = Path.of(file).resolveSibling("ca.p12");
    try (OutputStream out = Files.newOutputStream(kept)) {
      store.store(out, PASSWORD.toCharArray());
    }
    System.setProperty("javax.net.ssl.trustStore", kept.toString());
    System.setProperty("javax.net.ssl.trustStorePassword", PASSWORD);
  }

  // --- answers ---

  private final Library library;
  private Map<String, Operation> current;
  private final ExecutorService worker =
      Executors.newSingleThreadExecutor(
          work -> {
            Thread thread = new Thread(work);
            thread.setDaemon(true);
            return thread;
          });
  private Thread working;
  private long workingOn;

  private ShimWire(Library library) {
    this.library = library;
  }

  /** Does all the calls at once, each in a thread of its own, and gives their answers in this order. What an exception says is read when
   * all are done: a library may have changed it. */
  static ObjectNode together(Library library, List<Callable<ObjectNode>> calls) throws InterruptedException {
    ExecutorService threads = Executors.newFixedThreadPool(calls.size());
    CountDownLatch start = new CountDownLatch(calls.size());
    List<Future<ObjectNode>> all = new ArrayList<>();
    for (Callable<ObjectNode> call : calls)
      all.add(
          threads.submit(
              () -> {
                start.countDown();
                start.await();
                return call.call();
              }));
    threads.shutdown();
    threads.awaitTermination(1, TimeUnit.MINUTES);
    List<ObjectNode> results = new ArrayList<>();
    for (Future<ObjectNode> one : all)
      results.add(
          outcome(
              library,
              none -> {
                try {
                  return one.get();
                } catch (ExecutionException why) {
                  throw why.getCause() instanceof Exception ? (Exception) why.getCause() : why;
                }
              },
              null));
    return object("results", results);
  }

  /** Does an operation and gives its answer. */
  static ObjectNode outcome(Library library, Operation operation, JsonNode args) {
    try {
      ObjectNode result = operation.call(args);
      return object("ok", result == null ? object() : result);
    } catch (Unsupported why) {
      return object("unsupported", why.getMessage());
    } catch (Misused why) {
      return object("err", object("kind", "protocol", "message", why.getMessage()));
    } catch (ShimClock.Abandoned why) {
      return object("err", object("kind", "abandoned", "message", why.getMessage()));
    } catch (Throwable why) {
      ObjectNode told = object("type", why.getClass().getSimpleName(), "message", cut(why.getMessage()));
      return object("err", told.setAll(library.tell(why)));
    }
  }

  private ObjectNode operate(String op, JsonNode args) throws Exception {
    if (op.equals("hello")) {
      for (JsonNode version : args.path("protocol")) if (version.asInt() == 1) return library.about();
      throw new Misused("this shim speaks version 1");
    }
    if (op.equals("case")) {
      if (!args.has("base_url")) throw new Misused("a case has a base_url");
      logs(args.path("log").asText().equals("debug"));
      if (args.has("ca_file")) trust(args.get("ca_file").asText());
      current = library.newCase(args.get("base_url").asText());
      return null;
    }
    if (current == null) throw new Misused("no case yet");
    Operation operation = current.get(op);
    if (operation == null) throw new Unsupported("unknown operation " + op);
    return operation.call(args);
  }

  /** True if the process is to end by itself. */
  private boolean take(JsonNode said, long id) {
    if (said.has("unix_ms")) ShimClock.set(said.get("unix_ms").asLong());
    if (said.has("wake") || said.has("abandon")) {
      int sleep = said.path("wake").asInt(said.path("abandon").asInt());
      if (!ShimClock.end(sleep, said.has("wake"))) throw new Misused("no such sleep: " + sleep);
    } else if (said.path("op").asText().equals("exit")) {
      Runtime.getRuntime().halt(0); // a library that sleeps would keep the process
    } else if (id == 0 || !said.path("op").isTextual() || !said.path("args").isObject() || !said.has("unix_ms")) {
      throw new Misused("neither a request nor a wake");
    } else if (said.get("op").asText().equals("cancel")) {
      cancel(id, said.get("args").path("id").asLong());
    } else if (said.get("op").asText().equals("process.end")) {
      current = null;
      library.end();
      send(object("id", id, "ok", object()));
      return true;
    } else {
      worker.execute(() -> request(id, said.get("op").asText(), said.get("args")));
    }
    return false;
  }

  private void request(long id, String op, JsonNode args) {
    synchronized (this) {
      working = Thread.currentThread();
      workingOn = id;
    }
    ObjectNode answer = outcome(library, given -> operate(op, given), args);
    synchronized (this) {
      working = null;
      Thread.interrupted(); // for a cancel that came too late
    }
    send(answer.put("id", id));
  }

  private synchronized void cancel(long id, long of) {
    if (working == null || workingOn != of) throw new Misused("operation " + of + " is not running");
    send(object("id", id, "ok", object()));
    working.interrupt();
  }

  /** Answers every line of standard input until it ends. Returns after process.end: then the process has to end by itself. */
  static void serve(Library library) throws IOException {
    System.setOut(printed("info")); // it is the protocol's alone
    System.setErr(printed("warning"));
    ShimWire shim = new ShimWire(library);
    BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line; (line = lines.readLine()) != null; ) {
      long id = 0;
      try {
        JsonNode said = JSON.readTree(line);
        id = said.path("id").asLong();
        if (shim.take(said, id)) return;
      } catch (IOException | RuntimeException why) {
        ObjectNode wrong = object("kind", "protocol", "message", String.valueOf(why.getMessage()));
        send(object("id", id == 0 ? null : id, "err", wrong));
      }
    }
    Runtime.getRuntime().halt(0);
  }
}
