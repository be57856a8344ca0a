// The JWT grant of com.coze:cozeloop-core, for record.py: the environment has BASE and KEY.

import com.coze.loop.auth.JWTOAuthAuth;

public class RecordLoop {
  public static void main(String[] args) {
    new JWTOAuthAuth("cidj", System.getenv("KEY"), "kid1", System.getenv("BASE")).getToken();
    System.exit(0); // its threads would live on
  }
}
