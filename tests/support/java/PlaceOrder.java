import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;

/** Posts bodies with Java's own client as it is by default, one after the other; prints the answers. */
class PlaceOrder {
    public static void main(String[] arguments) throws Exception {
        HttpClient client = HttpClient.newHttpClient();
        for (int number = 1; number < arguments.length; number++) {
            HttpRequest request = HttpRequest.newBuilder(URI.create(arguments[0]))
                .header("content-type", "application/json")
                .POST(BodyPublishers.ofString(arguments[number]))
                .build();
            System.out.println(client.send(request, BodyHandlers.ofString()).body());
        }
    }
}
