"""Auxiliary tasks that a network sets itself, as they were tried on validation data; not kept."""

# ruff: noqa
# mypy: ignore-errors

import torch
from torch import Tensor, nn
from torch.nn import functional

from metaux.labels.base import Auxiliary, Batch, LabelSource, SubclassSource
from metaux.labels.rotation import TURNS, Rotation, RotationSingle, Rotated, turned
from metaux.losses import focal_losses, mask_softmax
from metaux.networks.multitask import make_head

T = 0.2
DIM = 64


def random_view(images: Tensor, least: float = 0.3) -> Tensor:
    count, channels = images.shape[:2]

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(count, *shape, device=images.device, dtype=images.dtype)

    side = uniform(least, 1).sqrt()
    place = torch.zeros(count, 2, 3, device=images.device, dtype=images.dtype)
    place[:, 0, 0] = side * (torch.rand(count) < 0.5).to(images.dtype).mul(2).sub(1)
    place[:, 1, 1] = side
    place[:, :, 2] = uniform(-1, 1, 2) * (1 - side).unsqueeze(-1)
    grid = functional.affine_grid(place, list(images.shape), align_corners=False)
    views = functional.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
    return views * uniform(0.6, 1.4, 1, 1, 1) + uniform(-0.4, 0.4, 1, 1, 1) + uniform(-0.4, 0.4, channels, 1, 1)


class Instance(LabelSource):
    """Find the image's other view among the batch's."""

    least = 0.3
    temperature = T

    def views(self, batch):
        inputs = batch.inputs
        return batch._replace(
            inputs=(
                torch.cat([inputs[0], random_view(inputs[0], self.least)]).contiguous(
                    memory_format=torch.channels_last
                ),
            )
        )

    def auxiliary_head(self, features: int) -> nn.Module:
        return make_head(features, DIM, "mlp")

    def auxiliary(self, batch: Batch) -> Auxiliary:
        return Auxiliary(batch.primary)

    def mask(self, primary):
        return None

    def auxiliary_loss(self, output: Tensor, target: Tensor) -> Tensor:
        count = len(target)
        z = functional.normalize(output.float()[: 2 * count], dim=-1)
        alike = (z @ z.mT / self.temperature).fill_diagonal_(-torch.inf)
        mask = self.mask(target.repeat(2))
        if mask is not None:
            alike = alike.masked_fill(mask, -torch.inf)
        return functional.cross_entropy(alike, torch.arange(2 * count, device=z.device).roll(count), reduction="none")


class InstanceClass(Instance):
    """Among those of its class."""

    def mask(self, primary):
        return primary[:, None] != primary[None]


class InstanceMild(Instance):
    least = 0.6


class InstanceWeak(Instance):
    def auxiliary_loss(self, output, target):
        return 0.3 * super().auxiliary_loss(output, target)


class RotationOnly(RotationSingle):
    """The rotation without the class."""

    def auxiliary_head(self, features: int) -> nn.Module:
        return make_head(features, TURNS, self.protocol.head)

    def auxiliary(self, batch: Batch) -> Auxiliary:
        return Auxiliary(batch.kind)


class RotationWeak(RotationSingle):
    def auxiliary_loss(self, output, target):
        return 0.3 * super().auxiliary_loss(output, target)


class RotationStrong(RotationSingle):
    def auxiliary_loss(self, output, target):
        return 3 * super().auxiliary_loss(output, target)


class RotationOne(RotationSingle):
    """The image and one turned view of it."""

    def views(self, batch):
        inputs = batch.inputs
        x = inputs[0]
        self.turns = torch.randint(0, TURNS, (len(x),), device=x.device)
        every = torch.stack([torch.rot90(x, t, (-2, -1)) for t in range(TURNS)])
        one = every[self.turns, torch.arange(len(x), device=x.device)]
        return batch._replace(inputs=(torch.cat([x, one]).contiguous(memory_format=torch.channels_last),))

    def auxiliary(self, batch: Batch) -> Auxiliary:
        return Auxiliary(torch.cat([TURNS * batch.primary, TURNS * batch.primary + self.turns]))


