"""Where encoders run: on the processor, or with torch on a graphics card (extra `train`)."""

from __future__ import annotations

import re

from dupdetect.encoder import Encoder
from dupdetect.encoder.cache import uncached
from dupdetect.errors import InputError, MissingExtraError

__all__ = ["calibrated_as", "check_device", "device_of"]

_CUDA = re.compile(r"cuda(?::(\d{1,3}))?", re.ASCII)


def check_device(device: str) -> None:
    """Raise what is wrong with a device that was asked for; nothing for "cpu", or a graphics card that is there.

    Raises InputError for a name that is none, and where torch finds no such card; MissingExtraError without torch.
    """
    if device == "cpu":
        return
    named = _CUDA.fullmatch(device)
    if named is None:
        raise InputError(f"There is no device {device!r}: it is 'cpu', 'cuda', or 'cuda:1' for the second card.")
    try:
        import torch
    except ImportError:
        raise MissingExtraError("train", f"The device {device!r}", "torch") from None
    if not torch.cuda.is_available():
        what = "was built without CUDA" if torch.version.cuda is None else "finds no graphics card that it can use"
        todo = "Install a build with CUDA" if torch.version.cuda is None else "Check the driver (nvidia-smi)"
        raise InputError(
            f"The device {device!r} is not there: torch {torch.__version__} {what}. {todo}, or leave the device out to "
            "use the processor."
        )
    count = torch.cuda.device_count()
    if int(named[1] or 0) >= count:
        raise InputError(f"There is no device {device!r}: torch finds {count:,} graphics cards, counted from 0.")


def device_of(encoder: Encoder) -> str:
    """Return where vectors are best compared: on the graphics card that the encoder was loaded for, else on "cpu"."""
    device = str(getattr(uncached(encoder), "device", "cpu"))
    return device if _CUDA.fullmatch(device) else "cpu"


def calibrated_as(encoder: Encoder) -> str:
    """Return the fingerprint of the encoder whose calibrations hold for this one too.

    That is its own, unless it computes with the weights of another in another way (`encoder.on_device`), and its
    similarities are those of the other within a stated tolerance.
    """
    fingerprint: str = getattr(uncached(encoder), "calibrated_as", encoder.fingerprint)
    return fingerprint
