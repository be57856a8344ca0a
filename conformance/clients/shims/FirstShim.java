// The smallest shim in Java: of a library that can ask whose a token is. a-shim-in-java.md shows it whole.

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.time.Duration;

public class FirstShim {
  static final ObjectMapper JSON = new ObjectMapper();

  /** The library under test; yours is called instead. The rest is what it tells, put into the answer. */
  static void whoami(String base, String token, ObjectNode answer) {
    try {
      var request = HttpRequest.newBuilder(URI.create(base + "/v1/users/me")).timeout(Duration.ofSeconds(10));
      var reply = HttpClient.newHttpClient().send(request.header("authorization", "Bearer " + token).build(), BodyHandlers.ofString());
      JsonNode told = JSON.readTree(reply.body());
      if (reply.statusCode() == 200) {
        answer.putObject("ok").put("user_id", told.required("data").required("user_id").asText());
      } else {
        String logid = reply.headers().firstValue("x-tt-logid").orElse("");
        ObjectNode refused = answer.putObject("err").put("kind", "api").put("code", told.path("code").asText());
        refused.put("http_status", reply.statusCode()).put("logid", logid).put("message", "refused");
      }
    } catch (JsonProcessingException | IllegalArgumentException why) {
      answer.putObject("err").put("kind", "parse").put("message", why.toString());
    } catch (IOException | InterruptedException why) {
      answer.putObject("err").put("kind", "transport").put("message", why.toString());
    }
  }

  public static void main(String[] args) throws IOException {
    var lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    String base = null;
    for (String line; (line = lines.readLine()) != null; ) {
      ObjectNode answer = JSON.createObjectNode().putNull("id");
      try {
        JsonNode asked = JSON.readTree(line), given = asked.path("args");
        answer.set("id", asked.get("id"));
        String op = asked.required("op").asText();
        if (op.equals("exit")) return;
        if (op.equals("hello")) {
          ObjectNode about = answer.putObject("ok").put("protocol", 1).put("name", "first").put("version", "1");
          about.put("language", "java").put("runtime", System.getProperty("java.version")).putArray("caps").add("api");
        } else if (op.equals("case")) {
          base = given.required("base_url").asText();
          answer.putObject("ok");
        } else if (op.equals("api.call") && base != null && given.has("token")) {
          whoami(base, given.get("token").asText(), answer);
        } else {
          answer.put("unsupported", "the library has no call for it");
        }
      } catch (JsonProcessingException | IllegalArgumentException why) { // a line that cannot be
        answer.putObject("err").put("kind", "protocol").put("message", why.toString());
      }
      System.out.println(answer);
    }
  }
}
