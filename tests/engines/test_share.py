"""What processes that encode are given: a core each, or a graphics card."""

import pytest

from dupdetect import Detector
from dupdetect.engines.share import Share, encoding_share
from dupdetect.engines.workers import encoding_device
from dupdetect.errors import InputError


@pytest.mark.parametrize(
    ("device", "resources", "expected"),
    [
        ("cpu", {"CPU": 6.0}, Share(6, 1, 0)),
        ("cpu", {"CPU": 6.0, "GPU": 2.0}, Share(6, 1, 0)),
        ("cpu", {"CPU": 0.5}, Share(1, 1, 0)),
        ("cpu", {}, Share(1, 1, 0)),
        ("cuda", {"CPU": 6.0, "GPU": 2.0}, Share(2, 0, 1)),
        ("cuda", {"GPU": 1.0}, Share(1, 0, 1)),
        ("cuda:0", {"GPU": 1.0}, Share(1, 0, 1)),  # what torch calls the first one, and each sees one
    ],
)
def test_a_worker_has_a_core_or_a_card(device, resources, expected):
    assert encoding_share(device, resources) == expected


def test_static_vectors_need_no_card():
    encoder = Detector.from_pretrained(tier="fast").encoder
    encoder.device = "cuda"
    assert encoding_device(encoder) == "cpu"


def test_cards_that_are_not_there():
    with pytest.raises(InputError, match="has no graphics cards"):
        encoding_share("cuda", {"CPU": 8.0})
    with pytest.raises(InputError, match=r"cuda:1 names one. Load for 'cuda'"):
        encoding_share("cuda:1", {"GPU": 8.0})
