"""What the words of the page mean: only those that the page has."""

from metaux.evidence.comparison import Comparison

TERMS = {
    "single": "Single task: the network learns the classes alone, without auxiliary labels.",
    "uniform": "An auxiliary task whose labels say nothing: every sub-class is equally probable. What it gains is "
    "regularisation.",
    "random": "Auxiliary labels drawn by chance for each sample.",
    "frozen": "Auxiliary labels of a label generator that was never trained.",
    "shuffled": "A method’s own labels, given to other samples of the same class. What it gains does not come from "
    "what the labels say of a sample.",
    "transformed": "The same copies of each image, with the class as their only label.",
    "default": "Single task as metaux train has it without further options.",
    "compute of": "Single task, trained for as long as the method takes.",
}
ALWAYS = {
    "interval": "Where the true value is expected, 19 times in 20. If an interval of a difference includes zero, "
    "nothing is shown.",
    "seed": "Where all random numbers of a run begin. Several seeds tell chance from gain.",
}


def glossary(comparison: Comparison) -> dict[str, str]:
    """Return the meaning of each word that a row or a difference of the comparison is called by."""
    names = {name for row in comparison.rows for name in (row.name, *row.differences)}
    found = {term: meaning for term, meaning in TERMS.items() if any(_is_in(term, name) for name in names)}
    return {
        "single, for the time of a method" if term == "compute of" else term: own for term, own in found.items()
    } | ALWAYS


def _is_in(term: str, name: str) -> bool:
    return f" {term} " in f" {name.replace(',', ' ').replace('-', ' ')} "
