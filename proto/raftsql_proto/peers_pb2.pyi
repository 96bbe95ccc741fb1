from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PeerHello(_message.Message):
    __slots__ = ("protocol", "cluster", "node", "identity", "fingerprint", "address", "target", "version")
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    protocol: int
    cluster: int
    node: int
    identity: str
    fingerprint: str
    address: str
    target: int
    version: str
    def __init__(self, protocol: _Optional[int] = ..., cluster: _Optional[int] = ..., node: _Optional[int] = ..., identity: _Optional[str] = ..., fingerprint: _Optional[str] = ..., address: _Optional[str] = ..., target: _Optional[int] = ..., version: _Optional[str] = ...) -> None: ...

class PeerVerdict(_message.Message):
    __slots__ = ("accepted", "reason", "identity", "removed")
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    REMOVED_FIELD_NUMBER: _ClassVar[int]
    accepted: bool
    reason: str
    identity: str
    removed: bool
    def __init__(self, accepted: bool = ..., reason: _Optional[str] = ..., identity: _Optional[str] = ..., removed: bool = ...) -> None: ...

class PeerBatch(_message.Message):
    __slots__ = ("hello", "messages", "check")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    CHECK_FIELD_NUMBER: _ClassVar[int]
    hello: PeerHello
    messages: _containers.RepeatedCompositeFieldContainer[PeerMessage]
    check: int
    def __init__(self, hello: _Optional[_Union[PeerHello, _Mapping]] = ..., messages: _Optional[_Iterable[_Union[PeerMessage, _Mapping]]] = ..., check: _Optional[int] = ...) -> None: ...

class PeerMessage(_message.Message):
    __slots__ = ("term", "append", "append_accepted", "append_rejected", "heartbeat", "heartbeat_reply", "vote_request", "vote_reply", "timeout_now", "read_index_request", "read_index_reply", "removed")
    TERM_FIELD_NUMBER: _ClassVar[int]
    APPEND_FIELD_NUMBER: _ClassVar[int]
    APPEND_ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    APPEND_REJECTED_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_REPLY_FIELD_NUMBER: _ClassVar[int]
    VOTE_REQUEST_FIELD_NUMBER: _ClassVar[int]
    VOTE_REPLY_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_NOW_FIELD_NUMBER: _ClassVar[int]
    READ_INDEX_REQUEST_FIELD_NUMBER: _ClassVar[int]
    READ_INDEX_REPLY_FIELD_NUMBER: _ClassVar[int]
    REMOVED_FIELD_NUMBER: _ClassVar[int]
    term: int
    append: Append
    append_accepted: AppendAccepted
    append_rejected: AppendRejected
    heartbeat: Heartbeat
    heartbeat_reply: HeartbeatReply
    vote_request: VoteRequest
    vote_reply: VoteReply
    timeout_now: TimeoutNow
    read_index_request: ReadIndexRequest
    read_index_reply: ReadIndexReply
    removed: Removed
    def __init__(self, term: _Optional[int] = ..., append: _Optional[_Union[Append, _Mapping]] = ..., append_accepted: _Optional[_Union[AppendAccepted, _Mapping]] = ..., append_rejected: _Optional[_Union[AppendRejected, _Mapping]] = ..., heartbeat: _Optional[_Union[Heartbeat, _Mapping]] = ..., heartbeat_reply: _Optional[_Union[HeartbeatReply, _Mapping]] = ..., vote_request: _Optional[_Union[VoteRequest, _Mapping]] = ..., vote_reply: _Optional[_Union[VoteReply, _Mapping]] = ..., timeout_now: _Optional[_Union[TimeoutNow, _Mapping]] = ..., read_index_request: _Optional[_Union[ReadIndexRequest, _Mapping]] = ..., read_index_reply: _Optional[_Union[ReadIndexReply, _Mapping]] = ..., removed: _Optional[_Union[Removed, _Mapping]] = ...) -> None: ...

class Append(_message.Message):
    __slots__ = ("prev_index", "prev_term", "commit", "probe", "entries")
    PREV_INDEX_FIELD_NUMBER: _ClassVar[int]
    PREV_TERM_FIELD_NUMBER: _ClassVar[int]
    COMMIT_FIELD_NUMBER: _ClassVar[int]
    PROBE_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    prev_index: int
    prev_term: int
    commit: int
    probe: int
    entries: bytes
    def __init__(self, prev_index: _Optional[int] = ..., prev_term: _Optional[int] = ..., commit: _Optional[int] = ..., probe: _Optional[int] = ..., entries: _Optional[bytes] = ...) -> None: ...

