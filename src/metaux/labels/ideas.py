# ruff: noqa
# mypy: ignore-errors
import torch
from torch import nn
from torch.nn import functional
from metaux.labels.base import Auxiliary, Batch
from metaux.labels.transformation import Transformation, Transformed, TransformationShuffled


def part(self, batch, group):
    """Each sample in the form of its group (0: as it is), a change drawn."""
    images = batch.inputs[0].clone()
    kind = torch.zeros(len(images), dtype=torch.long)
    first = 1
    for g, changes in enumerate(self.groups, 1):
        names = list(changes.values())
        rows = (group == g).nonzero()[:, 0]
        drawn = torch.randint(len(names), (len(rows),))
        for k, change in enumerate(names):
            r = rows[drawn == k]
            if len(r):
                images[r] = change(batch.inputs[0][r])
        kind[rows] = first + drawn
        first += len(names)
    return Batch((images,), batch.primary, batch.index, kind)


class StepA(Transformation):
    mode = "A"
    part = part
    @property
    def V(self): return 1 + len(self.groups)

class StepB(StepA):
    mode = "B"

class StepBclass(Transformed):
    mode = "B"
    part = part
    @property
    def V(self): return 1 + len(self.groups)

class StepBshuffled(TransformationShuffled):
    mode = "B"
    part = part
    @property
    def V(self): return 1 + len(self.groups)

class StepAclass(StepBclass):
    mode = "A"

class StepAshuffled(StepBshuffled):
    mode = "A"

class StepBP(StepB):
    """primary head learns all copies' class too"""
    allprimary = True

IDEAS = {"stepA": StepA, "stepB": StepB, "stepB-class": StepBclass, "stepB-shuffled": StepBshuffled, "stepA-class": StepAclass, "stepA-shuffled": StepAshuffled, "stepBP": StepBP}


def negative(x):
    return -x

class StepBn(StepB):
    def prepare(self, preparation):
        super().prepare(preparation)
        from metaux.labels.transformation import UNCHANGED
        self.groups.append({"negative": negative})
        self.kinds = [UNCHANGED, *(name for group in self.groups for name in group)]
        self.auxiliary_names = tuple(f"{name}, {kind}" for name in self.hierarchy.class_names for kind in self.kinds)

class StepBw2(StepB):
    def auxiliary_loss(self, output, target):
        return 2 * super().auxiliary_loss(output, target)

class StepBtwo(StepB):
    """every group twice: the data 1 + 2 G times"""
    @property
    def V(self): return 1 + 2 * len(self.groups)
    def part(self, batch, group):
        return part(self, batch, torch.where(group > len(self.groups), group - len(self.groups), group))

IDEAS |= {"stepBn": StepBn, "stepBw2": StepBw2, "stepB2": StepBtwo}

class StepAw2(StepA):
    def auxiliary_loss(self, output, target):
        return 2 * super().auxiliary_loss(output, target)

class StepAw2class(StepAclass):
    def auxiliary_loss(self, output, target):
        return 2 * super().auxiliary_loss(output, target)

IDEAS |= {"stepAw2": StepAw2, "stepAw2-class": StepAw2class}

class StepAw3(StepA):
    def auxiliary_loss(self, output, target):
        return 3 * super().auxiliary_loss(output, target)

class StepA1(StepA):
    """two forms: as it is, and one change of any group"""
    V = 2
    def part(self, batch, group):
        g = torch.randint(len(self.groups), (len(group),)) + 1
        return part(self, batch, torch.where(group > 0, g, 0))

class StepA1w2(StepA1):
    def auxiliary_loss(self, output, target):
        return 2 * super().auxiliary_loss(output, target)

IDEAS |= {"stepAw3": StepAw3, "stepA1": StepA1, "stepA1w2": StepA1w2}

from functools import partial as _p
from math import ceil
def enlarged_random(images, corner):
    side = float(torch.empty(()).uniform_(0.45, 0.8))
    places = []
    for size, last in zip(images.shape[-2:], corner, strict=True):
        k = ceil(side * size)
        places.append(slice(size - k, None) if last else slice(k))
    return functional.interpolate(images[..., places[0], places[1]], images.shape[-2:], mode="bilinear")

def reduced(images, corner):
    small = functional.interpolate(images, scale_factor=0.625, mode="bilinear", antialias=True)
    out = images.amin((1, 2, 3), keepdim=True).expand_as(images).clone()
    h, w = small.shape[-2:]
    H, W = images.shape[-2:]
    y = H - h if corner[0] else 0
    x = W - w if corner[1] else 0
    out[..., y:y+h, x:x+w] = small
    return out

CORNERS = {"ul": (0, 0), "ur": (0, 1), "ll": (1, 0), "lr": (1, 1)}

class StepAw2r(StepAw2):
    def prepare(self, preparation):
        super().prepare(preparation)
        self.groups[-1] = {n: _p(enlarged_random, corner=c) for n, c in zip(self.groups[-1], CORNERS.values())}

class StepAw2z(StepAw2):
    def prepare(self, preparation):
        super().prepare(preparation)
        from metaux.labels.transformation import UNCHANGED
        self.groups.append({f"small {n}": _p(reduced, corner=c) for n, c in CORNERS.items()})
        self.kinds = [UNCHANGED, *(name for group in self.groups for name in group)]
        self.auxiliary_names = tuple(f"{name}, {kind}" for name in self.hierarchy.class_names for kind in self.kinds)

class StepBw2f(StepBw2):
    pass

IDEAS |= {"stepAw2r": StepAw2r, "stepAw2z": StepAw2z}
