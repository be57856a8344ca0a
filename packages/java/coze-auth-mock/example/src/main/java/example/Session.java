// Session.java
package example;

import com.coze.openapi.client.auth.OAuthToken;
import com.coze.openapi.service.auth.WebOAuthClient;
import java.time.Clock;

/** The login of one person: a token that is valid for a minute at least. */
class Session {
  private final WebOAuthClient app;
  private final Clock clock;
  private OAuthToken token;

  Session(WebOAuthClient app, OAuthToken token, Clock clock) {
    this.app = app;
    this.token = token;
    this.clock = clock;
  }

  synchronized String accessToken() {
    if (clock.instant().getEpochSecond() >= token.getExpiresIn() - 60) {
      token = app.refreshToken(token.getRefreshToken()); // works once: a program stores the new one first
    }
    return token.getAccessToken();
  }
}
