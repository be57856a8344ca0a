// LoginTest.java
package example;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.coze.openapi.client.auth.OAuthToken;
import com.coze.openapi.client.workspace.ListWorkspaceReq;
import com.coze.openapi.service.auth.TokenAuth;
import com.coze.openapi.service.auth.WebOAuthClient;
import com.coze.openapi.service.service.CozeAPI;
import cozeauthmock.CozeAuthMock;
import cozeauthmock.CozeAuthMock.*;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

@ExtendWith(CozeAuthMock.class)
class LoginTest {
  @Test
  void aPersonLogsIn(MockWorld world) {
    String callback = "https://app.example/callback";
    MockApp app = world.app("web");
    WebOAuthClient web = new WebOAuthClient.WebOAuthBuilder()
        .clientID(app.clientId()).clientSecret(app.clientSecret()).baseURL(world.baseUrl()).build();
    Redirect redirect = world.authorize(web.getOAuthURL(callback, "s1"));
    OAuthToken token = web.getAccessToken(redirect.query("code"), callback);
    CozeAPI coze = new CozeAPI.Builder().auth(new TokenAuth(token.getAccessToken())).baseURL(world.baseUrl()).build();
    assertEquals("ws_a", coze.workspaces().list(ListWorkspaceReq.of(1, 20)).getItems().get(0).getId());
    assertEquals("s1", redirect.query("state"));
    world.verify(Expect.order(On.endpoint("authorize"), On.token(), On.endpoint("workspaces")));
    assertEquals(List.of(), world.leaks()); // no secret where it does not belong
  }
}
