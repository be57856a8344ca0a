// Flows of com.coze:coze-api over Coze's variables (the file is -) or a coze_oauth_config.json: `Flows KIND FILE …`. See run.py.

import com.coze.openapi.client.auth.DeviceAuthResp;
import com.coze.openapi.client.auth.GetPKCEAuthURLResp;
import com.coze.openapi.client.auth.LoadAuthConfig;
import com.coze.openapi.client.auth.OAuthConfig;
import com.coze.openapi.client.auth.OAuthToken;
import com.coze.openapi.client.workspace.ListWorkspaceReq;
import com.coze.openapi.service.auth.DeviceOAuthClient;
import com.coze.openapi.service.auth.JWTOAuthClient;
import com.coze.openapi.service.auth.PKCEOAuthClient;
import com.coze.openapi.service.auth.TokenAuth;
import com.coze.openapi.service.auth.WebOAuthClient;
import com.coze.openapi.service.service.CozeAPI;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.file.Files;
import java.nio.file.Paths;

public class Flows {
  private static final BufferedReader STDIN = new BufferedReader(new InputStreamReader(System.in));

  private static String ask(String what, String value) throws Exception {
    System.out.println(what + " " + value);
    return STDIN.readLine();
  }

  private static String variable(String kind, String name) {
    return System.getenv("COZE_" + kind.toUpperCase() + "_OAUTH_" + name);
  }

  private static String redirect(String kind) {
    String uri = variable(kind, "REDIRECT_URI");
    return uri != null ? uri : "http://127.0.0.1:8080/callback"; // as the quickstarts have it
  }

  public static void main(String[] args) {
    try {
      for (int at = 0; at + 1 < args.length; at += 2) flow(args[at], args[at + 1]);
      System.exit(0); // the SDK's threads would live on
    } catch (Exception error) {
      error.printStackTrace();
      System.exit(1);
    }
  }

  private static void flow(String kind, String file) throws Exception {
    boolean variables = file.equals("-");
    LoadAuthConfig load = LoadAuthConfig.builder().filePath(file).build();
    String base =
        variables ? System.getenv("COZE_API_BASE") : OAuthConfig.load(load).getCozeApiBase();
    String id = variable(kind, "CLIENT_ID"), uri = redirect(kind);
    OAuthToken token;
    if (kind.equals("web")) {
      WebOAuthClient app =
          variables
              ? new WebOAuthClient.WebOAuthBuilder()
                  .clientID(id)
                  .clientSecret(variable(kind, "CLIENT_SECRET"))
                  .baseURL(base)
                  .build()
              : WebOAuthClient.loadFromConfig(load);
      token = app.getAccessToken(ask("OPEN", app.getOAuthURL(uri, "s")), uri);
      token = app.refreshToken(token.getRefreshToken());
    } else if (kind.equals("pkce")) {
      PKCEOAuthClient app =
          variables
              ? new PKCEOAuthClient.PKCEOAuthBuilder().clientID(id).baseURL(base).build()
              : PKCEOAuthClient.loadFromConfig(load);
      GetPKCEAuthURLResp url =
          app.genOAuthURL(uri, "s", PKCEOAuthClient.CodeChallengeMethod.S256);
      String code = ask("OPEN", url.getAuthorizationURL());
      token = app.getAccessToken(code, uri, url.getCodeVerifier());
      token = app.refreshToken(token.getRefreshToken());
    } else if (kind.equals("device")) {
      DeviceOAuthClient app =
          variables
              ? new DeviceOAuthClient.DeviceOAuthBuilder().clientID(id).baseURL(base).build()
              : DeviceOAuthClient.loadFromConfig(load);
      DeviceAuthResp device = app.getDeviceCode();
      ask("DEVICE", device.getUserCode());
      token = app.getAccessToken(device.getDeviceCode(), true);
      token = app.refreshToken(token.getRefreshToken());
    } else {
      JWTOAuthClient app;
      if (variables) {
        // As the SDK's own sample reads it.
        byte[] key = Files.readAllBytes(Paths.get(variable(kind, "PRIVATE_KEY_FILE_PATH")));
        app =
            new JWTOAuthClient.JWTOAuthBuilder()
                .clientID(id)
                .privateKey(new String(key))
                .publicKey(variable(kind, "PUBLIC_KEY_ID"))
                .baseURL(base)
                .build();
      } else {
        app = JWTOAuthClient.loadFromConfig(load);
      }
      token = app.getAccessToken();
    }
    CozeAPI coze =
        new CozeAPI.Builder().auth(new TokenAuth(token.getAccessToken())).baseURL(base).build();
    String name = coze.workspaces().list(ListWorkspaceReq.of(1, 20)).getItems().get(0).getId();
    System.out.println("DONE " + kind + " " + name);
  }
}
