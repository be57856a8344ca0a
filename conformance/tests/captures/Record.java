// Each auth call of com.coze:coze-api, for record.py: the environment has BASE and KEY.

import com.coze.openapi.client.auth.GetJWTAccessTokenReq;
import com.coze.openapi.client.auth.GetPKCEAuthURLResp;
import com.coze.openapi.client.auth.model.DeviceInfo;
import com.coze.openapi.client.auth.model.SessionContext;
import com.coze.openapi.client.auth.scope.Scope;
import com.coze.openapi.client.workspace.ListWorkspaceReq;
import com.coze.openapi.service.auth.Auth;
import com.coze.openapi.service.auth.DeviceOAuthClient;
import com.coze.openapi.service.auth.JWTOAuth;
import com.coze.openapi.service.auth.JWTOAuthClient;
import com.coze.openapi.service.auth.PKCEOAuthClient;
import com.coze.openapi.service.auth.TokenAuth;
import com.coze.openapi.service.auth.WebOAuthClient;
import com.coze.openapi.service.service.CozeAPI;
import java.util.Collections;

public class Record {
  public static void main(String[] args) throws Exception {
    String base = System.getenv("BASE"), redirect = "https://app.example/cb";

    WebOAuthClient web =
        new WebOAuthClient.WebOAuthBuilder().clientID("cid w").clientSecret("sec").baseURL(base).build();
    web.getAccessToken("code1", redirect);
    web.refreshToken("rt1");

    PKCEOAuthClient pkce = new PKCEOAuthClient.PKCEOAuthBuilder().clientID("cidp").baseURL(base).build();
    GetPKCEAuthURLResp url = pkce.genOAuthURL(redirect, "s");
    pkce.getAccessToken("code1", redirect, url.getCodeVerifier());
    pkce.refreshToken("rt1");

    DeviceOAuthClient device = new DeviceOAuthClient.DeviceOAuthBuilder().clientID("cidd").baseURL(base).build();
    device.getDeviceCode();
    device.getDeviceCode("ws1");
    device.getAccessToken("dc", true);
    device.refreshToken("rt1");

    JWTOAuthClient jwt =
        new JWTOAuthClient.JWTOAuthBuilder()
            .clientID("cidj").publicKey("kid1").privateKey(System.getenv("KEY")).baseURL(base).build();
    Scope bots = Scope.buildBotChat(Collections.singletonList("b1"), null);
    Scope all = Scope.buildBotChat(null, null);
    jwt.getAccessToken();
    jwt.getAccessToken(3600);
    jwt.getAccessToken(900, bots, "s1");
    jwt.getAccessToken(all);
    for (DeviceInfo info :
        new DeviceInfo[] {DeviceInfo.builder().deviceID("d1").build(), DeviceInfo.builder().customConsumer("c1").build()}) {
      SessionContext session = SessionContext.builder().deviceInfo(info).build();
      jwt.getAccessToken(GetJWTAccessTokenReq.builder().sessionContext(session).build());
    }
    jwt.getAccessToken(GetJWTAccessTokenReq.builder().accountID(123L).build());
    jwt.getAccessToken(GetJWTAccessTokenReq.builder().enterpriseID("volcano_1").build());
    jwt.getAccessToken(GetJWTAccessTokenReq.builder().accountID(123L).enterpriseID("volcano_1").build());

    list(base, JWTOAuth.builder().jwtClient(jwt).ttl(3600).scope(bots).sessionName("s1").enterpriseID("volcano_1").build());
    list(base, new TokenAuth("pat_x"));

    System.out.println(web.getOAuthURL(redirect, "s"));
    System.out.println(web.getOAuthURL(redirect, "s", "ws1"));
    System.out.println(url.getAuthorizationURL());
    System.out.println(
        pkce.genOAuthURL(redirect, "s", PKCEOAuthClient.CodeChallengeMethod.S256, "ws1").getAuthorizationURL());
    System.exit(0); // the SDK's threads would live on
  }

  private static void list(String base, Auth auth) {
    new CozeAPI.Builder().auth(auth).baseURL(base).build().workspaces().list(ListWorkspaceReq.of(1, 20));
  }
}
