"""As much of grpcurl as docs/protocol.md needs, for machines that don't have it.

It knows nothing of raftsql: services and messages come from the node, by reflection, as they do for
the real one, which the page's test takes where it is installed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from google.protobuf.descriptor import MethodDescriptor
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc


def _asked(channel: grpc.Channel, **wanted: str) -> reflection_pb2.ServerReflectionResponse:
    requests = iter([reflection_pb2.ServerReflectionRequest(**wanted)])
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    return next(iter(stub.ServerReflectionInfo(requests)))


def services(channel: grpc.Channel) -> list[str]:
    """What the node serves."""
    found = _asked(channel, list_services="").list_services_response.service
    return sorted(service.name for service in found)


def _pool(channel: grpc.Channel, symbol: str) -> descriptor_pool.DescriptorPool:
    pool = descriptor_pool.DescriptorPool()
    found = _asked(channel, file_containing_symbol=symbol).file_descriptor_response
    for content in reversed(found.file_descriptor_proto):
        pool.Add(descriptor_pb2.FileDescriptorProto.FromString(content))
    return pool


def called(channel: grpc.Channel, method: MethodDescriptor, text: str) -> Iterator[str]:
    """The answers to one request, as JSON."""
    request = message_factory.GetMessageClass(method.input_type)()
    json_format.Parse(text or "{}", request)
    answer = message_factory.GetMessageClass(method.output_type)
    path = f"/{method.containing_service.full_name}/{method.name}"
    kind = channel.unary_stream if method.server_streaming else channel.unary_unary
    call: Any = kind(path, type(request).SerializeToString, answer.FromString)(request, timeout=15)
    for message in call if method.server_streaming else [call]:
        yield json_format.MessageToJson(
            message, indent=2, ensure_ascii=False, preserving_proto_field_name=True
        )


def main(arguments: Sequence[str]) -> int:
    """List services or methods, or call one."""
    parser = argparse.ArgumentParser("grpcurl")
    parser.add_argument("-plaintext", action="store_true", required=True)
    parser.add_argument("-d", default="")
    parser.add_argument("address")
    parser.add_argument("words", nargs="+")
    options = parser.parse_args(arguments)
    with grpc.insecure_channel(options.address) as channel:
        if options.words == ["list"]:
            print("\n".join(services(channel)))
            return 0
        listed = options.words[0] == "list"
        service, _, name = options.words[-1].partition("/")
        found = _pool(channel, service).FindServiceByName(service)
        if listed:
            print("\n".join(sorted(method.full_name for method in found.methods)))
            return 0
        try:
            for text in called(channel, found.methods_by_name[name], options.d):
                print(text)
        except grpc.RpcError as error:
            code = "".join(word.capitalize() for word in error.code().name.split("_"))
            print(f"ERROR:\n  Code: {code}\n  Message: {error.details()}", file=sys.stderr)
            return 64 + error.code().value[0]
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
