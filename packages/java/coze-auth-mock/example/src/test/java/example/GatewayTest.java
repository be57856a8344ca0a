// GatewayTest.java
package example;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import com.coze.openapi.client.exception.CozeApiException;
import com.coze.openapi.client.workspace.ListWorkspaceReq;
import com.coze.openapi.service.auth.TokenAuth;
import com.coze.openapi.service.service.CozeAPI;
import cozeauthmock.CozeAuthMock;
import cozeauthmock.CozeAuthMock.*;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

@ExtendWith(CozeAuthMock.class)
class GatewayTest {
  @Test
  void aPageOfAGateway(MockWorld world) {
    CozeAPI coze = new CozeAPI.Builder().auth(new TokenAuth(world.consoleToken("pat"))).baseURL(world.baseUrl()).build();
    Fault page = Fault.status(502).body("<html>Bad Gateway</html>").header("content-type", "text/html");
    try (FaultHandle fault = world.fault(On.endpoint("workspaces"), page)) {
      RuntimeException refused = assertThrows(RuntimeException.class, () -> coze.workspaces().list(ListWorkspaceReq.of(1, 20)));
      assertEquals(502, ((CozeApiException) refused.getCause()).getCode()); // the SDK wraps its own exception
      assertEquals(1, fault.fired());
    }
    assertEquals("ws_a", coze.workspaces().list(ListWorkspaceReq.of(1, 20)).getItems().get(0).getId());
  }
}
