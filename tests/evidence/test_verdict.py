from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from making import make_run, make_runs
from metaux.evidence.comparison import compare_runs
from metaux.evidence.verdict import judge

Gains = Mapping[str, Sequence[float]]
SAME = [0.0, 0.001, 0.002]
UP = [0.03, 0.032, 0.034]
MORE = [0.06, 0.062, 0.064]
DOWN = [-0.03, -0.03, -0.031]
FLAT = [0.0, 0.0, 0.0]
REFERENCES: Gains = {"single": SAME, "uniform": SAME, "frozen": SAME}
NO_METHOD = "No method beats single task and the controls uniform and frozen: "


@pytest.fixture
def say(tmp_path: Path) -> Callable[..., str]:
    def of(gains: Gains, samples: int = 1000, base: float = 0.7) -> str:
        sentence = judge(compare_runs(make_runs(tmp_path, gains, samples, base))).says
        assert sentence.endswith(".")
        assert "\n" not in sentence
        assert ". " not in sentence  # one sentence
        return sentence

    return of


def test_one_method_gains(say: Callable[..., str]) -> None:
    assert say({"single": SAME, "uniform": [0.01, 0.011, 0.012], "frozen": SAME, "maxl": UP}) == (
        "maxl beats single task and the controls uniform and frozen, over seeds and over test samples: "
        "+3.1 points [+2.9, +3.3] over single and +2.1 points [+1.9, +2.3] over uniform, the closer control "
        "(3 seeds); this holds for this data, network and protocol."
    )


def test_what_is_not_shown_is_said_beside_a_gain(say: Callable[..., str]) -> None:
    said = say({**REFERENCES, "maxl": UP, "kmeans": SAME, "human": MORE})
    assert said.startswith("maxl beats single task")
    assert "; no such gain is shown for kmeans; human labels gain +6.1 points" in said


def test_labels_from_a_network_of_other_data_are_no_winner_and_not_called_human(say: Callable[..., str]) -> None:
    assert say({**REFERENCES, "maxl": UP, "prototypical": MORE}).startswith("maxl beats single task")
    assert "; labels of prototypical gain +6.1 points" in say({**REFERENCES, "maxl": UP, "prototypical": MORE})


def test_both_kinds_of_labels_from_outside(say: Callable[..., str]) -> None:
    assert "; human labels gain +3.1 points" in say({**REFERENCES, "maxl": UP, "prototypical": MORE, "human": UP})


def test_several_methods_gain(say: Callable[..., str]) -> None:
    said = say({**REFERENCES, "maxl": UP, "kmeans": MORE, "human": MORE})
    assert said.startswith("maxl and kmeans beat single task and the controls uniform and frozen, ")
    assert "maxl by +3.1 points [+2.9, +3.3] over single, kmeans by +6.1 points [+5.9, +6.3] over single" in said
    assert "which of them is better is not tested" in said


def test_a_method_with_too_few_seeds_is_no_winner(say: Callable[..., str]) -> None:
    said = say({**REFERENCES, "maxl": UP, "kmeans": [0.2]})
    assert said.startswith("maxl beats single task")
    assert "no such gain is shown for kmeans" in said


def test_what_alone_came_through_is_no_winner(say: Callable[..., str]) -> None:
    assert say({**REFERENCES, "maxl": UP[:2]}).startswith(
        "No conclusion: maxl's difference to single is +3.1 points [+2.4, +3.7], but maxl has no run with seed 2, which"
    )
    said = say({**REFERENCES, "maxl": SAME, "kmeans": UP[:2]})
    assert said.startswith(NO_METHOD + "maxl's difference")
    assert "; kmeans is not judged without its seed 2; " in said


def test_too_few_test_samples_for_an_interval(say: Callable[..., str]) -> None:
    said = say({**REFERENCES, "maxl": [0.25, 0.25, 0.25]}, samples=4, base=0.5)
    assert said.startswith("No conclusion: maxl's difference to single is")
    assert "but fewer than 5 test samples, or groups of them, are too few for an interval" in said


def test_test_samples_that_do_not_differ_rule_nothing_out(say: Callable[..., str]) -> None:
    said = say({**dict.fromkeys(REFERENCES, FLAT), "maxl": FLAT}, samples=36)
    assert "36 test samples are too few to settle a gain of 0.5 points" in said


