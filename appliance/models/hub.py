"""What a model hub publishes about a file: its size and its hash."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from appliance.errors import ModelError
from appliance.models.catalogue import ModelFile, file_digest
from appliance.models.download import download

MAX_SMALL_BYTES = 20_000_000
"""Of a file that the hub keeps in git itself, and not in its large-file storage."""
_TIMEOUT_S = 20.0
_SHA256 = re.compile(r"[0-9a-f]{64}")
_GIT_BLOB = re.compile(r"[0-9a-f]{40}")


def address(file: ModelFile) -> str:
    """Return where *file* is downloaded from."""
    if file.url:
        return file.url
    from huggingface_hub import hf_hub_url

    owner, repository, path = file.hub.split("/", 2)
    return str(hf_hub_url(f"{owner}/{repository}", path, revision=file.revision or "main"))


def published(file: ModelFile, scratch: Path) -> ModelFile:
    """Return *file* with the size, hash and commit that the hub publishes for it.

    For a large file that is the sha256 of its large-file storage. A small one is known to the hub
    by its git hash only (SHA-1 over a header with the size, and the content): it is downloaded to
    *scratch*, compared, and hashed here.

    Raises:
        ModelError: the hub cannot be asked, does not have the file, or does not tell.
        OSError: *scratch* cannot be written.
    """
    found = _metadata(file)
    size, etag, commit = found.size or 0, str(found.etag or ""), str(found.commit_hash or "")
    if size <= 0 or not _GIT_BLOB.fullmatch(commit):
        raise ModelError(f"the hub does not say which version of {file.hub} it has")
    file = replace(file, bytes=size, revision=commit)
    if _SHA256.fullmatch(etag):
        return replace(file, sha256=etag)
    if not _GIT_BLOB.fullmatch(etag) or size > MAX_SMALL_BYTES:
        raise ModelError(f"the hub publishes no sha256 of {file.hub}; give one with --sha256")
    scratch.unlink(missing_ok=True)
    try:
        download(address(file), scratch, size, lambda _: None)
        blob = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
        blob.update(scratch.read_bytes())
        if blob.hexdigest() != etag:
            raise ModelError(f"{file.hub} is not what the hub published (its git hash is wrong)")
        return replace(file, sha256=file_digest(scratch))
    finally:
        scratch.unlink(missing_ok=True)
        scratch.with_name(f"{scratch.name}.etag").unlink(missing_ok=True)


def _metadata(file: ModelFile) -> Any:
    from huggingface_hub import get_hf_file_metadata
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError

    try:
        return get_hf_file_metadata(address(file), timeout=_TIMEOUT_S, token=False)
    except GatedRepoError as error:
        raise ModelError(
            f"{file.hub} is given only to those who accept its licence; download it by hand, "
            "and install it with `luna models pull --from`"
        ) from error
    except HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else "no answer"
        raise ModelError(f"the hub does not hand out {file.hub} (it answered {status})") from error
    except Exception as error:  # of its HTTP library, which is another one from version to version
        raise ModelError(
            f"the hub cannot be asked about {file.hub} ({' '.join(str(error).split())[:200]}); "
            "check the network"
        ) from error
