"""Changes to transformation, as they were tried on validation data; not kept."""

# ruff: noqa
# mypy: ignore-errors

import torch
from torch import nn
from torch.nn import functional
from metaux.labels.base import Auxiliary, Batch
from metaux.labels.transformation import Transformation, _enlarged
from metaux.labels.teacher import make_teacher
from metaux.losses import focal_losses
from functools import partial


class Weighted(Transformation):
    w = 2.0

    def auxiliary_loss(self, output, target):
        return self.w * super().auxiliary_loss(output, target)


class W2(Weighted):
    w = 2.0


class W4(Weighted):
    w = 4.0


class Twice(Transformation):
    """Two copies of each group."""

    def views(self, batch):
        a, b = super().views(batch), super().views(batch)
        n = len(batch.index)
        return Batch(
            (torch.cat([a.inputs[0], b.inputs[0][n:]]),),
            torch.cat([a.primary, b.primary[n:]]),
            torch.cat([a.index, b.index[n:]]),
            torch.cat([a.kind, b.kind[n:]]),
        )


class Composed(Transformation):
    """Beside the groups one more copy with a change of two groups at once."""

    def prepare(self, preparation):
        super().prepare(preparation)
        first, last = self.groups[0], self.groups[-1]
        both = {f"{a}, {b}": (lambda x, f=f, g=g: g(f(x))) for a, f in first.items() for b, g in last.items()}
        self.groups.append(both)
        from metaux.labels.transformation import UNCHANGED

        self.kinds = [UNCHANGED, *(name for group in self.groups for name in group)]
        self.auxiliary_names = tuple(f"{name}, {kind}" for name in self.hierarchy.class_names for kind in self.kinds)


class Soft(Transformation):
    """Targets are distributions."""

    extra = ("mixed",)

    def prepare(self, preparation):
        super().prepare(preparation)
        self.kinds += list(self.extra)
        self.auxiliary_names = tuple(f"{name}, {kind}" for name in self.hierarchy.class_names for kind in self.kinds)

    def auxiliary(self, batch):
        n = len(self.kinds) * self.hierarchy.classes
        own = functional.one_hot(len(self.kinds) * batch.primary + batch.kind, n).float()
        other = functional.one_hot(len(self.kinds) * self.other + self.other_kind, n).float()
        return Auxiliary(torch.lerp(other, own, self.share[:, None]))

    def auxiliary_loss(self, output, target):
        return (target * focal_losses(output, self.protocol.focal_gamma)).sum(-1)


class Mixed(Soft):
    """One more copy, mixed with another image."""

    def mix(self, x, partner, share):
        s = share.view(-1, 1, 1, 1)
        return s * x + (1 - s) * partner

    def draw(self, n):
        return torch.rand(n)

    def views(self, batch):
        seen = super().views(batch)
        n, x = len(batch.index), batch.inputs[0]
        order = torch.randperm(n)
        share = self.draw(n)
        mixed, share = self.mix(x, x[order], share) if isinstance(self, Cut) else (self.mix(x, x[order], share), share)
        kind = torch.full((n,), len(self.kinds) - 1)
        m = len(seen.index)
        self.share = torch.cat([torch.ones(m), share])
        self.other = torch.cat([seen.primary, batch.primary[order]])
        self.other_kind = torch.cat([seen.kind, kind])
        return Batch(
            (torch.cat([seen.inputs[0], mixed]),),
            torch.cat([seen.primary, batch.primary]),
            torch.cat([seen.index, batch.index]),
            torch.cat([seen.kind, kind]),
        )


class Cut(Mixed):
    """One more copy with a box of another image."""

    def mix(self, x, partner, share):
        n, _, h, w = x.shape
        side = (1 - share).sqrt()
        cy, cx = torch.rand(n) * h, torch.rand(n) * w
        ys, xs = torch.arange(h)[None], torch.arange(w)[None]
        my = (ys >= (cy - side * h / 2)[:, None].round()) & (ys < (cy + side * h / 2)[:, None].round())
        mx = (xs >= (cx - side * w / 2)[:, None].round()) & (xs < (cx + side * w / 2)[:, None].round())
        mask = my[:, :, None] & mx[:, None, :]
        return torch.where(mask[:, None], partner, x), 1 - mask.float().mean((1, 2))


