// A tour of tollgate with grpc-js: node out/tour.js ADDRESS PROTOS
import { randomUUID } from "node:crypto";
import * as grpc from "@grpc/grpc-js";
import { loadSync, type MessageTypeDefinition, type Options } from "@grpc/proto-loader";
import type { ProtoGrpcType as DataProtos } from "./gen/data_service";
import type { ProtoGrpcType as MetricsProtos } from "./gen/metrics_service";
import type { BadRequest__Output as BadRequest } from "./gen/google/rpc/BadRequest";
import type { ErrorInfo__Output as ErrorInfo } from "./gen/google/rpc/ErrorInfo";
import type { Status__Output as Status } from "./gen/google/rpc/Status";
import type { AttributeValue } from "./gen/tollgate/v1/AttributeValue";
import type { DeleteResponse__Output as Deleted } from "./gen/tollgate/v1/DeleteResponse";
import type { GetCallMetricsResponse__Output as Call } from "./gen/tollgate/v1/GetCallMetricsResponse";
import type { GetResponse__Output as Found } from "./gen/tollgate/v1/GetResponse";
import type { GetTotalMetricsResponse__Output as Totals } from "./gen/tollgate/v1/GetTotalMetricsResponse";
import type { QueryResponse__Output as Page } from "./gen/tollgate/v1/QueryResponse";
import type { SaveResponse__Output as Saved } from "./gen/tollgate/v1/SaveResponse";

const [address, protos] = process.argv.slice(2);
// the same options as those of proto-loader-gen-types
const loading: Options = { keepCase: true, longs: Number, enums: String, defaults: true, oneofs: true };
const files = ["data_service", "metrics_service"].map((name) => `tollgate/v1/${name}.proto`);
const definitions = loadSync([...files, "google/rpc/error_details.proto"], { ...loading, includeDirs: [protos] });
const { tollgate } = grpc.loadPackageDefinition(definitions) as unknown as DataProtos & MetricsProtos;

const DATA = "tollgate.v1.DataService";
// retries reads when the server is unavailable, but not writes
const serviceConfig = {
  methodConfig: [
    { name: [{ service: DATA }], timeout: "10s" },
    {
      name: ["Get", "Query", "Scan"].map((method) => ({ service: DATA, method })),
      timeout: "10s",
      retryPolicy: {
        maxAttempts: 4,
        initialBackoff: "0.1s",
        maxBackoff: "2s",
        backoffMultiplier: 2,
        retryableStatusCodes: ["UNAVAILABLE"],
      },
    },
  ],
};
// the server's limits.message_bytes; the default of gRPC is 4 MiB
const messageBytes = 32 * 1024 * 1024;
const options = {
  "grpc.service_config": JSON.stringify(serviceConfig),
  "grpc.max_receive_message_length": messageBytes,
  "grpc.max_send_message_length": messageBytes,
};
const credentials = grpc.credentials.createInsecure();
const data = new tollgate.v1.DataService(address, credentials, options);
const metrics = new tollgate.v1.MetricsService(address, credentials, options);

/** Metadata that bills a call to the session. */
function session(more: { [name: string]: string } = {}): grpc.Metadata {
  return grpc.Metadata.fromHttp2Headers({ "tollgate-session": "grpc-js-tour", ...more });
}

const text = (value: string): AttributeValue => ({ s: value });
const key = (pk: string, sk: string) => ({ pk: text(pk), sk: text(sk) });

/** A unary call as a promise of the response and a function that returns the figures of its bill. */
function unary<Response>(start: (callback: grpc.requestCallback<Response>) => grpc.ClientUnaryCall) {
  return new Promise<{ response: Response; figure: (name: string) => string }>((resolve, reject) => {
    let received: Response;
    const call = start((error, response) => (error ? reject(error) : (received = response!)));
    // the trailers come with the status, after the response
    call.on("status", (status) => resolve({ response: received, figure: figures(status.metadata) }));
  });
}

function figures(trailers: grpc.Metadata) {
  return (name: string) => String(trailers.get(`tollgate-${name}`)[0]);
}

function decode<Message>(type: string, bytes: Buffer): Message {
  return (definitions[type] as MessageTypeDefinition<object, object>).deserialize(bytes) as Message;
}

