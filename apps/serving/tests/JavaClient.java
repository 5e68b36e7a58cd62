import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.stream.IntStream;

/** Asks the toy at URL for COUNT different answers, eight at a time, by Java's default client; prints how many were right. */
public class JavaClient {
    static final HttpClient CLIENT = HttpClient.newHttpClient();

    static CompletableFuture<Boolean> ask(URI uri, int number) {
        String seconds = Double.toString(0.001 + number / 1e6);
        HttpRequest request = HttpRequest.newBuilder(uri)
            .header("Content-Type", "application/json")
            .POST(HttpRequest.BodyPublishers.ofString("{\"seconds\": " + seconds + "}"))
            .build();
        return CLIENT.sendAsync(request, HttpResponse.BodyHandlers.ofString())
            .thenApply(answer -> answer.statusCode() == 200 && answer.body().contains("\"slept\":" + seconds + ","));
    }

    static long right(URI uri, int first) {
        List<CompletableFuture<Boolean>> asked =
            IntStream.range(first, first + 8).mapToObj(number -> ask(uri, number)).toList();
        return asked.stream().filter(CompletableFuture::join).count();
    }

    public static void main(String[] arguments) {
        URI uri = URI.create(arguments[0]);
        int count = Integer.parseInt(arguments[1]);
        IntStream firsts = IntStream.iterate(0, first -> first < count, first -> first + 8);
        System.out.println(firsts.mapToLong(first -> right(uri, first)).sum());
    }
}
