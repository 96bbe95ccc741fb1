from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class LoginRequest(_message.Message):
    __slots__ = ("user", "password")
    USER_FIELD_NUMBER: _ClassVar[int]
    PASSWORD_FIELD_NUMBER: _ClassVar[int]
    user: str
    password: str
    def __init__(self, user: _Optional[str] = ..., password: _Optional[str] = ...) -> None: ...

class LoginReply(_message.Message):
    __slots__ = ("token", "seconds")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    token: str
    seconds: int
    def __init__(self, token: _Optional[str] = ..., seconds: _Optional[int] = ...) -> None: ...

class ChangeRequest(_message.Message):
    __slots__ = ("user", "add", "password", "remove", "grant", "revoke")
    USER_FIELD_NUMBER: _ClassVar[int]
    ADD_FIELD_NUMBER: _ClassVar[int]
    PASSWORD_FIELD_NUMBER: _ClassVar[int]
    REMOVE_FIELD_NUMBER: _ClassVar[int]
    GRANT_FIELD_NUMBER: _ClassVar[int]
    REVOKE_FIELD_NUMBER: _ClassVar[int]
    user: str
    add: AddUser
    password: str
    remove: bool
    grant: GrantRight
    revoke: RevokeRight
    def __init__(self, user: _Optional[str] = ..., add: _Optional[_Union[AddUser, _Mapping]] = ..., password: _Optional[str] = ..., remove: bool = ..., grant: _Optional[_Union[GrantRight, _Mapping]] = ..., revoke: _Optional[_Union[RevokeRight, _Mapping]] = ...) -> None: ...

class AddUser(_message.Message):
    __slots__ = ("password", "role")
    PASSWORD_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    password: str
    role: str
    def __init__(self, password: _Optional[str] = ..., role: _Optional[str] = ...) -> None: ...

class GrantRight(_message.Message):
    __slots__ = ("right", "table")
    RIGHT_FIELD_NUMBER: _ClassVar[int]
    TABLE_FIELD_NUMBER: _ClassVar[int]
    right: str
    table: str
    def __init__(self, right: _Optional[str] = ..., table: _Optional[str] = ...) -> None: ...

class RevokeRight(_message.Message):
    __slots__ = ("table",)
    TABLE_FIELD_NUMBER: _ClassVar[int]
    table: str
    def __init__(self, table: _Optional[str] = ...) -> None: ...

class ChangeReply(_message.Message):
    __slots__ = ("index",)
    INDEX_FIELD_NUMBER: _ClassVar[int]
    index: int
    def __init__(self, index: _Optional[int] = ...) -> None: ...

class ListRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListReply(_message.Message):
    __slots__ = ("json",)
    JSON_FIELD_NUMBER: _ClassVar[int]
    json: str
    def __init__(self, json: _Optional[str] = ...) -> None: ...