class Taught(Transformation):
    """A teacher learned the pairs before; the labels of the views are half of them what it says."""

    share, t = 0.5, 1.0

    def prepare(self, preparation):
        super().prepare(preparation)
        n = len(self.auxiliary_names)
        self.teacher = make_teacher(preparation, n, self.protocol.head)

        def loss(batch):
            seen = self.views(batch)
            z = self.teacher(*seen.inputs).primary
            return functional.cross_entropy(z, len(self.kinds) * seen.primary + seen.kind)

        preparation.fit(self.teacher, torch.arange(len(preparation.samples)), loss)
        self.teacher.eval()

    def auxiliary(self, batch):
        own = functional.one_hot(len(self.kinds) * batch.primary + batch.kind, len(self.auxiliary_names)).float()
        with torch.no_grad():
            said = (self.teacher(*batch.inputs).primary.float() / self.t).softmax(-1)
        return Auxiliary(torch.lerp(own, said, self.share))

    def auxiliary_loss(self, output, target):
        return (target * focal_losses(output, self.protocol.focal_gamma)).sum(-1)


class TaughtAll(Taught):
    share = 1.0


IDEAS = {
    "w2": W2,
    "w4": W4,
    "twice": Twice,
    "composed": Composed,
    "mixed": Mixed,
    "cut": Cut,
    "taught": Taught,
    "taught-all": TaughtAll,
}

from metaux.labels.transformation import Transformed


class W8(Weighted):
    w = 8.0


class T2(Transformed):
    w = 2.0

    def auxiliary_loss(self, output, target):
        return self.w * super().auxiliary_loss(output, target)


class T4(T2):
    w = 4.0


class MixedW(Mixed):
    w = 3.0

    def auxiliary_loss(self, output, target):
        return self.w * super().auxiliary_loss(output, target)


IDEAS |= {"w8": W8, "t2": T2, "t4": T4, "mixed3": MixedW}


class W3(Weighted):
    w = 3.0


class Mixed2(MixedW):
    w = 2.0


class Mixed4(MixedW):
    w = 4.0


class Twice3(Twice, W3):
    pass


class Cut3(Cut):
    def auxiliary_loss(self, output, target):
        return 3 * super().auxiliary_loss(output, target)


class Within(MixedW):
    """Mixed with another image of the same class: kind mixed, label its class for sure."""

    def views(self, batch):
        seen = super(Mixed, self).views(batch)
        n, x, y = len(batch.index), batch.inputs[0], batch.primary
        noise = torch.rand(n)
        a = (y + 0.999 * torch.rand(n)).argsort()
        b = (y + 0.999 * torch.rand(n)).argsort()
        partner = torch.empty(n, dtype=torch.long)
        partner[a] = b
        share = self.draw(n)
        mixed = self.mix(x, x[partner], share)
        kind = torch.full((n,), len(self.kinds) - 1)
        m = len(seen.index)
        self.share = torch.ones(m + n)
        self.other = torch.cat([seen.primary, y])
        self.other_kind = torch.cat([seen.kind, kind])
        return Batch(
            (torch.cat([seen.inputs[0], mixed]),),
            torch.cat([seen.primary, y]),
            torch.cat([seen.index, batch.index]),
            torch.cat([seen.kind, kind]),
        )


class T3(T2):
    w = 3.0


IDEAS |= {"w3": W3, "mixed2": Mixed2, "mixed4": Mixed4, "twice3": Twice3, "cut3": Cut3, "within3": Within, "t3": T3}


class Within2(Within):
    w = 2.0


IDEAS |= {"within2": Within2}
