// A tour of tollgate in Java: mvn compile exec:java -Dexec.args=ADDRESS
package tour;

import com.google.protobuf.Any;
import com.google.protobuf.ByteString;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import io.grpc.ClientInterceptor;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import io.grpc.stub.MetadataUtils;
import io.tollgate.v1.AttributeValue;
import io.tollgate.v1.DataServiceGrpc;
import io.tollgate.v1.DataServiceGrpc.DataServiceBlockingStub;
import io.tollgate.v1.DeleteRequest;
import io.tollgate.v1.Expression;
import io.tollgate.v1.GetCallMetricsRequest;
import io.tollgate.v1.GetRequest;
import io.tollgate.v1.GetTotalMetricsRequest;
import io.tollgate.v1.MetricsServiceGrpc;
import io.tollgate.v1.MetricsServiceGrpc.MetricsServiceBlockingStub;
import io.tollgate.v1.Object;
import io.tollgate.v1.QueryRequest;
import io.tollgate.v1.SaveRequest;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.Stream;

public final class Tour {
  private static final String DATA = "tollgate.v1.DataService";
  // the server's limits.message_bytes; the default of gRPC is 4 MiB
  private static final int MESSAGE_BYTES = 32 * 1024 * 1024;

  private final DataServiceBlockingStub data;
  private final MetricsServiceBlockingStub metrics;

  private Tour(ManagedChannel channel) {
    // every call of this stub is billed to the session
    var session = MetadataUtils.newAttachHeadersInterceptor(header("tollgate-session", "java-tour"));
    data = DataServiceGrpc.newBlockingStub(channel).withInterceptors(session);
    metrics = MetricsServiceGrpc.newBlockingStub(channel);
  }

  public static void main(String[] arguments) throws Exception {
    var channel =
        Grpc.newChannelBuilder(arguments[0], InsecureChannelCredentials.create())
            .defaultServiceConfig(serviceConfig())
            .enableRetry()
            .maxInboundMessageSize(MESSAGE_BYTES)
            .build();
    try {
      new Tour(channel).run();
    } finally {
      channel.shutdown().awaitTermination(5, TimeUnit.SECONDS);
    }
  }

  /** Retries reads when the server is unavailable, but not writes. */
  private static Map<String, ?> serviceConfig() {
    var reads = Stream.of("Get", "Query", "Scan").map(name -> Map.of("service", DATA, "method", name)).toList();
    // numbers in a service config are doubles
    var retry =
        Map.of(
            "maxAttempts", 4.0,
            "initialBackoff", "0.1s",
            "maxBackoff", "2s",
            "backoffMultiplier", 2.0,
            "retryableStatusCodes", List.of("UNAVAILABLE"));
    var every = Map.of("name", List.of(Map.of("service", DATA)), "timeout", "10s");
    var read = Map.of("name", reads, "timeout", "10s", "retryPolicy", retry);
    return Map.of("methodConfig", List.of(every, read));
  }

  private void run() throws InvalidProtocolBufferException {
    saveAndGet();
    query();
    failures();
    billOfLostCall();
    object();
    var total = metrics.getTotalMetrics(GetTotalMetricsRequest.newBuilder().setSession("java-tour").build()).getTotal();
    System.out.printf(
        "session: %d calls, %d failed, %d KMS calls%n",
        total.getCallCount(), total.getFailedCallCount(), total.getKmsCalls());
  }

  private void saveAndGet() {
    var ada = new HashMap<>(key("USER#1", "PROFILE"));
    ada.put("name", text("Ada"));
    ada.put("age", AttributeValue.newBuilder().setN("36").build());
    ada.put("ssn", text("123-45-6789"));
    var bill = new Bill();
    data.withInterceptors(bill.interceptor()).save(SaveRequest.newBuilder().setModel("User").putAllItem(ada).build());
    System.out.printf(
        "save: %s KMS call, %s write unit, $%s%n",
        bill.figure("kms-calls"), bill.figure("wcu"), bill.figure("cost-usd"));

    // a deadline for this call only; the server applies it to every AWS request
    var request = GetRequest.newBuilder().setModel("User").putAllKey(key("USER#1", "PROFILE")).build();
    var found = data.withDeadlineAfter(5, TimeUnit.SECONDS).withInterceptors(bill.interceptor()).get(request);
    System.out.printf(
        "get: %s, %s KMS call, %s read units%n",
        found.getItemOrThrow("name").getS(), bill.figure("kms-calls"), bill.figure("rcu"));
  }

