"""A short tour with asyncio: python tour_async.py ADDRESS"""

import asyncio
import sys

import grpc

from tollgate.v1 import data_service_pb2 as data_pb
from tollgate.v1.data_service_pb2_grpc import DataServiceStub
from tollgate.v1.value_pb2 import Expression
from tour import OPTIONS, SESSION, bill, key, reason, text


async def main(address: str) -> None:
    async with grpc.aio.insecure_channel(address, options=OPTIONS) as channel:
        data = DataServiceStub(channel)

        # many calls on one channel, concurrently
        users = [key(f"USER#{number}", "PROFILE") | {"ssn": text(str(number))} for number in range(1, 11)]
        calls = [data.Save(data_pb.SaveRequest(model="User", item=user), metadata=SESSION) for user in users]
        await asyncio.gather(*calls)
        bills = [bill(await call.trailing_metadata()) for call in calls]
        print("saves:", sum(int(figures["kms-calls"]) for figures in bills), "KMS calls")

        # a stream with a deadline of 5 seconds
        condition = Expression(text="pk = :pk", values={":pk": text("USER#7")})
        request = data_pb.QueryRequest(model="User", key_condition=condition)
        pages = data.Query(request, metadata=SESSION, timeout=5)
        ssns = [result.item["ssn"].s async for page in pages for result in page.results]
        print("query:", *ssns, "for", bill(await pages.trailing_metadata())["kms-calls"], "KMS call")

        try:
            await data.Get(data_pb.GetRequest(model="User", key=key("USER#none", "PROFILE")), metadata=SESSION)
        except grpc.aio.AioRpcError as error:
            print("missing item:", error.code().name, reason(error.trailing_metadata())[0])


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
