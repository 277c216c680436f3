"""Files that survive a kill, a full disk and a flipped bit: the only code that renames or extracts."""

from ppresnet.files.archive import Archive, open_zip, safe_member
from ppresnet.files.lock import DirectoryLock
from ppresnet.files.manifest import MANIFEST, manifest_bytes, read_verified, verify_manifest, write_manifest
from ppresnet.files.staging import atomic_write, expect_apart, remove_directory, remove_stale_staging, staged_directory

__all__ = [
    "MANIFEST",
    "Archive",
    "DirectoryLock",
    "atomic_write",
    "expect_apart",
    "manifest_bytes",
    "open_zip",
    "read_verified",
    "remove_directory",
    "remove_stale_staging",
    "safe_member",
    "staged_directory",
    "verify_manifest",
    "write_manifest",
]
