// A tour of tollgate with Connect: node out/tour.js ADDRESS
import { randomUUID } from "node:crypto";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient, type CallOptions, type Interceptor } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { BadRequestSchema, ErrorInfoSchema } from "./gen/google/rpc/error_details_pb.js";
import { DataService } from "./gen/tollgate/v1/data_service_pb.js";
import { MetricsService } from "./gen/tollgate/v1/metrics_service_pb.js";
import type { AttributeValueSchema } from "./gen/tollgate/v1/value_pb.js";

// Connect does not support service configs. Retries unary reads when the server is unavailable, but not writes.
const retry: Interceptor = (next) => async (request) => {
  for (let attempt = 1; ; attempt++) {
    try {
      return await next(request);
    } catch (error) {
      const unavailable = ConnectError.from(error).code === Code.Unavailable;
      if (!unavailable || request.method.name !== "Get" || attempt === 4) throw error;
      await new Promise((wake) => setTimeout(wake, Math.random() * 100 * 2 ** attempt));
    }
  }
};

// every call is billed to the session
const session: Interceptor = (next) => (request) => {
  request.header.set("tollgate-session", "connect-tour");
  return next(request);
};

const transport = createGrpcTransport({
  baseUrl: `http://${process.argv[2]}`,
  interceptors: [session, retry],
  defaultTimeoutMs: 10_000,
  // the server's limits.message_bytes; the default of Connect is larger
  readMaxBytes: 32 * 1024 * 1024,
  writeMaxBytes: 32 * 1024 * 1024,
});
const data = createClient(DataService, transport);
const metrics = createClient(MetricsService, transport);

type Value = MessageInitShape<typeof AttributeValueSchema>;
type Item = { [name: string]: Value };
const text = (value: string): Value => ({ kind: { case: "s", value } });
const number = (value: string): Value => ({ kind: { case: "n", value } });
const key = (pk: string, sk: string): Item => ({ pk: text(pk), sk: text(sk) });

/** Call options that keep the trailers, which contain the bill. */
function billed(options: CallOptions = {}) {
  const bill = { trailers: new Headers(), figure: (name: string) => bill.trailers.get(`tollgate-${name}`) };
  return { bill, options: { ...options, onTrailer: (trailers: Headers) => void (bill.trailers = trailers) } };
}

/** The code and reason of an error, and the invalid fields. */
function reason(error: unknown): string {
  const failure = ConnectError.from(error);
  const [info] = failure.findDetails(ErrorInfoSchema);
  const wrong = failure.findDetails(BadRequestSchema).flatMap((detail) => detail.fieldViolations);
  return [Code[failure.code], info?.reason, ...wrong.map((violation) => violation.field)].join(" ");
}

async function saveAndGet() {
  const saved = billed();
  const ada = { ...key("USER#1", "PROFILE"), name: text("Ada"), age: number("36"), ssn: text("123-45-6789") };
  await data.save({ model: "User", item: ada }, saved.options);
  const { figure } = saved.bill;
  console.log(`save: ${figure("kms-calls")} KMS call, ${figure("wcu")} write unit, $${figure("cost-usd")}`);

  // a deadline for this call only; the server applies it to every AWS request
  const read = billed({ timeoutMs: 5_000 });
  const found = await data.get({ model: "User", key: key("USER#1", "PROFILE") }, read.options);
  const name = found.item["name"].kind.value;
  console.log(`get: ${name}, ${read.bill.figure("kms-calls")} KMS call, ${read.bill.figure("rcu")} read units`);
}

async function query() {
  const { bill, options } = billed();
  const keyCondition = { text: "pk = :pk", values: { ":pk": text("USER#1") } };
  let items = 0;
  for await (const page of data.query({ model: "User", keyCondition, fields: ["name", "age"] }, options)) {
    // a result with an error could not be read; the others can
    items += page.results.filter((result) => !result.error).length;
  }
  // the trailers of a stream are available after its end
  console.log(`query: ${items} item, ${bill.figure("kms-calls")} KMS calls, ${bill.figure("rcu")} read units`);
}

async function failures() {
  const wrong = { pk: text("USER#1"), age: text("old") };
  await data.save({ model: "User", item: wrong }).catch((error) => console.log("wrong item:", reason(error)));
  const missing = key("USER#0", "PROFILE");
  await data.get({ model: "User", key: missing }).catch((error) => console.log("missing item:", reason(error)));
}

/** The bill of a call whose trailers were lost, by the id that the caller gave it. */
async function billOfLostCall() {
  const requestId = randomUUID();
  const headers = { "tollgate-request-id": requestId };
  await data.delete({ model: "User", key: key("USER#1", "PROFILE") }, { headers });
  const call = await metrics.getCallMetrics({ requestId });
  console.log(`lost call: ${call.rpc}, ${call.metrics?.totalWcu} write unit`);
}

async function object() {
  const report = { data: new Uint8Array(5 * 1024 * 1024), name: "report.bin" };
  const content: Value = { kind: { case: "object", value: report } };
  await data.save({ model: "Document", item: { ...key("DOC#1", "v1"), content } });
  const found = await data.get({ model: "Document", key: key("DOC#1", "v1"), includeObjects: ["content"] });
  const { kind } = found.item["content"];
  console.log("object:", kind.case === "object" && kind.value.data?.length, "bytes");
}

await saveAndGet();
await query();
await failures();
await billOfLostCall();
await object();
const { total } = await metrics.getTotalMetrics({ session: "connect-tour" });
console.log(`session: ${total?.callCount} calls, ${total?.failedCallCount} failed, ${total?.kmsCalls} KMS calls`);
