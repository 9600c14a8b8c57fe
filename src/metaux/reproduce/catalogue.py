"""Every experiment of the papers by the name that the command line knows it by."""

from metaux.reproduce.complexity import FIGURE4, FIGURE7
from metaux.reproduce.curves import COSINE, FIGURE3
from metaux.reproduce.gradient import GRADIENT
from metaux.reproduce.invented import AGREEMENT, COLLAPSE
from metaux.reproduce.pictures import FIGURE5, FIGURE6
from metaux.reproduce.structure import HIERARCHY, MASK_SOFTMAX
from metaux.reproduce.tables import FOCAL, PROTOCOLS, TABLE1, VECTORS

ITEMS = {
    item.name: item
    for item in (
        *(MASK_SOFTMAX, FIGURE3, FIGURE4, FIGURE5, FIGURE6, FIGURE7, TABLE1, COSINE, GRADIENT, HIERARCHY),
        *(AGREEMENT, COLLAPSE, FOCAL, PROTOCOLS, VECTORS),
    )
}
