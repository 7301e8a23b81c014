"""What fsspec's file systems raise, each its own, as dver's errors."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any

from dver.base.errors import (
    AlreadyExists,
    DverError,
    ObjectNotFound,
    RemoteError,
    TransientError,
)

#: What S3 servers say, with whatever status, when the same request may succeed later.
_BUSY = frozenset(("RequestTimeout", "SlowDown", "Throttling", "ThrottlingException"))


@contextlib.contextmanager
def explained(start: str) -> Iterator[None]:
    """Turn whatever an fsspec file system raises into dver's errors, which begin with ``start``."""
    try:
        yield
    except DverError:
        raise
    except FileExistsError as error:
        raise AlreadyExists(f"{start}: it exists") from error
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        if error_code(error) == "NoSuchBucket":
            raise RemoteError(
                f"{start}: the bucket does not exist",
                hint="create it, or correct the remote's url",
            ) from error
        raise ObjectNotFound(f"{start}: it is not there") from error
    except Exception as error:  # every file system has its own
        if error_code(error) in ("PreconditionFailed", "ConditionalRequestConflict"):
            raise AlreadyExists(f"{start}: it exists") from error
        kind = TransientError if _passes(error) else RemoteError
        text = re.sub(r"\?\S+", "?...", str(error)).strip().rstrip(".")
        said = f"{type(error).__name__}: {text}" if text else type(error).__name__
        raise kind(
            f"{start}: {said[:300]}",
            hint="check the remote's url, the network and the credentials with 'dver remote check'",
        ) from error


def error_code(error: BaseException) -> str:
    """Return the code of an S3 error that s3fs has turned into another one."""
    return str(_response(error).get("Error", {}).get("Code", ""))


def _response(error: BaseException) -> dict[str, Any]:
    for one in (error, error.__cause__, error.__context__):
        response = getattr(one, "response", None)
        if isinstance(response, dict):
            return response
    return {}


def _passes(error: BaseException) -> bool:
    """Tell whether the same call may succeed later."""
    # The answer to HEAD has no body, so that its status is all that botocore tells.
    answered = _response(error).get("ResponseMetadata", {}).get("HTTPStatusCode")
    for status in (getattr(error, "status", None), answered):
        if isinstance(status, int):
            return status in (408, 429) or status >= 500 or error_code(error) in _BUSY
    if isinstance(error, (TimeoutError, ConnectionError)):
        return True
    names = {kind.__name__ for kind in type(error).__mro__}
    return bool(
        names
        & {
            "ClientConnectionError",
            "ClientPayloadError",
            "EndpointConnectionError",
            "FSTimeoutError",
            "HTTPClientError",
            "SSHException",
            "ServiceRequestError",
            "ServiceResponseError",
        }
    )
