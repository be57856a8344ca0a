// Refusals that coze-java must show: what it throws, and the rule that the journal names.

import com.coze.openapi.client.auth.DeviceAuthResp;
import com.coze.openapi.client.auth.GetPKCEAuthURLResp;
import com.coze.openapi.client.auth.OAuthToken;
import com.coze.openapi.service.auth.DefaultJWTBuilder;
import com.coze.openapi.service.auth.DeviceOAuthClient;
import com.coze.openapi.service.auth.JWTOAuthClient;
import com.coze.openapi.service.auth.JWTPayload;
import com.coze.openapi.service.auth.PKCEOAuthClient;
import com.coze.openapi.service.auth.PKCEOAuthClient.CodeChallengeMethod;
import com.coze.openapi.service.auth.WebOAuthClient;
import java.util.Arrays;
import java.util.Map;
import java.util.function.Consumer;

final class CozeJavaRefusals {
  private static final String ELSEWHERE = "https://elsewhere.example/callback"; // no ready-made app allows it
  private static final String UNKNOWN = "99999999999999999999999999999999.app.coze";
  private static final String OTHER_VERIFIER = "b".repeat(43);
  private static final Mock.Want EXPIRED = Mock.want().refused(400, "expired_token", "device.expired");

  private CozeJavaRefusals() {}

  /** The SDK lets an app make the assertion; this one changes a claim first. */
  private static JWTOAuthClient changing(Mock mock, Consumer<JWTPayload> change) throws Exception {
    DefaultJWTBuilder real = new DefaultJWTBuilder();
    return CozeJavaFlows.jwtBuilder(mock)
        .jwtBuilder(
            (key, header, payload) -> {
              change.accept(payload);
              return real.generateJWT(key, header, payload);
            })
        .build();
  }

  private static void wrongVerifier(Mock mock, CodeChallengeMethod method) throws Exception {
    PKCEOAuthClient app = CozeJavaFlows.pkce(mock, "pkce");
    String code = mock.approve(app.genOAuthURL(Mock.CALLBACK, "s", method).getAuthorizationURL(), "s");
    CozeJavaRefused.badGrant(
        mock, () -> app.getAccessToken(code, Mock.CALLBACK, OTHER_VERIFIER), "pkce.verifier", "code_verifier");
  }

