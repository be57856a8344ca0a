// coze-java judges the mock: `run.py` starts it, and says on standard input what the mock and its worlds are.

import com.coze.openapi.service.utils.VersionUtils;
import java.util.LinkedHashMap;
import java.util.Map;

public final class CozeJavaCases {
  public static void main(String[] arguments) throws Exception {
    Map<String, Mock.Body> cases = new LinkedHashMap<>();
    CozeJavaFlows.add(cases);
    CozeJavaRefusals.add(cases);
    Mock.judge(cases, "coze-api " + VersionUtils.getVersion());
  }
}
