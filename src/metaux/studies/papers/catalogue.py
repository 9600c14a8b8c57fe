"""Every experiment of the papers by the name that the command line knows it by."""

from metaux.studies.papers.complexity import FIGURE4, FIGURE7
from metaux.studies.papers.curves import COSINE, FIGURE3
from metaux.studies.papers.gradient import GRADIENT
from metaux.studies.papers.invented import AGREEMENT, COLLAPSE
from metaux.studies.papers.pictures import FIGURE5, FIGURE6
from metaux.studies.papers.structure import HIERARCHY, MASK_SOFTMAX
from metaux.studies.papers.tables import FOCAL, PROTOCOLS, TABLE1, VECTORS

ITEMS = {
    item.name: item
    for item in (
        *(MASK_SOFTMAX, FIGURE3, FIGURE4, FIGURE5, FIGURE6, FIGURE7, TABLE1, COSINE, GRADIENT, HIERARCHY),
        *(AGREEMENT, COLLAPSE, FOCAL, PROTOCOLS, VECTORS),
    )
}
