// The clock of a shim in Java: an agent that makes the library under test ask the runner for the time (README.md).

import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.PrintStream;
import java.lang.instrument.ClassFileTransformer;
import java.lang.instrument.Instrumentation;
import java.security.ProtectionDomain;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import org.objectweb.asm.ClassReader;
import org.objectweb.asm.ClassVisitor;
import org.objectweb.asm.ClassWriter;
import org.objectweb.asm.MethodVisitor;
import org.objectweb.asm.Opcodes;

/**
 * In the classes of the library, and in no other, calls of the clock and of sleeps become calls of this class, as the classes are
 * loaded. Nothing is changed on disk, and HTTP timeouts stay real. Started by `-javaagent:FILE=com/example/`, which names the
 * library's package.
 */
public final class ShimClock implements ClassFileTransformer {
  private static final Map<String, String> REPLACED =
      Map.of(
          "java/lang/System.currentTimeMillis()J", "currentTimeMillis",
          "java/lang/Thread.sleep(J)V", "sleep",
          "java/util/concurrent/TimeUnit.sleep(J)V", "sleep");

  /** Other ways to the time or to a pause. A library that took one would be judged by two clocks. */
  private static final Set<String> UNKNOWN =
      Set.of(
          "java/lang/System.nanoTime()J",
          "java/lang/Thread.sleep(JI)V",
          "java/util/Date.<init>()V",
          "java/time/Clock.systemUTC()Ljava/time/Clock;",
          "java/time/Instant.now()Ljava/time/Instant;",
          "java/time/LocalDateTime.now()Ljava/time/LocalDateTime;",
          "java/time/ZonedDateTime.now()Ljava/time/ZonedDateTime;",
          "java/util/concurrent/locks/LockSupport.parkNanos(J)V");

  private final String library;

  private ShimClock(String library) {
    this.library = library;
  }

  public static void premain(String library, Instrumentation instrumentation) {
    instrumentation.addTransformer(new ShimClock(library));
  }

  @Override
  public byte[] transform(
      ClassLoader loader, String name, Class<?> redefined, ProtectionDomain domain, byte[] code) {
    if (name == null || !name.startsWith(library)) return null;
    try {
      ClassReader reader = new ClassReader(code);
      ClassWriter writer = new ClassWriter(0);
      reader.accept(new Rewritten(name, writer), 0);
      return writer.toByteArray();
    } catch (RuntimeException why) { // the JVM would load the class as it is, and say nothing
      new PrintStream(new FileOutputStream(FileDescriptor.err), true).printf( // System.err may be an event by now
          "%s could not be put on the clock of the runner: %s. If the class is newer than ASM knows, take a newer one in"
              + " conformance/released-sdks/java/shims/pom.xml; if it reads time in another way, teach it to ShimClock.java%n",
          name, why);
      Runtime.getRuntime().halt(1);
      return null;
    }
  }

  private static final class Rewritten extends ClassVisitor {
    private final String name;

    Rewritten(String name, ClassVisitor next) {
      super(Opcodes.ASM9, next);
      this.name = name;
    }

    @Override
    public MethodVisitor visitMethod(int access, String method, String type, String generic, String[] thrown) {
      return new MethodVisitor(Opcodes.ASM9, super.visitMethod(access, method, type, generic, thrown)) {
        @Override
        public void visitMethodInsn(int opcode, String owner, String called, String types, boolean ofInterface) {
          String call = owner + "." + called + types;
          if (UNKNOWN.contains(call)) throw new IllegalStateException(name + " calls " + call);
          String ours = REPLACED.get(call);
          if (ours == null) super.visitMethodInsn(opcode, owner, called, types, ofInterface);
          else super.visitMethodInsn(Opcodes.INVOKESTATIC, "ShimClock", ours, opcode == Opcodes.INVOKESTATIC ? types : "(L" + owner + ";J)V", false);
        }
      };
    }
  }

  // --- what the library calls instead: the runner owns time ---

  /** A sleep that never returns. Not an exception: no `catch` of the library may catch it. */
  static final class Abandoned extends Error {
    Abandoned() {
      super("a sleep did not return", null, false, false);
    }
  }

  private static final Map<Integer, CompletableFuture<Boolean>> SLEEPERS = new HashMap<>();
  private static long now;
  private static int sleeps;

  static synchronized void set(long unixMs) {
    now = unixMs;
  }

  /** A sleep is over, or must not return. False if there was none of this number. */
  static synchronized boolean end(int sleep, boolean wakes) {
    CompletableFuture<Boolean> sleeper = SLEEPERS.remove(sleep);
    return sleeper != null && (sleeper.complete(wakes) || true);
  }

  public static synchronized long currentTimeMillis() {
    return now;
  }

  public static void sleep(TimeUnit unit, long pause) throws InterruptedException {
    sleep(unit.toMillis(pause));
  }

  public static void sleep(long ms) throws InterruptedException {
    CompletableFuture<Boolean> sleeper = new CompletableFuture<>();
    int number;
    synchronized (ShimClock.class) {
      number = ++sleeps;
      SLEEPERS.put(number, sleeper);
    }
    ShimWire.send(ShimWire.object("ev", "sleep", "n", number, "ms", Math.max(0, ms)));
    try {
      if (!sleeper.get()) throw new Abandoned();
    } catch (ExecutionException why) {
      throw new IllegalStateException(why);
    }
  }
}
