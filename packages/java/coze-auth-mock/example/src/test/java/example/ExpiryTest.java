// ExpiryTest.java
package example;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;

import com.coze.openapi.service.auth.WebOAuthClient;
import cozeauthmock.CozeAuthMock;
import cozeauthmock.CozeAuthMock.*;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

@ExtendWith(CozeAuthMock.class)
class ExpiryTest {
  @Test
  void aTokenIsRenewedBeforeItExpires(MockWorld world) {
    String callback = "https://app.example/callback";
    MockApp app = world.app("web");
    WebOAuthClient web = new WebOAuthClient.WebOAuthBuilder()
        .clientID(app.clientId()).clientSecret(app.clientSecret()).baseURL(world.baseUrl()).build();
    String code = world.authorize(web.getOAuthURL(callback, "s1")).query("code");
    Session session = new Session(web, web.getAccessToken(code, callback), world.clock());
    String first = session.accessToken();
    assertEquals(first, session.accessToken());
    world.clock().advance(Duration.ofMinutes(15).minusSeconds(30));
    assertNotEquals(first, session.accessToken());
    world.verify(Expect.exactly(1, On.grant("refresh_token").status(200)));
  }
}
