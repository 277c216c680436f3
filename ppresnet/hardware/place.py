"""Which of several processes this one is, as Paddle's launcher says in the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """One of the processes of a data-parallel run.

    Attributes:
        rank: number of this process, from 0.
        size: processes of the run, on all machines.
        here: processes of the run on this machine, which share its cores.
    """

    rank: int = 0
    size: int = 1
    here: int = 1


def place(environment: Mapping[str, str] = os.environ) -> Place:
    """Return the place of this process; without a launcher it is the only one.

    Both launchers of Paddle (2.6 to 3.3) set PADDLE_TRAINER_ID and PADDLE_TRAINERS_NUM; how many processes share the
    machine is told by the newer one only, and the endpoints say so with either.
    """
    rank, size = environment.get("PADDLE_TRAINER_ID", ""), environment.get("PADDLE_TRAINERS_NUM", "")
    if not (rank.isdecimal() and size.isdecimal() and int(size) > 1):
        return Place()
    told = environment.get("PADDLE_LOCAL_SIZE", "")
    if told.isdecimal():
        return Place(int(rank), int(size), max(1, int(told)))
    host = environment.get("PADDLE_CURRENT_ENDPOINT", "").rpartition(":")[0]
    hosts = [end.rpartition(":")[0] for end in environment.get("PADDLE_TRAINER_ENDPOINTS", "").split(",")]
    return Place(int(rank), int(size), max(1, hosts.count(host)))
