// DeviceLogin.java
package example;

import com.coze.openapi.client.auth.DeviceAuthResp;
import com.coze.openapi.client.auth.OAuthToken;
import com.coze.openapi.client.exception.CozeAuthException;
import com.coze.openapi.service.auth.DeviceOAuthClient;
import java.time.Duration;
import java.util.function.Consumer;

/** Asks for the token of a device until its person has decided; pauses as it is told to. */
class DeviceLogin {
  static OAuthToken logIn(DeviceOAuthClient app, DeviceAuthResp device, Consumer<Duration> sleep) throws Exception {
    Duration pause = Duration.ofSeconds(device.getInterval());
    while (true) {
      sleep.accept(pause);
      try {
        return app.getAccessToken(device.getDeviceCode(), false);
      } catch (CozeAuthException refused) {
        String code = refused.getCode().getValue();
        if (code.equals("slow_down")) pause = pause.plusSeconds(5); // RFC 8628 §3.5
        else if (!code.equals("authorization_pending")) throw refused;
      }
    }
  }
}
