"""The backbone for texts: convolutions over a sequence of words."""

import torch
from torch import Tensor, nn

from metaux.data.texts import VOCABULARY

EMBEDDING = 64
WIDTHS = (3, 4, 5)
FILTERS = 100


class TextCNN(nn.Module):
    """Convolutions of 3, 4 and 5 words, each filter's maximum over the text (Kim 2014, "CNN-rand").

    The paper's 100 filters per width; vectors of 64 in place of 300 and no dropout, as our other small networks have
    none. The ends are padded, so that any text is long enough.

    >>> TextCNN()(torch.zeros(2, 1, dtype=torch.int64)).shape
    torch.Size([2, 300])
    """

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, EMBEDDING, padding_idx=0)
        self.convolutions = nn.ModuleList(nn.Conv1d(EMBEDDING, FILTERS, width, padding=width // 2) for width in WIDTHS)

    def forward(self, words: Tensor) -> Tensor:
        """Return the features of texts, int64 `[batch, length]` to `[batch, 300]`."""
        embedded = self.embedding(words).transpose(1, 2)
        found = [convolution(embedded).relu().max(-1).values for convolution in self.convolutions]
        return torch.cat(found, 1)
