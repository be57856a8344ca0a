// SettingsTest.java
package example;

import static org.junit.jupiter.api.Assertions.assertEquals;

import cozeauthmock.CozeAuthMock;
import cozeauthmock.CozeAuthMock.*;
import java.time.Instant;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

@ExtendWith(CozeAuthMock.class)
@Settings(clock = "2026-01-01T00:00:00Z", seed = 1)
class SettingsTest {
  @Test
  @Settings(config = "[ttl]\naccess = \"20s\"\n")
  void shortTokens(MockWorld world) {
    assertEquals(Instant.parse("2026-01-01T00:00:00Z"), world.clock().instant());
  }
}