class AppendAccepted(_message.Message):
    __slots__ = ("match", "probe")
    MATCH_FIELD_NUMBER: _ClassVar[int]
    PROBE_FIELD_NUMBER: _ClassVar[int]
    match: int
    probe: int
    def __init__(self, match: _Optional[int] = ..., probe: _Optional[int] = ...) -> None: ...

class AppendRejected(_message.Message):
    __slots__ = ("prev_index", "hint_index", "hint_term", "probe")
    PREV_INDEX_FIELD_NUMBER: _ClassVar[int]
    HINT_INDEX_FIELD_NUMBER: _ClassVar[int]
    HINT_TERM_FIELD_NUMBER: _ClassVar[int]
    PROBE_FIELD_NUMBER: _ClassVar[int]
    prev_index: int
    hint_index: int
    hint_term: int
    probe: int
    def __init__(self, prev_index: _Optional[int] = ..., hint_index: _Optional[int] = ..., hint_term: _Optional[int] = ..., probe: _Optional[int] = ...) -> None: ...

class Heartbeat(_message.Message):
    __slots__ = ("commit", "probe")
    COMMIT_FIELD_NUMBER: _ClassVar[int]
    PROBE_FIELD_NUMBER: _ClassVar[int]
    commit: int
    probe: int
    def __init__(self, commit: _Optional[int] = ..., probe: _Optional[int] = ...) -> None: ...

class HeartbeatReply(_message.Message):
    __slots__ = ("probe",)
    PROBE_FIELD_NUMBER: _ClassVar[int]
    probe: int
    def __init__(self, probe: _Optional[int] = ...) -> None: ...

class VoteRequest(_message.Message):
    __slots__ = ("last_index", "last_term", "pre", "forced")
    LAST_INDEX_FIELD_NUMBER: _ClassVar[int]
    LAST_TERM_FIELD_NUMBER: _ClassVar[int]
    PRE_FIELD_NUMBER: _ClassVar[int]
    FORCED_FIELD_NUMBER: _ClassVar[int]
    last_index: int
    last_term: int
    pre: bool
    forced: bool
    def __init__(self, last_index: _Optional[int] = ..., last_term: _Optional[int] = ..., pre: bool = ..., forced: bool = ...) -> None: ...

class VoteReply(_message.Message):
    __slots__ = ("granted", "pre")
    GRANTED_FIELD_NUMBER: _ClassVar[int]
    PRE_FIELD_NUMBER: _ClassVar[int]
    granted: bool
    pre: bool
    def __init__(self, granted: bool = ..., pre: bool = ...) -> None: ...

