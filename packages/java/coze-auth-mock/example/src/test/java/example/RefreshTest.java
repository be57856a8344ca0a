// RefreshTest.java
package example;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;

import com.coze.openapi.client.auth.GetPKCEAuthURLResp;
import com.coze.openapi.client.auth.OAuthToken;
import com.coze.openapi.client.exception.CozeAuthException;
import com.coze.openapi.service.auth.PKCEOAuthClient;
import com.coze.openapi.service.auth.PKCEOAuthClient.CodeChallengeMethod;
import cozeauthmock.CozeAuthMock;
import cozeauthmock.CozeAuthMock.*;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

@ExtendWith(CozeAuthMock.class)
class RefreshTest {
  @Test
  void aRefreshTokenWorksOnce(MockWorld world) {
    String callback = "https://app.example/callback";
    PKCEOAuthClient app = new PKCEOAuthClient.PKCEOAuthBuilder()
        .clientID(world.app("pkce").clientId()).baseURL(world.baseUrl()).build();
    GetPKCEAuthURLResp login = app.genOAuthURL(callback, "s1", CodeChallengeMethod.S256);
    String code = world.authorize(login.getAuthorizationURL()).query("code");
    OAuthToken first = app.getAccessToken(code, callback, login.getCodeVerifier());
    app.refreshToken(first.getRefreshToken());
    CozeAuthException refused = assertThrows(CozeAuthException.class, () -> app.refreshToken(first.getRefreshToken()));
    Explanation why = world.explain(refused.getLogID());
    assertEquals("refresh.rotate", why.rule());
    assertNotNull(why.fix());
  }
}
