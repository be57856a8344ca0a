// The SDK's time: a sleep moves the mock's clock instead of waiting.

import java.util.ArrayList;
import java.util.List;
import java.util.function.DoubleUnaryOperator;

/** The SDK's clock begins at the mock's, and stands still but for its sleeps. `ShimClock` leads the SDK to it (conformance/clients/shims). */
final class SdkTime {
  static List<Double> sleeps;
  /** Called while the SDK sleeps, with the number of the sleep. */
  static Person duringSleep;
  static DoubleUnaryOperator mockAdvances;
  /** Why the last sleep does not return; null if it does. */
  static Exception wrong;
  private static Mock mock;
  private static long now;

  interface Person {
    void act(int number) throws Exception;
  }

  private SdkTime() {}

  static void begin(Mock of) throws Exception {
    mock = of;
    sleeps = new ArrayList<>();
    duringSleep = number -> {};
    mockAdvances = seconds -> seconds;
    wrong = null;
    now = mock.nowMs();
    ShimClock.set(now);
  }

  /** Moves the SDK's clock and not the mock's. */
  static void offset(long seconds) {
    now += seconds * 1000;
    ShimClock.set(now);
  }

  /** Moves both. */
  static void pass(long seconds) throws Exception {
    offset(seconds);
    mock.advance(seconds);
  }

  static void slept(int sleep, double seconds) {
    sleeps.add(seconds);
    try {
      // The SDKs poll without an end of their own (protocol §11); a broken mock must not hang the run.
      if (sleeps.size() > 100) throw new Mock.Mismatch("polling never ended: more than 100 sleeps");
      offset((long) seconds);
      mock.advance(mockAdvances.applyAsDouble(seconds));
      duringSleep.act(sleeps.size());
    } catch (Exception why) {
      wrong = why;
    }
    ShimClock.end(sleep, wrong == null);
  }
}

/** What `ShimClock` tells of a sleep; in a shim this is the runner. */
final class ShimWire {
  private ShimWire() {}

  static Object[] object(Object... members) {
    return members; // "ev", "sleep", "n", its number, "ms", its length
  }

  static void send(Object[] event) {
    SdkTime.slept((Integer) event[3], ((Long) event[5]) / 1000.0);
  }
}