class RotationInstance(LabelSource):
    """Both."""

    def views(self, batch):
        inputs = batch.inputs
        x = inputs[0]
        return batch._replace(
            inputs=(torch.cat([turned(x), random_view(x)]).contiguous(memory_format=torch.channels_last),)
        )

    def auxiliary_head(self, features: int) -> nn.Module:
        class Both(nn.Module):
            def __init__(self, one, other):
                super().__init__()
                self.one, self.other = one, other

            def forward(self, x):
                return torch.cat([self.one(x), self.other(x)], -1)

        return Both(make_head(features, TURNS * self.hierarchy.classes, "linear"), make_head(features, DIM, "mlp"))

    def auxiliary(self, batch: Batch) -> Auxiliary:
        return Auxiliary(batch.primary)

    def auxiliary_loss(self, output, target):
        count = len(target)
        joint = TURNS * self.hierarchy.classes
        turns = torch.arange(TURNS, device=target.device).repeat_interleave(count)
        first = functional.cross_entropy(output[: TURNS * count, :joint], TURNS * target.repeat(TURNS) + turns)
        z = functional.normalize(torch.cat([output[:count, joint:], output[TURNS * count :, joint:]]).float(), dim=-1)
        alike = (z @ z.mT / T).fill_diagonal_(-torch.inf)
        second = functional.cross_entropy(alike, torch.arange(2 * count, device=z.device).roll(count))
        return (first + second).expand(count)


class Swapped(SubclassSource):
    """Sub-classes of the network's own: what it says of another view, sharpened and balanced."""

    sharp = 0.25

    def __init__(self, hierarchy, protocol):
        super().__init__(hierarchy, protocol)
        self.register_buffer("often", torch.full((hierarchy.size,), 1.0))
        self._output = None

    def views(self, batch):
        inputs = batch.inputs
        return batch._replace(
            inputs=(torch.cat([inputs[0], random_view(inputs[0])]).contiguous(memory_format=torch.channels_last),)
        )

    def auxiliary(self, batch: Batch) -> Auxiliary:
        return Auxiliary(batch.primary)

    def target(self, batch):
        raise NotImplementedError

    def labels(self, batch):
        return None

    def auxiliary_loss(self, output, target):
        count = len(target)
        mask = self.hierarchy.mask(target)
        with torch.no_grad():
            q = []
            for part in output.split(count):
                logits = (part / self.sharp).masked_fill(~mask, -torch.inf)
                for _ in range(3):  # Sinkhorn, with the memory of earlier batches
                    p = logits.softmax(-1)
                    share = 0.95 * self.often + 0.05 * p.sum(0) / mask.sum(0).clamp(min=1) * mask.float().sum(1).mean()
                    logits = logits - share.clamp(min=1e-6).log()
                q.append(logits.softmax(-1))
            both = sum(q) / 2
            self.often.mul_(0.99).add_(0.01 * both.sum(0) / mask.sum(0).clamp(min=1) * mask.float().sum(1).mean())
            labels = torch.cat([q[1], q[0]])
        return (labels * focal_losses(output, 0.0)).sum(-1)


IDEAS = {
    "instance": Instance,
    "instance-class": InstanceClass,
    "instance-mild": InstanceMild,
    "instance-weak": InstanceWeak,
    "rotation-only": RotationOnly,
    "rotation-weak": RotationWeak,
    "rotation-strong": RotationStrong,
    "rotation-one": RotationOne,
    "rotation-instance": RotationInstance,
    "swapped": Swapped,
}


ORDERS = torch.tensor([[0, 1, 2], [1, 2, 0], [2, 0, 1], [0, 2, 1], [2, 1, 0], [1, 0, 2]])


class Coloured(RotationSingle):
    """Class x order of the colour channels: the image and three other orders, drawn anew."""

    kinds = 6

    def views(self, batch):
        inputs = batch.inputs
        x = inputs[0]
        self.which = torch.stack(
            [
                torch.zeros(len(x), dtype=torch.long),
                *(torch.randint(1, self.kinds, (len(x),)) for _ in range(self.more)),
            ]
        ).flatten()
        return batch._replace(
            inputs=(self.transformed(x.repeat(1 + self.more, 1, 1, 1)).contiguous(memory_format=torch.channels_last),)
        )

    more = 1

    def transformed(self, x):
        return x.gather(1, ORDERS[self.which][:, :, None, None].expand_as(x))

    def auxiliary_head(self, features: int) -> nn.Module:
        return make_head(features, self.kinds * self.hierarchy.classes, self.protocol.head)

    def auxiliary(self, batch: Batch) -> Auxiliary:
        return Auxiliary(self.kinds * batch.primary.repeat(1 + self.more) + self.which)


class RotatedColoured(Coloured):
    """Class x order of the channels x rotation: the image and three other views of 24."""

    kinds = 24
    more = 3

    def transformed(self, x):
        orders, turns = self.which // TURNS, self.which % TURNS
        x = x.gather(1, ORDERS[orders][:, :, None, None].expand_as(x))
        every = torch.stack([torch.rot90(x, t, (-2, -1)) for t in range(TURNS)])
        return every[turns, torch.arange(len(x))]


