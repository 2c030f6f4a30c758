"""A public gRPC client that has none of Prestage's protos: all that it knows it asks the server.

Usage: reflection.py HOST:PORT. Prints one JSON document.
"""

import json
import sys

import grpc
from google.protobuf import descriptor_pool, json_format, message_factory
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

PATIENCE = 20


def main(address: str) -> None:
    with grpc.insecure_channel(address) as channel:
        grpc.channel_ready_future(channel).result(timeout=PATIENCE)
        database = ProtoReflectionDescriptorDatabase(channel)
        pool = descriptor_pool.DescriptorPool(database)
        services = {
            name: [method.name for method in pool.FindServiceByName(name).methods]
            for name in database.get_services()
            if name.startswith("prestage.")
        }
        others = [name for name in database.get_services() if name not in services]

        method = pool.FindMethodByName("prestage.v1.MediaService.ListBuilds")
        ask = message_factory.GetMessageClass(method.input_type)
        answer = message_factory.GetMessageClass(method.output_type)
        call = channel.unary_unary(
            "/prestage.v1.MediaService/ListBuilds",
            request_serializer=ask.SerializeToString,
            response_deserializer=answer.FromString,
        )
        builds = call(ask(page_size=5), timeout=PATIENCE)

        health = health_pb2_grpc.HealthStub(channel)
        names = ["", *services]
        # The first answers may come before the state was read: watch until each serves.
        status = {}
        for name in names:
            changes = health.Watch(health_pb2.HealthCheckRequest(service=name), timeout=PATIENCE)
            for change in changes:
                status[name] = health_pb2.HealthCheckResponse.ServingStatus.Name(change.status)
                if change.status == health_pb2.HealthCheckResponse.SERVING:
                    changes.cancel()
                    break
        try:
            health.Check(health_pb2.HealthCheckRequest(service="no.such"), timeout=PATIENCE)
            unknown = "OK"
        except grpc.RpcError as error:
            unknown = error.code().name

    document = {
        "services": services,
        "others": sorted(others),
        "builds": json_format.MessageToDict(builds),
        "health": status,
        "unknown_service": unknown,
    }
    print(json.dumps(document))


main(sys.argv[1])
