"""Nodes as the operator's commands reach them: an address, and how the URL says to speak to it."""

from __future__ import annotations

from typing import Any

import grpc

from raftsql_driver.address import Address, parse
from raftsql_driver.calls import Options, channel, credentials
from raftsql_driver.errors import Error

OPTIONS: Options = (
    ("grpc.enable_http_proxy", 0),
    ("grpc.max_receive_message_length", 4 << 20),
)


class BadUrl(Exception):
    """It can't be read, or names files that can't; what is wrong with it."""


class Place(str):
    """host:port. What else the URL says goes with it, and is shown nowhere."""

    __slots__ = ("way",)
    way: Address

    def __new__(cls, node: str, way: Address) -> Place:
        """The same node, spoken to in this way."""
        made = super().__new__(cls, node)
        made.way = way
        return made


def places(url: str) -> list[Place]:
    """The nodes that a URL, or a bare host:port, names."""
    try:
        address = parse(url)
        if address.tls:
            credentials(address)  # So that files which can't be read are told of at once.
    except Error as error:
        raise BadUrl(str(error)) from error
    return [Place(node, address) for node in address.nodes]


def beside(found: Any, asked: str) -> Place:
    """A node that another one has named, spoken to as that one was."""
    return Place(str(found), way_to(asked))


def way_to(place: str) -> Address:
    """How to speak to a node: plainly, where only its address is known."""
    return place.way if isinstance(place, Place) else Address((place,))


def opened(place: str) -> grpc.Channel:
    """A channel to a node."""
    return channel(place, way_to(place), OPTIONS)