class RotationThree(Coloured):
    """The image and one view turned by 90, 180 or 270 degrees."""

    kinds = 4

    def transformed(self, x):
        every = torch.stack([torch.rot90(x, t, (-2, -1)) for t in range(TURNS)])
        return every[self.which, torch.arange(len(x))]


class Zoomed(Coloured):
    """Class x place: the image and one of its four quarters, enlarged."""

    kinds = 5

    def transformed(self, x):
        half = x.shape[-1] // 2 + 2
        corners = [x, x[..., :half, :half], x[..., :half, -half:], x[..., -half:, :half], x[..., -half:, -half:]]
        every = torch.stack(
            [x, *(functional.interpolate(c, x.shape[-2:], mode="bilinear", antialias=False) for c in corners[1:])]
        )
        return every[self.which, torch.arange(len(x))]


class Mixed(RotationSingle):
    """Turned views among them the primary task's too: the primary loss on the image, half of the joint task's weight."""


IDEAS |= {"coloured": Coloured, "rotated-coloured": RotatedColoured, "rotation-three": RotationThree, "zoomed": Zoomed}


class OneOfEach(Coloured):
    """Class x what was done to the image: nothing, a turn, another order of channels, a quarter enlarged; one of each."""

    kinds = 1 + 3 + 5 + 4

    def views(self, batch):
        inputs = batch.inputs
        x = inputs[0]
        count = len(x)
        rows = torch.arange(count)
        turns = torch.randint(1, 4, (count,))
        orders = torch.randint(1, 6, (count,))
        corners = torch.randint(0, 4, (count,))
        turned = torch.stack([torch.rot90(x, t, (-2, -1)) for t in range(TURNS)])[turns, rows]
        coloured = x.gather(1, ORDERS[orders][:, :, None, None].expand_as(x))
        half = x.shape[-1] // 2 + 2
        parts = [x[..., :half, :half], x[..., :half, -half:], x[..., -half:, :half], x[..., -half:, -half:]]
        zoomed = torch.stack([functional.interpolate(c, x.shape[-2:], mode="bilinear") for c in parts])[corners, rows]
        self.which = torch.cat([torch.zeros(count, dtype=torch.long), turns, 3 + orders, 9 + corners])
        return batch._replace(
            inputs=(torch.cat([x, turned, coloured, zoomed]).contiguous(memory_format=torch.channels_last),)
        )

    more = 3


class Zoomed3(Zoomed):
    more = 3


class _ClassAlone:
    def auxiliary_head(self, features):
        return make_head(features, self.hierarchy.classes, self.protocol.head)

    def auxiliary(self, batch):
        return Auxiliary(batch.primary.repeat(1 + self.more))


class ColouredClass(_ClassAlone, Coloured):
    pass


class ZoomedClass(_ClassAlone, Zoomed):
    pass


class RotatedColouredClass(_ClassAlone, RotatedColoured):
    pass


class OneOfEachClass(_ClassAlone, OneOfEach):
    pass


class Nothing(Coloured):
    """The image alone, its class once more."""

    more = 0
    kinds = 1


IDEAS |= {
    "one-of-each": OneOfEach,
    "zoomed-3": Zoomed3,
    "coloured-class": ColouredClass,
    "zoomed-class": ZoomedClass,
    "rotated-coloured-class": RotatedColouredClass,
    "one-of-each-class": OneOfEachClass,
}


import itertools

PERMS = torch.tensor([p for p in itertools.permutations(range(4)) if p != (0, 1, 2, 3)])


def _take(every, which, rows):
    return torch.stack(every)[which, rows]


def t_turned(x, which, rows):
    return _take([torch.rot90(x, t, (-2, -1)) for t in (1, 2, 3)], which, rows)


def t_coloured(x, which, rows):
    return x.gather(1, ORDERS[1 + which][:, :, None, None].expand_as(x))


def t_zoomed(x, which, rows):
    half = x.shape[-1] // 2 + 2
    parts = [x[..., :half, :half], x[..., :half, -half:], x[..., -half:, :half], x[..., -half:, -half:]]
    return _take([functional.interpolate(c, x.shape[-2:], mode="bilinear") for c in parts], which, rows)


def t_negative(x, which, rows):
    return -x


def t_jigsaw(x, which, rows):
    h = x.shape[-1] // 2
    parts = torch.stack([x[..., :h, :h], x[..., :h, h : 2 * h], x[..., h : 2 * h, :h], x[..., h : 2 * h, h : 2 * h]])
    order = PERMS[which].T  # 4, batch
    q = [parts[order[i], rows] for i in range(4)]
    out = x.clone()
    out[..., : 2 * h, : 2 * h] = torch.cat([torch.cat(q[:2], -1), torch.cat(q[2:], -1)], -2)
    return out


