"""Which devices a run gets, and what is refused before any process is started."""

import pytest
import torch

from metaux.errors import InputError
from metaux.settings import Settings
from metaux.training.devices import device_of, make_fabric


@pytest.mark.parametrize(
    ("device", "processes", "said"),
    [
        ("cuda", 3, r"expected --processes of at most 2, one for each device 'cuda' of this machine, found 3; ask"),
        ("auto", 3, r"expected --processes of at most 2, .*, found 3; ask for fewer"),
        ("mps", 2, r"expected --processes of at most 1, .*, found 2; ask for fewer"),
        ("cuda:1", 2, r"expected --device cuda for --processes 2, found cuda:1; .* leave the number out"),
        ("cpu:1", 2, r"expected --device cpu for --processes 2, found cpu:1"),
    ],
)
def test_each_process_needs_a_device(device: str, processes: int, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    with pytest.raises(InputError, match=said):
        device_of(Settings(device=device, processes=processes))


def test_cpus_may_have_any_number_of_processes() -> None:
    assert make_fabric(Settings(device="cpu", processes=3)).device.type == "cpu"


@pytest.mark.parametrize(
    ("device", "found"), [("cpu", "cpu"), ("cuda", "cuda:0"), ("cuda:1", "cuda:1"), ("mps", "mps:0")]
)
def test_a_device_is_known_before_anything_is_made_for_it(
    device: str, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert device_of(Settings(device=device)) == torch.device(found)