/** The code and reason of an error, and the invalid fields. */
function reason(error: grpc.ServiceError): string {
  const words = [grpc.status[error.code]];
  const [bytes] = error.metadata.get("grpc-status-details-bin");
  const status = decode<Status>("google.rpc.Status", Buffer.from(bytes ?? ""));
  for (const { type_url, value } of status.details) {
    const type = type_url.split("/")[1];
    if (type === "google.rpc.ErrorInfo") words.push(decode<ErrorInfo>(type, value).reason);
    if (type === "google.rpc.BadRequest") {
      words.push(...decode<BadRequest>(type, value).field_violations.map((violation) => violation.field));
    }
  }
  return words.join(" ");
}

async function saveAndGet() {
  const ada = { ...key("USER#1", "PROFILE"), name: text("Ada"), age: { n: "36" }, ssn: text("123-45-6789") };
  const { figure } = await unary<Saved>((done) => data.Save({ model: "User", item: ada }, session(), done));
  console.log(`save: ${figure("kms-calls")} KMS call, ${figure("wcu")} write unit, $${figure("cost-usd")}`);

  // a deadline for this call only; the server applies it to every AWS request
  const request = { model: "User", key: key("USER#1", "PROFILE") };
  const deadline = Date.now() + 5_000;
  const read = await unary<Found>((done) => data.Get(request, session(), { deadline }, done));
  const name = read.response.item["name"].s;
  console.log(`get: ${name}, ${read.figure("kms-calls")} KMS call, ${read.figure("rcu")} read units`);
}

async function query() {
  const key_condition = { text: "pk = :pk", values: { ":pk": text("USER#1") } };
  const stream = data.Query({ model: "User", key_condition, fields: ["name", "age"] }, session());
  // the trailers of a stream come with its status
  const ended = new Promise<grpc.StatusObject>((resolve) => stream.on("status", resolve));
  let items = 0;
  for await (const page of stream as AsyncIterable<Page>) {
    // a result with an error could not be read; the others can
    items += page.results.filter((result) => !result.error).length;
  }
  const figure = figures((await ended).metadata);
  console.log(`query: ${items} item, ${figure("kms-calls")} KMS calls, ${figure("rcu")} read units`);
}

async function failures() {
  const wrong = { pk: text("USER#1"), age: text("old") };
  await unary<Saved>((done) => data.Save({ model: "User", item: wrong }, session(), done)).catch((error) =>
    console.log("wrong item:", reason(error)),
  );
  const missing = { model: "User", key: key("USER#0", "PROFILE") };
  await unary<Found>((done) => data.Get(missing, session(), done)).catch((error) =>
    console.log("missing item:", reason(error)),
  );
}

/** The bill of a call whose trailers were lost, by the id that the caller gave it. */
async function billOfLostCall() {
  const request_id = randomUUID();
  const named = session({ "tollgate-request-id": request_id });
  const request = { model: "User", key: key("USER#1", "PROFILE") };
  await unary<Deleted>((done) => data.Delete(request, named, done));
  const { response } = await unary<Call>((done) => metrics.GetCallMetrics({ request_id }, done));
  console.log(`lost call: ${response.rpc}, ${response.metrics?.total_wcu} write unit`);
}

async function object() {
  const content = { object: { data: Buffer.alloc(5 * 1024 * 1024), name: "report.bin" } };
  const item = { ...key("DOC#1", "v1"), content };
  await unary<Saved>((done) => data.Save({ model: "Document", item }, session(), done));
  const request = { model: "Document", key: key("DOC#1", "v1"), include_objects: ["content"] };
  const { response } = await unary<Found>((done) => data.Get(request, session(), done));
  console.log("object:", response.item["content"].object?.data?.length, "bytes");
}

async function main() {
  await saveAndGet();
  await query();
  await failures();
  await billOfLostCall();
  await object();
  const { response } = await unary<Totals>((done) => metrics.GetTotalMetrics({ session: "grpc-js-tour" }, done));
  const { call_count, failed_call_count, kms_calls } = response.total!;
  console.log(`session: ${call_count} calls, ${failed_call_count} failed, ${kms_calls} KMS calls`);
  data.close();
  metrics.close();
}

void main();
