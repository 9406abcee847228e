"""What each process of a cluster that encodes is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dupdetect.errors import InputError

__all__ = ["Share", "encoding_share"]


@dataclass(frozen=True, slots=True)
class Share:
    """workers: how many processes encode.  cores, cards: what each of them has for itself."""

    workers: int
    cores: int
    cards: int


def encoding_share(device: str, resources: Mapping[str, float]) -> Share:
    """Return a process for each core, or for each graphics card where `device` is one.

    device: what encodes, see `workers.encoding_device`.  resources: of the cluster, as Ray counts them.
    A process sees no card but its own, so InputError for one that is named by number, and where there is none.
    """
    if device == "cpu":
        return Share(max(1, int(resources.get("CPU", 1))), cores=1, cards=0)
    if device not in ("cuda", "cuda:0"):
        raise InputError(f"On a cluster each worker has one graphics card, and {device} names one. Load for 'cuda'.")
    cards = int(resources.get("GPU", 0))
    if not cards:
        raise InputError(
            "The cluster has no graphics cards. Load the detector without a device, or choose engine='local'."
        )
    return Share(cards, cores=0, cards=1)