class TimeoutNow(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ReadIndexRequest(_message.Message):
    __slots__ = ("round", "lease")
    ROUND_FIELD_NUMBER: _ClassVar[int]
    LEASE_FIELD_NUMBER: _ClassVar[int]
    round: int
    lease: bool
    def __init__(self, round: _Optional[int] = ..., lease: bool = ...) -> None: ...

class ReadIndexReply(_message.Message):
    __slots__ = ("round", "index")
    ROUND_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    round: int
    index: int
    def __init__(self, round: _Optional[int] = ..., index: _Optional[int] = ...) -> None: ...

class Removed(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class SnapshotPart(_message.Message):
    __slots__ = ("hello", "head", "offset", "data", "crc32c")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    HEAD_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    CRC32C_FIELD_NUMBER: _ClassVar[int]
    hello: PeerHello
    head: SnapshotHead
    offset: int
    data: bytes
    crc32c: int
    def __init__(self, hello: _Optional[_Union[PeerHello, _Mapping]] = ..., head: _Optional[_Union[SnapshotHead, _Mapping]] = ..., offset: _Optional[int] = ..., data: _Optional[bytes] = ..., crc32c: _Optional[int] = ...) -> None: ...

class SnapshotHead(_message.Message):
    __slots__ = ("term", "last_index", "last_term", "membership", "size_bytes", "digest")
    TERM_FIELD_NUMBER: _ClassVar[int]
    LAST_INDEX_FIELD_NUMBER: _ClassVar[int]
    LAST_TERM_FIELD_NUMBER: _ClassVar[int]
    MEMBERSHIP_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    term: int
    last_index: int
    last_term: int
    membership: bytes
    size_bytes: int
    digest: bytes
    def __init__(self, term: _Optional[int] = ..., last_index: _Optional[int] = ..., last_term: _Optional[int] = ..., membership: _Optional[bytes] = ..., size_bytes: _Optional[int] = ..., digest: _Optional[bytes] = ...) -> None: ...

class SnapshotAnswer(_message.Message):
    __slots__ = ("received_bytes", "complete", "refused")
    RECEIVED_BYTES_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    received_bytes: int
    complete: bool
    refused: str
    def __init__(self, received_bytes: _Optional[int] = ..., complete: bool = ..., refused: _Optional[str] = ...) -> None: ...

class JoinRequest(_message.Message):
    __slots__ = ("hello", "learner", "priority")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    LEARNER_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    hello: PeerHello
    learner: bool
    priority: int
    def __init__(self, hello: _Optional[_Union[PeerHello, _Mapping]] = ..., learner: bool = ..., priority: _Optional[int] = ...) -> None: ...

class JoinReply(_message.Message):
    __slots__ = ("accepted", "reason", "cluster", "leader", "node")
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    LEADER_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    accepted: bool
    reason: str
    cluster: int
    leader: str
    node: int
    def __init__(self, accepted: bool = ..., reason: _Optional[str] = ..., cluster: _Optional[int] = ..., leader: _Optional[str] = ..., node: _Optional[int] = ...) -> None: ...

class Introduction(_message.Message):
    __slots__ = ("cluster", "node", "identity", "address", "fingerprint", "expects", "leader")
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    EXPECTS_FIELD_NUMBER: _ClassVar[int]
    LEADER_FIELD_NUMBER: _ClassVar[int]
    cluster: int
    node: int
    identity: str
    address: str
    fingerprint: str
    expects: int
    leader: str
    def __init__(self, cluster: _Optional[int] = ..., node: _Optional[int] = ..., identity: _Optional[str] = ..., address: _Optional[str] = ..., fingerprint: _Optional[str] = ..., expects: _Optional[int] = ..., leader: _Optional[str] = ...) -> None: ...

class ChecksumRequest(_message.Message):
    __slots__ = ("hello", "index")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    hello: PeerHello
    index: int
    def __init__(self, hello: _Optional[_Union[PeerHello, _Mapping]] = ..., index: _Optional[int] = ...) -> None: ...

class ChecksumReply(_message.Message):
    __slots__ = ("checksum", "problem", "damaged")
    CHECKSUM_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    DAMAGED_FIELD_NUMBER: _ClassVar[int]
    checksum: bytes
    problem: str
    damaged: bool
    def __init__(self, checksum: _Optional[bytes] = ..., problem: _Optional[str] = ..., damaged: bool = ...) -> None: ...

class HoldRequest(_message.Message):
    __slots__ = ("hello", "digest", "size_bytes")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    hello: PeerHello
    digest: bytes
    size_bytes: int
    def __init__(self, hello: _Optional[_Union[PeerHello, _Mapping]] = ..., digest: _Optional[bytes] = ..., size_bytes: _Optional[int] = ...) -> None: ...

class HoldReply(_message.Message):
    __slots__ = ("held", "problem")
    HELD_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    held: bool
    problem: str
    def __init__(self, held: bool = ..., problem: _Optional[str] = ...) -> None: ...

class FetchRequest(_message.Message):
    __slots__ = ("hello", "digest", "size_bytes", "offset", "index")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    hello: PeerHello
    digest: bytes
    size_bytes: int
    offset: int
    index: int
    def __init__(self, hello: _Optional[_Union[PeerHello, _Mapping]] = ..., digest: _Optional[bytes] = ..., size_bytes: _Optional[int] = ..., offset: _Optional[int] = ..., index: _Optional[int] = ...) -> None: ...

class FetchPart(_message.Message):
    __slots__ = ("data", "problem", "snapshot")
    DATA_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    problem: str
    snapshot: SnapshotHead
    def __init__(self, data: _Optional[bytes] = ..., problem: _Optional[str] = ..., snapshot: _Optional[_Union[SnapshotHead, _Mapping]] = ...) -> None: ...
