// How a refusal of coze-java is judged: the exception that it throws, and the journal.

import com.coze.openapi.client.exception.CozeApiException;
import com.coze.openapi.client.exception.CozeAuthException;
import com.coze.openapi.service.auth.TokenAuth;
import java.net.http.HttpResponse;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;

final class CozeJavaRefused {
  private CozeJavaRefused() {}

  /** What the SDK keeps of an OAuth error: all of it. */
  private static void told(Mock mock, CozeAuthException why, Mock.Want want, String message) throws Exception {
    Mock.expect(
        "status, code, message and param of the SDK's error",
        List.of(want.status, want.error, message, want.error),
        List.of(why.getStatusCode(), why.getCode().getValue(), why.getErrorMessage(), why.getParam()));
    mock.explained(why.getLogID(), want.rule);
  }

  static void refused(Mock mock, String endpoint, Mock.Call<?> call, Mock.Want want, String message) throws Exception {
    CozeAuthException why = Mock.thrown(CozeAuthException.class, call);
    mock.saw(endpoint, want.logid(why.getLogID()));
    told(mock, why, want, message);
  }

  static void badGrant(Mock mock, Mock.Call<?> call, String rule, String what) throws Exception {
    refused(mock, "token", call, Mock.want().refused(400, "invalid_grant", rule), "invalid grant: " + what);
  }

  static void badClient(Mock mock, Mock.Call<?> call, String rule, String what) throws Exception {
    refused(mock, "token", call, Mock.want().refused(401, "invalid_client", rule), "invalid client: " + what);
  }

  static void jwtRefused(Mock mock, Mock.Call<?> call, String rule, String message) throws Exception {
    refused(mock, "token", call, Mock.want().refused(401, "invalid_client", rule).grant("jwt_bearer"), message);
  }

  /** The end of a device grant; so many polls were pending before it. */
  static void deviceRefused(Mock mock, Mock.Call<?> call, Mock.Want want, String message, int polls) throws Exception {
    CozeAuthException why = Mock.thrown(CozeAuthException.class, call);
    Mock.Want[] pending = Collections.nCopies(polls, CozeJavaFlows.PENDING).toArray(new Mock.Want[0]);
    CozeJavaFlows.checkPolls(mock, want.logid(why.getLogID()), pending);
    told(mock, why, want, message);
  }

  /** The SDK hides its own exception in another one, and the code in the text: it takes the status for the code. */
  static void tokenRefused(Mock mock, String accessToken, String rule) throws Exception {
    RuntimeException outer =
        Mock.thrown(RuntimeException.class, () -> CozeJavaFlows.workspaces(mock, new TokenAuth(accessToken)));
    if (!(outer.getCause() instanceof CozeApiException)) throw outer;
    CozeApiException why = (CozeApiException) outer.getCause();
    mock.saw("workspaces", Mock.want().refused(401, "4100", rule).logid(why.getLogID()));
    mock.explained(why.getLogID(), rule);
    Mock.expect("code of the SDK's error", 401, why.getCode());
    boolean whole = why.getMsg().contains("\"code\":4100") && why.getMsg().contains("\"msg\":\"authentication is invalid\"");
    Mock.expect("the body is the SDK's message: " + why.getMsg(), true, whole);
  }

  /** The SDK only builds this URL; the person's browser gets the refusal, and is never sent elsewhere. */
  static void loginRefused(Mock mock, String url, int status, String error, String rule) throws Exception {
    HttpResponse<String> reply = mock.openAsBrowser(url);
    String logid = reply.headers().firstValue("x-tt-logid").orElse(null);
    Mock.expect(
        "status and Location of the authorize page",
        Arrays.asList(status, null),
        Arrays.asList(reply.statusCode(), reply.headers().firstValue("location").orElse(null)));
    mock.saw("authorize", Mock.want().refused(status, error, rule).logid(logid));
    mock.explained(logid, rule);
  }
}
