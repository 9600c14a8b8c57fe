"""`python -m metaux` is the command `metaux`."""

from metaux.cli.main import main

main()