  static void add(Map<String, Mock.Body> cases) {
    // --- authorize ---
    cases.put("authorize.wrong-redirect", mock ->
        CozeJavaRefused.loginRefused(
            mock, CozeJavaFlows.web(mock).getOAuthURL(ELSEWHERE, "s"), 400, "invalid_request", "authorize.redirect_uri"));
    cases.put("authorize.unknown-client", mock -> {
      String url = CozeJavaFlows.web(mock, UNKNOWN, "a secret").getOAuthURL(Mock.CALLBACK, "s");
      CozeJavaRefused.loginRefused(mock, url, 401, "invalid_client", "client.known");
    });
    cases.put("authorize.deny", mock -> {
      Map<String, String> answer = mock.answerConsent(CozeJavaFlows.web(mock).getOAuthURL(Mock.CALLBACK, "s"), "deny");
      Mock.expect("error of the callback", "access_denied", answer.get("error"));
      Mock.expect("state and code of the callback", Arrays.asList("s", null), Arrays.asList(answer.get("state"), answer.get("code")));
      mock.saw("authorize", Mock.want().status(302));
    });

    // --- exchange ---
    cases.put("code.wrong-secret", mock -> {
      String code = CozeJavaFlows.webCode(mock);
      WebOAuthClient wrong = CozeJavaFlows.web(mock, mock.client("web"), "not-the-secret");
      CozeJavaRefused.badClient(mock, () -> wrong.getAccessToken(code, Mock.CALLBACK), "client.secret", "client_secret");
      // A refused client must not burn the person's code.
      OAuthToken token = CozeJavaFlows.web(mock).getAccessToken(code, Mock.CALLBACK);
      CozeJavaFlows.checkToken(mock, token, "authorization_code", "web");
    });
    cases.put("code.unknown-client", mock -> {
      String code = CozeJavaFlows.webCode(mock);
      WebOAuthClient app = CozeJavaFlows.web(mock, UNKNOWN, mock.app("web", "client_secret"));
      CozeJavaRefused.badClient(mock, () -> app.getAccessToken(code, Mock.CALLBACK), "client.known", "client_id");
    });
    cases.put("code.reused", mock -> {
      WebOAuthClient app = CozeJavaFlows.web(mock);
      String code = CozeJavaFlows.webCode(mock);
      CozeJavaFlows.checkToken(mock, app.getAccessToken(code, Mock.CALLBACK), "authorization_code", "web");
      CozeJavaRefused.badGrant(mock, () -> app.getAccessToken(code, Mock.CALLBACK), "code.single_use", "code");
    });
    cases.put("code.expired", mock -> {
      String code = CozeJavaFlows.webCode(mock);
      mock.advance(3600);
      CozeJavaRefused.badGrant(
          mock, () -> CozeJavaFlows.web(mock).getAccessToken(code, Mock.CALLBACK), "code.expiry", "code");
    });
    cases.put("code.of-another-client", mock -> {
      // The web app's login has a challenge, so that nothing but the client is wrong.
      GetPKCEAuthURLResp url = CozeJavaFlows.pkce(mock, "web").genOAuthURL(Mock.CALLBACK, "s", CodeChallengeMethod.S256);
      String code = mock.approve(url.getAuthorizationURL(), "s");
      PKCEOAuthClient thief = CozeJavaFlows.pkce(mock, "pkce");
      CozeJavaRefused.badGrant(
          mock, () -> thief.getAccessToken(code, Mock.CALLBACK, url.getCodeVerifier()), "code.client", "code");
    });
    cases.put("code.wrong-redirect", mock -> {
      String code = CozeJavaFlows.webCode(mock);
      String other = "http://localhost:8080/callback"; // allowed for the app, yet not where this login began
      CozeJavaRefused.badGrant(
          mock, () -> CozeJavaFlows.web(mock).getAccessToken(code, other), "code.redirect_uri", "redirect_uri");
    });
    cases.put("code.web-app-without-secret", mock -> {
      // A web app used as a PKCE one: the refusal of coze-js#212.
      PKCEOAuthClient app = CozeJavaFlows.pkce(mock, "web");
      GetPKCEAuthURLResp url = app.genOAuthURL(Mock.CALLBACK, "s", CodeChallengeMethod.S256);
      String code = mock.approve(url.getAuthorizationURL(), "s");
      CozeJavaRefused.refused(
          mock,
          "token",
          () -> app.getAccessToken(code, Mock.CALLBACK, url.getCodeVerifier()),
          Mock.want().refused(400, "invalid_request", "client.secret_missing"),
          "invalid request: client_secret");
    });
    cases.put("pkce.wrong-verifier-s256", mock -> wrongVerifier(mock, CodeChallengeMethod.S256));
    cases.put("pkce.wrong-verifier-plain", mock -> wrongVerifier(mock, CodeChallengeMethod.Plain));

    // --- refresh ---
    cases.put("refresh.reused", mock -> {
      WebOAuthClient app = CozeJavaFlows.web(mock);
      String spent = CozeJavaFlows.webToken(mock, app).getRefreshToken();
      CozeJavaFlows.checkToken(mock, app.refreshToken(spent), "refresh_token", "web");
      CozeJavaRefused.badGrant(mock, () -> app.refreshToken(spent), "refresh.rotate", "refresh_token");
    });
    cases.put("refresh.expired", mock -> {
      WebOAuthClient app = CozeJavaFlows.web(mock);
      String refresh = CozeJavaFlows.webToken(mock, app).getRefreshToken();
      mock.advance(30 * 86400);
      CozeJavaRefused.badGrant(mock, () -> app.refreshToken(refresh), "refresh.expiry", "refresh_token");
    });
    cases.put("refresh.of-another-client", mock -> {
      String refresh = CozeJavaFlows.webToken(mock, CozeJavaFlows.web(mock)).getRefreshToken();
      PKCEOAuthClient thief = CozeJavaFlows.pkce(mock, "pkce");
      CozeJavaRefused.badGrant(mock, () -> thief.refreshToken(refresh), "refresh.client", "refresh_token");
    });
    cases.put("refresh.wrong-secret", mock -> {
      String refresh = CozeJavaFlows.webToken(mock, CozeJavaFlows.web(mock)).getRefreshToken();
      WebOAuthClient wrong = CozeJavaFlows.web(mock, mock.client("web"), "not-the-secret");
      CozeJavaRefused.badClient(mock, () -> wrong.refreshToken(refresh), "client.secret", "client_secret");
    });

    // --- device ---
    cases.put("device.single-poll-pending", mock -> {
      DeviceOAuthClient app = CozeJavaFlows.device(mock, "device");
      String code = CozeJavaFlows.deviceStart(mock, app).getDeviceCode();
      CozeJavaRefused.deviceRefused(mock, () -> app.getAccessToken(code), CozeJavaFlows.PENDING, "authorization pending", 0);
    });
    cases.put("device.denied", mock -> {
      DeviceAuthResp device = CozeJavaFlows.deviceStart(mock, CozeJavaFlows.device(mock, "device"));
      Mock.Want denied = Mock.want().refused(400, "access_denied", "device.denied");
      CozeJavaRefused.deviceRefused(
          mock, () -> CozeJavaFlows.poll(mock, device, "deny"), denied, "the user denied the request", 1);
    });
    cases.put("device.expired-by-person", mock -> {
      DeviceAuthResp device = CozeJavaFlows.deviceStart(mock, CozeJavaFlows.device(mock, "device"));
      CozeJavaRefused.deviceRefused(
          mock, () -> CozeJavaFlows.poll(mock, device, "expire"), EXPIRED, "device code expired", 1);
    });
    cases.put("device.expired-by-clock", mock -> {
      // The SDK has no deadline: only the server's 300 s end this, after 60 polls.
      DeviceAuthResp device = CozeJavaFlows.deviceStart(mock, CozeJavaFlows.device(mock, "device"));
      CozeJavaRefused.deviceRefused(
          mock, () -> CozeJavaFlows.poll(mock, device, null), EXPIRED, "device code expired", 60);
    });
    cases.put("device.code-used-twice", mock -> {
      DeviceOAuthClient app = CozeJavaFlows.device(mock, "device");
      DeviceAuthResp device = CozeJavaFlows.deviceStart(mock, app);
      mock.user(device.getUserCode(), "approve");
      CozeJavaFlows.checkToken(mock, app.getAccessToken(device.getDeviceCode()), "device_code", "device");
      CozeJavaRefused.badGrant(
          mock, () -> app.getAccessToken(device.getDeviceCode()), "device.single_use", "device_code");
    });
    cases.put("device.of-another-client", mock -> {
      DeviceAuthResp device = CozeJavaFlows.deviceStart(mock, CozeJavaFlows.device(mock, "device"));
      mock.user(device.getUserCode(), "approve");
      DeviceOAuthClient thief = CozeJavaFlows.device(mock, "other_device");
      CozeJavaRefused.badGrant(
          mock, () -> thief.getAccessToken(device.getDeviceCode()), "device.client", "device_code");
    });
    cases.put("device.wrong-kind", mock ->
        CozeJavaRefused.refused(
            mock,
            "device_code",
            () -> CozeJavaFlows.device(mock, "pkce").getDeviceCode(),
            Mock.want().refused(403, "access_deny", "client.kind"),
            "invalid app type"));

    // --- JWT; the first message is the server's own spelling (coze-go#43) ---
    cases.put("jwt.unknown-kid", mock -> {
      JWTOAuthClient app = CozeJavaFlows.jwtBuilder(mock).publicKey("no-such-key").build();
      CozeJavaRefused.jwtRefused(mock, app::getAccessToken, "jwt.kid", "invalid jwt: kid not been registred");
    });
    cases.put("jwt.wrong-key", mock -> {
      JWTOAuthClient app = CozeJavaFlows.jwtBuilder(mock).privateKey(Mock.otherKey()).build();
      CozeJavaRefused.jwtRefused(mock, app::getAccessToken, "jwt.signature", "invalid jwt: signature");
    });
    cases.put("jwt.wrong-aud", mock -> {
      JWTOAuthClient app = changing(mock, payload -> payload.setAud("api.elsewhere.example"));
      CozeJavaRefused.jwtRefused(mock, app::getAccessToken, "jwt.aud", "invalid jwt: aud");
    });
    cases.put("jwt.expired-assertion", mock -> {
      SdkTime.offset(-7200);
      CozeJavaRefused.jwtRefused(mock, CozeJavaFlows.jwt(mock)::getAccessToken, "jwt.exp", "invalid jwt: exp");
    });
    cases.put("jwt.no-life", mock -> {
      // A ttl of 0 is 0 here: exp is iat. The SDK lives a minute ahead, so that exp is not yet over.
      SdkTime.offset(60);
      JWTOAuthClient app = CozeJavaFlows.jwt(mock);
      CozeJavaRefused.jwtRefused(mock, () -> app.getAccessToken(0), "jwt.exp_after_iat", "invalid jwt: exp");
    });
    cases.put("jwt.reused-jti", mock -> {
      JWTOAuthClient app = changing(mock, payload -> payload.setJti("7".repeat(16)));
      CozeJavaFlows.checkJwt(mock, app.getAccessToken());
      CozeJavaRefused.jwtRefused(mock, app::getAccessToken, "jwt.jti", "invalid jwt: jti");
    });

    // --- the protected endpoint ---
    cases.put("token.unknown", mock -> CozeJavaRefused.tokenRefused(mock, "pat_no_such_token", "token.known"));
    cases.put("token.expired", mock -> {
      String token = CozeJavaFlows.webToken(mock, CozeJavaFlows.web(mock)).getAccessToken();
      CozeJavaFlows.prove(mock, token);
      mock.advance(Mock.ACCESS_SECONDS + 60);
      CozeJavaRefused.tokenRefused(mock, token, "token.expiry");
    });
    cases.put("token.revoked", mock -> {
      String token = CozeJavaFlows.webToken(mock, CozeJavaFlows.web(mock)).getAccessToken();
      CozeJavaFlows.prove(mock, token);
      mock.revoke(token);
      CozeJavaRefused.tokenRefused(mock, token, "token.revoked");
    });
  }
}
