"""Label sources by the name the command line knows them by."""

from collections.abc import Callable

from metaux.hierarchy import Hierarchy
from metaux.labels.base import LabelSource
from metaux.labels.distilled import Distilled, DistilledCross
from metaux.labels.frozen import Frozen
from metaux.labels.given import Given
from metaux.labels.human import Human
from metaux.labels.kmeans import Balanced, KMeans
from metaux.labels.leaves import Leaves
from metaux.labels.maxl import Maxl
from metaux.labels.prototypical import Prototypical
from metaux.labels.random import Random
from metaux.labels.recorded import Recorded, Shuffled
from metaux.labels.rotation import Rotated, RotatedSingle, Rotation, RotationShuffled, RotationSingle
from metaux.labels.self_distilled import SelfDistilled, SelfDistilledCross
from metaux.labels.single import Single
from metaux.labels.transformation import Transformation, TransformationShuffled, Transformed
from metaux.labels.uniform import Uniform
from metaux.labels.vector import FrozenVector, Vector
from metaux.protocols import Protocol

MakeSource = Callable[[Hierarchy, Protocol], LabelSource]


def _on_split(make: MakeSource) -> MakeSource:
    """Make a source that gives up the meta split without using it: what the smaller training set alone does."""

    def made(hierarchy: Hierarchy, protocol: Protocol) -> LabelSource:
        source = make(hierarchy, protocol)
        source.needs_meta_split = True
        return source

    return made


SOURCES: dict[str, MakeSource] = {
    "single": Single,
    "uniform": Uniform,
    "random": Random,
    "frozen": Frozen,
    "kmeans": KMeans,
    "prototypical": Prototypical,
    "human": Human,
    "given": Given,
    "maxl": Maxl,
    "vector": Vector,
    "frozen-vector": FrozenVector,
    "transformation": Transformation,
    "transformation-shuffled": TransformationShuffled,
    "transformed": Transformed,
    "rotation": Rotation,
    "rotation-single": RotationSingle,
    "rotation-shuffled": RotationShuffled,
    "rotated": Rotated,
    "rotated-single": RotatedSingle,
    "balanced": Balanced,
    "leaves": Leaves,
    "recorded": Recorded,
    "shuffled": Shuffled,
    "distilled": Distilled,
    "distilled-cross": DistilledCross,
    "self-distilled": SelfDistilled,
    "self-distilled-cross": SelfDistilledCross,
    "single-split": _on_split(Single),
    "uniform-split": _on_split(Uniform),
    "frozen-split": _on_split(Frozen),
    "shuffled-split": _on_split(Shuffled),
}