  private void query() {
    var condition = Expression.newBuilder().setText("pk = :pk").putValues(":pk", text("USER#1"));
    var request =
        QueryRequest.newBuilder()
            .setModel("User")
            .setKeyCondition(condition)
            .addAllFields(List.of("name", "age"))
            .build();
    var bill = new Bill();
    var pages = data.withInterceptors(bill.interceptor()).query(request);
    var items = 0;
    while (pages.hasNext()) {
      // a result with an error could not be read; the others can
      items += pages.next().getResultsList().stream().filter(result -> !result.hasError()).count();
    }
    // the trailers of a stream are available after its end
    System.out.printf(
        "query: %d item, %s KMS calls, %s read units%n", items, bill.figure("kms-calls"), bill.figure("rcu"));
  }

  private void failures() throws InvalidProtocolBufferException {
    try {
      data.save(
          SaveRequest.newBuilder()
              .setModel("User")
              .putItem("pk", text("USER#1"))
              .putItem("age", text("old"))
              .build());
    } catch (StatusRuntimeException error) {
      System.out.println("wrong item: " + reason(error));
    }
    try {
      data.get(GetRequest.newBuilder().setModel("User").putAllKey(key("USER#0", "PROFILE")).build());
    } catch (StatusRuntimeException error) {
      System.out.println("missing item: " + reason(error));
    }
  }

  /** The bill of a call whose trailers were lost, by the id that the caller gave it. */
  private void billOfLostCall() {
    var id = UUID.randomUUID().toString();
    var named = MetadataUtils.newAttachHeadersInterceptor(header("tollgate-request-id", id));
    data.withInterceptors(named)
        .delete(DeleteRequest.newBuilder().setModel("User").putAllKey(key("USER#1", "PROFILE")).build());
    var call = metrics.getCallMetrics(GetCallMetricsRequest.newBuilder().setRequestId(id).build());
    System.out.printf("lost call: %s, %.0f write unit%n", call.getRpc(), call.getMetrics().getTotalWcu());
  }

  private void object() {
    var content = Object.newBuilder().setData(ByteString.copyFrom(new byte[5 * 1024 * 1024])).setName("report.bin");
    data.save(
        SaveRequest.newBuilder()
            .setModel("Document")
            .putAllItem(key("DOC#1", "v1"))
            .putItem("content", AttributeValue.newBuilder().setObject(content).build())
            .build());
    var found =
        data.get(
            GetRequest.newBuilder()
                .setModel("Document")
                .putAllKey(key("DOC#1", "v1"))
                .addIncludeObjects("content")
                .build());
    System.out.println("object: " + found.getItemOrThrow("content").getObject().getData().size() + " bytes");
  }

  /** The code and reason of an error, and the invalid fields. */
  private static String reason(StatusRuntimeException error) throws InvalidProtocolBufferException {
    var words = new StringBuilder(error.getStatus().getCode().name());
    for (Any detail : StatusProto.fromThrowable(error).getDetailsList()) {
      if (detail.is(ErrorInfo.class)) {
        words.append(' ').append(detail.unpack(ErrorInfo.class).getReason());
      }
      if (detail.is(BadRequest.class)) {
        detail
            .unpack(BadRequest.class)
            .getFieldViolationsList()
            .forEach(violation -> words.append(' ').append(violation.getField()));
      }
    }
    return words.toString();
  }

  private static AttributeValue text(String value) {
    return AttributeValue.newBuilder().setS(value).build();
  }

  private static Map<String, AttributeValue> key(String pk, String sk) {
    return Map.of("pk", text(pk), "sk", text(sk));
  }

  private static Metadata header(String name, String value) {
    var metadata = new Metadata();
    metadata.put(Metadata.Key.of(name, Metadata.ASCII_STRING_MARSHALLER), value);
    return metadata;
  }

  /** The trailers of the last call of a stub, which contain the bill. */
  private static final class Bill {
    private final AtomicReference<Metadata> headers = new AtomicReference<>();
    private final AtomicReference<Metadata> trailers = new AtomicReference<>();

    ClientInterceptor interceptor() {
      return MetadataUtils.newCaptureMetadataInterceptor(headers, trailers);
    }

    String figure(String name) {
      return trailers.get().get(Metadata.Key.of("tollgate-" + name, Metadata.ASCII_STRING_MARSHALLER));
    }
  }
}
