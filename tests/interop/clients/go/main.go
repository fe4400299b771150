// A tour of tollgate in Go: go run . ADDRESS
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	tollgate "example.com/tour/gen/tollgate/v1"
)

const (
	// the server's limits.message_bytes; the default of gRPC is 4 MiB
	messageBytes = 32 << 20

	// retries reads when the server is unavailable, but not writes
	serviceConfig = `{"methodConfig": [
	  {"name": [{"service": "tollgate.v1.DataService"}], "timeout": "10s"},
	  {"name": [{"service": "tollgate.v1.DataService", "method": "Get"},
	            {"service": "tollgate.v1.DataService", "method": "Query"},
	            {"service": "tollgate.v1.DataService", "method": "Scan"}],
	   "timeout": "10s",
	   "retryPolicy": {"maxAttempts": 4, "initialBackoff": "0.1s", "maxBackoff": "2s",
	                   "backoffMultiplier": 2, "retryableStatusCodes": ["UNAVAILABLE"]}}]}`
)

func connect(address string) (*grpc.ClientConn, error) {
	return grpc.NewClient(address,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultServiceConfig(serviceConfig),
		grpc.WithDefaultCallOptions(
			grpc.MaxCallRecvMsgSize(messageBytes),
			grpc.MaxCallSendMsgSize(messageBytes)))
}

func text(value string) *tollgate.AttributeValue {
	return &tollgate.AttributeValue{Kind: &tollgate.AttributeValue_S{S: value}}
}

func number(value string) *tollgate.AttributeValue {
	return &tollgate.AttributeValue{Kind: &tollgate.AttributeValue_N{N: value}}
}

func key(pk, sk string) map[string]*tollgate.AttributeValue {
	return map[string]*tollgate.AttributeValue{"pk": text(pk), "sk": text(sk)}
}

// one figure of the bill
func figure(trailer metadata.MD, name string) string {
	if values := trailer.Get(name); len(values) > 0 {
		return values[0]
	}
	return "unknown"
}

// the reason of an error, and the invalid fields
func reason(err error) (string, []string) {
	reason, fields := "", []string{}
	for _, detail := range status.Convert(err).Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			reason = detail.Reason
		case *errdetails.BadRequest:
			for _, violation := range detail.FieldViolations {
				fields = append(fields, violation.Field)
			}
		}
	}
	return reason, fields
}

func saveAndGet(ctx context.Context, data tollgate.DataServiceClient) error {
	ada := key("USER#1", "PROFILE")
	ada["name"], ada["age"], ada["ssn"] = text("Ada"), number("36"), text("123-45-6789")
	var bill metadata.MD
	_, err := data.Save(ctx, &tollgate.SaveRequest{Model: "User", Item: ada}, grpc.Trailer(&bill))
	if err != nil {
		return err
	}
	fmt.Printf("save: %s KMS call, %s write unit, $%s\n", figure(bill, "tollgate-kms-calls"),
		figure(bill, "tollgate-wcu"), figure(bill, "tollgate-cost-usd"))

	// a deadline for this call only; the server applies it to every AWS request
	short, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	found, err := data.Get(short, &tollgate.GetRequest{Model: "User", Key: key("USER#1", "PROFILE")},
		grpc.Trailer(&bill))
	if err != nil {
		return err
	}
	fmt.Printf("get: %s, %s KMS call, %s read units\n", found.Item["name"].GetS(),
		figure(bill, "tollgate-kms-calls"), figure(bill, "tollgate-rcu"))
	return nil
}

