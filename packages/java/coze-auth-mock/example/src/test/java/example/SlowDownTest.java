// SlowDownTest.java
package example;

import static org.junit.jupiter.api.Assertions.assertNotNull;

import com.coze.openapi.client.auth.DeviceAuthResp;
import com.coze.openapi.service.auth.DeviceOAuthClient;
import cozeauthmock.CozeAuthMock;
import cozeauthmock.CozeAuthMock.*;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

@ExtendWith(CozeAuthMock.class)
class SlowDownTest {
  @Test
  void aDeviceSlowsDown(MockWorld world) throws Exception {
    DeviceOAuthClient app = new DeviceOAuthClient.DeviceOAuthBuilder()
        .clientID(world.app("device").clientId()).baseURL(world.baseUrl()).build();
    DeviceAuthResp device = app.getDeviceCode();
    world.decideDevice(device.getUserCode(), "approve");
    world.script(On.grant("device_code"), ScriptStep.error("slow_down"), ScriptStep.error("slow_down"));
    world.clock().freeze();
    assertNotNull(DeviceLogin.logIn(app, device, world.clock()::advance).getRefreshToken());
    world.verify(Expect.gaps(Duration.ofSeconds(10), On.grant("device_code")));
  }
}
