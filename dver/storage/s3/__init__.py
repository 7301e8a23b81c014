"""S3: the wire, the signature, the credentials, and the storage made of them.

Spoken over the standard library's HTTP client, since the safety of a remote rests on facts that
ready-made clients hide: whether a listing really was one, which bytes a range answer holds, what a
404 was about. ``docs/design/s3.md`` says what was compared and measured.
"""

from dver.storage.s3.settings import S3Settings
from dver.storage.s3.storage import S3Storage

__all__ = ["S3Settings", "S3Storage"]