func query(ctx context.Context, data tollgate.DataServiceClient) error {
	stream, err := data.Query(ctx, &tollgate.QueryRequest{
		Model: "User",
		KeyCondition: &tollgate.Expression{
			Text:   "pk = :pk",
			Values: map[string]*tollgate.AttributeValue{":pk": text("USER#1")},
		},
		Fields: []string{"name", "age"},
	})
	if err != nil {
		return err
	}
	items := 0
	for {
		page, err := stream.Recv()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		for _, result := range page.Results {
			if result.Error != nil { // this item could not be read; the others can
				continue
			}
			items++
		}
	}
	// the trailers of a stream are available after its end
	bill := stream.Trailer()
	fmt.Printf("query: %d item, %s KMS calls, %s read units\n", items,
		figure(bill, "tollgate-kms-calls"), figure(bill, "tollgate-rcu"))
	return nil
}

func failures(ctx context.Context, data tollgate.DataServiceClient) {
	wrong := map[string]*tollgate.AttributeValue{"pk": text("USER#1"), "age": text("old")}
	_, err := data.Save(ctx, &tollgate.SaveRequest{Model: "User", Item: wrong})
	why, fields := reason(err)
	fmt.Println("wrong item:", status.Code(err), why, fields)

	_, err = data.Get(ctx, &tollgate.GetRequest{Model: "User", Key: key("USER#0", "PROFILE")})
	why, _ = reason(err)
	fmt.Println("missing item:", status.Code(err), why)
}

// the bill of a call whose trailers were lost, by the id that the caller gave it
func billOfLostCall(ctx context.Context, data tollgate.DataServiceClient, metrics tollgate.MetricsServiceClient) error {
	id := fmt.Sprintf("go-tour-%d", time.Now().UnixNano())
	named := metadata.AppendToOutgoingContext(ctx, "tollgate-request-id", id)
	removal := &tollgate.DeleteRequest{Model: "User", Key: key("USER#1", "PROFILE")}
	if _, err := data.Delete(named, removal); err != nil {
		return err
	}
	call, err := metrics.GetCallMetrics(ctx, &tollgate.GetCallMetricsRequest{RequestId: id})
	if err != nil {
		return err
	}
	fmt.Printf("lost call: %s, %g write unit\n", call.Rpc, call.Metrics.TotalWcu)
	return nil
}

func object(ctx context.Context, data tollgate.DataServiceClient) error {
	report := key("DOC#1", "v1")
	report["content"] = &tollgate.AttributeValue{Kind: &tollgate.AttributeValue_Object{
		Object: &tollgate.Object{Data: make([]byte, 5<<20), Name: "report.bin"},
	}}
	if _, err := data.Save(ctx, &tollgate.SaveRequest{Model: "Document", Item: report}); err != nil {
		return err
	}
	found, err := data.Get(ctx, &tollgate.GetRequest{
		Model: "Document", Key: key("DOC#1", "v1"), IncludeObjects: []string{"content"},
	})
	if err != nil {
		return err
	}
	fmt.Println("object:", len(found.Item["content"].GetObject().Data), "bytes")
	return nil
}

func run(address string) error {
	connection, err := connect(address)
	if err != nil {
		return err
	}
	defer connection.Close()
	data := tollgate.NewDataServiceClient(connection)
	metrics := tollgate.NewMetricsServiceClient(connection)

	// every call with this context is billed to the session
	ctx := metadata.AppendToOutgoingContext(context.Background(), "tollgate-session", "go-tour")
	if err := saveAndGet(ctx, data); err != nil {
		return err
	}
	if err := query(ctx, data); err != nil {
		return err
	}
	failures(ctx, data)
	if err := billOfLostCall(ctx, data, metrics); err != nil {
		return err
	}
	if err := object(ctx, data); err != nil {
		return err
	}
	session, err := metrics.GetTotalMetrics(ctx, &tollgate.GetTotalMetricsRequest{Session: "go-tour"})
	if err != nil {
		return err
	}
	fmt.Printf("session: %d calls, %d failed, %d KMS calls\n", session.Total.CallCount,
		session.Total.FailedCallCount, session.Total.KmsCalls)
	return nil
}

func main() {
	if err := run(os.Args[1]); err != nil {
		log.Fatal(err)
	}
}
