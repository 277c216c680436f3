"""A checkpoint that the first process reads and all processes get, so that no other machine needs the folder."""

import json
from pathlib import Path

from ppresnet.checkpoint import Checkpoint, read
from ppresnet.checkpoint.codec import decode, encode
from ppresnet.train.ranks import Ranks


def shared_checkpoint(path: Path | None, ranks: Ranks) -> Checkpoint | None:
    """Return the checkpoint of a step folder, in every process; None where there is none.

    Args:
        path: the folder, of which only the first process needs to know.
        ranks: the processes.

    Raises:
        CheckpointError: it is missing or altered.
    """
    with ranks.together():
        checkpoint = read(path) if ranks.first and path is not None else None
    if ranks.size == 1:
        return checkpoint
    files = encode(checkpoint) if checkpoint is not None else {}
    lengths = json.loads(ranks.from_first(json.dumps({name: len(data) for name, data in files.items()}).encode()))
    data = ranks.from_first(b"".join(files.values()))
    if not lengths:
        return None
    received, start = {}, 0
    for name, length in lengths.items():
        received[name] = data[start : start + length]
        start += length
    return decode(received)
