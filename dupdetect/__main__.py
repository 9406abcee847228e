"""`python -m dupdetect` is the command `dupdetect`."""

from dupdetect.cli import main

main()