def t_blurred(x, which, rows):
    small = functional.avg_pool2d(x, 2)
    return functional.interpolate(small, x.shape[-2:], mode="bilinear")


def t_upside(x, which, rows):
    return x.flip(-2)


GROUPS = {
    "turned": (3, t_turned),
    "coloured": (5, t_coloured),
    "zoomed": (4, t_zoomed),
    "negative": (1, t_negative),
    "jigsaw": (23, t_jigsaw),
    "blurred": (1, t_blurred),
    "upside": (1, t_upside),
}


def transformed_source(groups, count=None, labelled=True):
    sizes = [GROUPS[g][0] for g in groups]
    starts = [1 + sum(sizes[:i]) for i in range(len(groups))]
    total = 1 + sum(sizes)

    class Source(RotationSingle):
        def views(self, batch):
            inputs = batch.inputs
            x = inputs[0]
            rows = torch.arange(len(x))
            made, which = [x], [torch.zeros(len(x), dtype=torch.long)]
            views, labels = [], []
            for group, size, start in zip(groups, sizes, starts):
                own = torch.randint(0, size, (len(x),))
                views.append(GROUPS[group][1](x, own, rows))
                labels.append(start + own)
            if count is None:
                made += views
                which += labels
            else:
                chosen = torch.rand(len(x), len(groups)).argsort(-1)[:, :count].T
                for c in chosen:
                    made.append(torch.stack(views)[c, rows])
                    which.append(torch.stack(labels)[c, rows])
            self.which = torch.cat(which)
            self.count = len(made)
            return batch._replace(inputs=(torch.cat(made).contiguous(memory_format=torch.channels_last),))

        def auxiliary_head(self, features):
            return make_head(features, self.hierarchy.classes * (total if labelled else 1), self.protocol.head)

        def auxiliary(self, batch):
            own = batch.primary.repeat(self.count)
            return Auxiliary(total * own + self.which if labelled else own)

    return Source


class _Make:
    def __init__(self, *args, **kw):
        self.args, self.kw = args, kw

    def __call__(self, hierarchy, protocol):
        return transformed_source(*self.args, **self.kw)(hierarchy, protocol)


TCZ = ("turned", "coloured", "zoomed")
TZ = ("turned", "zoomed")
IDEAS |= {
    "tcz": _Make(TCZ),
    "tcz-1": _Make(TCZ, 1),
    "tczj": _Make((*TCZ, "jigsaw")),
    "tczn": _Make((*TCZ, "negative")),
    "tczb": _Make((*TCZ, "blurred")),
    "tczju": _Make((*TCZ, "jigsaw", "upside")),
    "tczj-3": _Make((*TCZ, "jigsaw"), 3),
    "jigsaw": _Make(("jigsaw",)),
    "negative": _Make(("negative",)),
    "upside": _Make(("upside",)),
    "blurred": _Make(("blurred",)),
    "tz": _Make(TZ),
    "tzj": _Make((*TZ, "jigsaw")),
    "tz-class": _Make(TZ, labelled=False),
    "tzn": _Make((*TZ, "negative")),
    "tcz-class": _Make(TCZ, labelled=False),
    "turned": _Make(("turned",)),
    "zoomed1": _Make(("zoomed",)),
    "tzj-class": _Make((*TZ, "jigsaw"), labelled=False),
    "tczj-class": _Make((*TCZ, "jigsaw"), labelled=False),
    "tzjn": _Make((*TZ, "jigsaw", "negative")),
    "tczjn": _Make((*TCZ, "jigsaw", "negative")),
}

IDEAS |= {
    "tz-1": _Make(TZ, 1),
    "tzn-1": _Make((*TZ, "negative"), 1),
    "tzj-1": _Make((*TZ, "jigsaw"), 1),
    "tczn-1": _Make((*TCZ, "negative"), 1),
    "tz-1-class": _Make(TZ, 1, labelled=False),
    "tcz-1-class": _Make(TCZ, 1, labelled=False),
    "tczb-1": _Make((*TCZ, "blurred"), 1),
}

IDEAS |= {
    "tcz-2": _Make(TCZ, 2),
    "tczjn-1": _Make((*TCZ, "jigsaw", "negative"), 1),
    "tczjn-3": _Make((*TCZ, "jigsaw", "negative"), 3),
}

CZ = ("coloured", "zoomed")
IDEAS |= {
    "cz": _Make(CZ),
    "cz-1": _Make(CZ, 1),
    "czn": _Make((*CZ, "negative")),
    "czn-1": _Make((*CZ, "negative"), 1),
    "czn-2": _Make((*CZ, "negative"), 2),
}