def test_learned_labels_that_may_be_as_good_as_human_ones(say: Callable[..., str]) -> None:
    said = say({**REFERENCES, "maxl": [-0.01, 0.03, 0.09], "human": UP})
    assert "so labels can matter here; of learned ones it is not shown" in said


def test_all_that_is_missing_is_asked_for_at_once(say: Callable[..., str]) -> None:
    assert "run single, uniform, frozen and transformed too" in say({"transformation": UP})


def test_nothing_gains_and_more_seeds_would_tell(say: Callable[..., str]) -> None:
    # Differences 0, 0.5 and -0.5 points: deviation 0.5 as large as the gain, so 10 seeds in all.
    assert say({**REFERENCES, "maxl": [0.0, 0.006, -0.003]}, samples=20_000) == (
        NO_METHOD + "maxl's difference to single is +0.0 points [-1.2, +1.2] over 3 seeds; "
        "about 7 more seeds would settle a gain of 0.5 points, or another data set is needed."
    )


def test_nothing_gains_and_the_seeds_agree(say: Callable[..., str]) -> None:
    said = say({**REFERENCES, "maxl": [0.0, 0.0012, 0.0018]}, samples=10_000)
    assert said.endswith("; both intervals of its difference to single end below 0.5 points.")


def test_a_gain_that_the_interval_holds_is_not_said_to_be_unlikely(say: Callable[..., str]) -> None:
    # Three seeds that happen to agree: their deviation asks for no more, but their interval holds the gain.
    said = say({**REFERENCES, "maxl": [0.001, 0.003, 0.0055]}, samples=20_000)
    assert "+0.2 points [-0.1, +0.5] over 3 seeds" in said
    assert said.endswith("about 1 more seed would settle a gain of 0.5 points, or another data set is needed.")


def test_nothing_gains_and_the_seeds_are_far_apart(say: Callable[..., str]) -> None:
    said = say({**REFERENCES, "maxl": [0.0, 0.1, -0.09]}, samples=10_000)
    assert said.endswith(
        "to settle a gain of 0.5 points would take more than 100 seeds, so another data set is needed."
    )


def test_nothing_gains_and_the_test_set_is_small(tmp_path: Path) -> None:
    # The methods are right on different samples, the same ones with each seed.
    left, right = [1.0] * 20 + [0.0] * 20, [0.0] * 20 + [1.0] * 20
    runs = [make_run(tmp_path, name, seed, left) for name in REFERENCES for seed in range(3)]
    runs += [make_run(tmp_path, "maxl", seed, right) for seed in range(3)]
    assert judge(compare_runs(runs)).says.endswith(
        "40 test samples are too few to settle a gain of 0.5 points with any number of seeds, so a larger "
        "test set or another data set is needed."
    )


def test_nothing_gains_and_nothing_is_left_to_gain(say: Callable[..., str]) -> None:
    said = say({"single": FLAT, "uniform": FLAT, "frozen": FLAT, "maxl": [0.001, 0.0, 0.0]}, base=0.998)
    assert said.endswith("single leaves only 0.2 points to gain, so another data set is needed.")


def test_where_the_seeds_agree_the_test_set_is_the_doubt(say: Callable[..., str]) -> None:
    said = say({"single": FLAT, "uniform": FLAT, "frozen": FLAT, "maxl": [0.001] * 3})
    assert "maxl's difference to single is +0.1 points [+0.0, +0.3] over test samples" in said


def test_the_only_method_is_worse(say: Callable[..., str]) -> None:
    assert say({**REFERENCES, "maxl": DOWN}) == (
        NO_METHOD + "maxl is worse than single (-3.1 points [-3.5, -2.8] over 3 seeds)."
    )


def test_another_method_is_worse(say: Callable[..., str]) -> None:
    said = say({**REFERENCES, "maxl": SAME, "kmeans": DOWN})
    assert "maxl's difference to single is" in said
    assert "; kmeans is worse than single (-3.1 points [-3.5, -2.8]);" in said


def test_a_control_does_as_well(say: Callable[..., str]) -> None:
    assert say({**REFERENCES, "uniform": UP, "maxl": UP}) == (
        NO_METHOD + "maxl beats single (+3.1 points [+2.9, +3.3]), but its difference to uniform is +0.0 points "
        "[+0.0, +0.0] over 3 seeds; uniform alone beats single (+3.1 points [+2.9, +3.3]), so an auxiliary "
        "task acts as regularisation here, even without information."
    )
    said = say({**REFERENCES, "uniform": UP, "random": UP, "frozen": UP, "maxl": SAME})
    assert "uniform and random alone beat single, so an auxiliary task acts as regularisation" in said


