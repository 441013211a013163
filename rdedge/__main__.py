"""`python -m rdedge` is `rdedge`."""

from rdedge.cli import main

main()
