"""`python -m metaux` is the command `metaux`."""

from metaux.cli import main

main()