def test_of_several_controls_one_may_be_above_by_chance(say: Callable[..., str]) -> None:
    # By itself, +1 points with t(2) = 4.303 and standard deviation 0.3 is above zero; one of four such needs 7.649.
    once = [0.007, 0.01, 0.013]
    alone = say({"single": FLAT, "uniform": once, "frozen": FLAT, "maxl": FLAT}, samples=2000)
    assert "alone beats" not in alone
    clear = say({"single": FLAT, "uniform": [0.01, 0.011, 0.012], "frozen": FLAT, "maxl": FLAT}, samples=2000)
    assert "uniform alone beats single" in clear


def test_an_untrained_generator_does_as_well(say: Callable[..., str]) -> None:
    said = say({**REFERENCES, "frozen": UP, "maxl": UP})
    assert "maxl beats single and uniform (+3.1 points [+2.9, +3.3]), but its difference to frozen is" in said
    assert said.endswith(
        "frozen alone beats single (+3.1 points [+2.9, +3.3]), so it is not what is learned that helps."
    )


def test_a_control_of_its_own_does_as_well(say: Callable[..., str]) -> None:
    said = say({**REFERENCES, "distilled": UP, "self-distilled": UP})
    assert said.startswith(
        "No method beats single task and the controls uniform, frozen and self-distilled: distilled beats single, "
        "uniform and frozen (+3.1 points [+2.9, +3.3]), but its difference to self-distilled is +0.0 points "
        "[+0.0, +0.0] over 3 seeds; "
    )
    said = say({**REFERENCES, "distilled": MORE, "self-distilled": UP, "kmeans": UP})
    assert said.startswith(
        "distilled and kmeans beat single task and the controls uniform and frozen, and their own controls, "
    )


def test_a_control_of_its_own_is_missing(say: Callable[..., str]) -> None:
    assert say({**REFERENCES, "distilled": UP}).startswith(
        "No conclusion without self-distilled: distilled's difference to single is +3.1 points [+2.9, +3.3], but a "
        "gain is one over single task and the controls uniform, frozen and self-distilled; run self-distilled too"
    )
    assert "; distilled is not judged without self-distilled;" in say({**REFERENCES, "distilled": UP, "kmeans": SAME})
    assert "; distilled is not judged without self-distilled;" in say({**REFERENCES, "distilled": UP, "kmeans": UP})


def test_only_human_labels_gain(say: Callable[..., str]) -> None:
    said = say({**REFERENCES, "maxl": SAME, "human": UP})
    assert said.startswith(NO_METHOD)
    assert said.endswith(
        "; human labels beat all three (+3.1 points [+2.9, +3.3] over single), so labels can matter here "
        "but the learned ones do not reach them."
    )


def test_no_method_was_run_beside_human_labels(say: Callable[..., str]) -> None:
    assert say({**REFERENCES, "human": UP}).startswith("Human labels beat single task and the controls")
    assert say({**REFERENCES, "human": SAME}).startswith("Human labels do not beat single task and the controls")


def test_only_controls(say: Callable[..., str]) -> None:
    assert say({**REFERENCES, "single-split": SAME}) == (
        "Nothing to conclude: only controls were run (single, uniform, frozen and single-split); "
        "add a method such as maxl."
    )


def test_a_reference_is_missing(say: Callable[..., str]) -> None:
    assert say({"single": SAME, "maxl": UP}) == (
        "No conclusion without uniform and frozen: maxl's difference to single is +3.1 points [+2.9, +3.3], "
        "but a gain is one over single task and the controls uniform and frozen; run uniform and frozen too, "
        "with the same seeds."
    )


def test_single_is_missing(say: Callable[..., str]) -> None:
    said = say({"uniform": SAME, "maxl": UP})
    assert said.startswith("No conclusion without single and frozen, since a gain is one over single task")


def test_one_seed(say: Callable[..., str]) -> None:
    assert say({"single": [0.0], "uniform": [0.0], "frozen": [0.0], "maxl": [0.01]}) == (
        "No conclusion: maxl's difference to single is +1.0 points, but without two seeds in common with "
        "each reference there is no interval; run at least 3 seeds of all."
    )
