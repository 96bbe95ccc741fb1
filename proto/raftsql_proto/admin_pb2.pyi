from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class StatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class StatusReply(_message.Message):
    __slots__ = ("json",)
    JSON_FIELD_NUMBER: _ClassVar[int]
    json: str
    def __init__(self, json: _Optional[str] = ...) -> None: ...

class MetricsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class MetricsReply(_message.Message):
    __slots__ = ("text",)
    TEXT_FIELD_NUMBER: _ClassVar[int]
    text: str
    def __init__(self, text: _Optional[str] = ...) -> None: ...

class AddMemberRequest(_message.Message):
    __slots__ = ("node", "address", "learner", "priority")
    NODE_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    LEARNER_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    node: int
    address: str
    learner: bool
    priority: int
    def __init__(self, node: _Optional[int] = ..., address: _Optional[str] = ..., learner: bool = ..., priority: _Optional[int] = ...) -> None: ...

class RemoveMemberRequest(_message.Message):
    __slots__ = ("node",)
    NODE_FIELD_NUMBER: _ClassVar[int]
    node: int
    def __init__(self, node: _Optional[int] = ...) -> None: ...

class MembersReply(_message.Message):
    __slots__ = ("json",)
    JSON_FIELD_NUMBER: _ClassVar[int]
    json: str
    def __init__(self, json: _Optional[str] = ...) -> None: ...

class TransferRequest(_message.Message):
    __slots__ = ("node",)
    NODE_FIELD_NUMBER: _ClassVar[int]
    node: int
    def __init__(self, node: _Optional[int] = ...) -> None: ...

class TransferReply(_message.Message):
    __slots__ = ("leader",)
    LEADER_FIELD_NUMBER: _ClassVar[int]
    leader: int
    def __init__(self, leader: _Optional[int] = ...) -> None: ...

class BackupRequest(_message.Message):
    __slots__ = ("stale",)
    STALE_FIELD_NUMBER: _ClassVar[int]
    stale: bool
    def __init__(self, stale: bool = ...) -> None: ...

class BackupPart(_message.Message):
    __slots__ = ("data", "digest", "index", "size_bytes", "copied_percent")
    DATA_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    COPIED_PERCENT_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    digest: bytes
    index: int
    size_bytes: int
    copied_percent: int
    def __init__(self, data: _Optional[bytes] = ..., digest: _Optional[bytes] = ..., index: _Optional[int] = ..., size_bytes: _Optional[int] = ..., copied_percent: _Optional[int] = ...) -> None: ...

class RestorePart(_message.Message):
    __slots__ = ("data", "digest", "last")
    DATA_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    digest: bytes
    last: bool
    def __init__(self, data: _Optional[bytes] = ..., digest: _Optional[bytes] = ..., last: bool = ...) -> None: ...

class RestoreProgress(_message.Message):
    __slots__ = ("doing", "received_bytes", "problems", "index", "absent")
    DOING_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_BYTES_FIELD_NUMBER: _ClassVar[int]
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    ABSENT_FIELD_NUMBER: _ClassVar[int]
    doing: str
    received_bytes: int
    problems: _containers.RepeatedScalarFieldContainer[str]
    index: int
    absent: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, doing: _Optional[str] = ..., received_bytes: _Optional[int] = ..., problems: _Optional[_Iterable[str]] = ..., index: _Optional[int] = ..., absent: _Optional[_Iterable[int]] = ...) -> None: ...

class VerifyRequest(_message.Message):
    __slots__ = ("timeout_ms",)
    TIMEOUT_MS_FIELD_NUMBER: _ClassVar[int]
    timeout_ms: int
    def __init__(self, timeout_ms: _Optional[int] = ...) -> None: ...

class VerifyReply(_message.Message):
    __slots__ = ("equal", "json")
    EQUAL_FIELD_NUMBER: _ClassVar[int]
    JSON_FIELD_NUMBER: _ClassVar[int]
    equal: bool
    json: str
    def __init__(self, equal: bool = ..., json: _Optional[str] = ...) -> None: ...

class CompactRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class CompactReply(_message.Message):
    __slots__ = ("dropped_upto", "durable_upto")
    DROPPED_UPTO_FIELD_NUMBER: _ClassVar[int]
    DURABLE_UPTO_FIELD_NUMBER: _ClassVar[int]
    dropped_upto: int
    durable_upto: int
    def __init__(self, dropped_upto: _Optional[int] = ..., durable_upto: _Optional[int] = ...) -> None: ...
