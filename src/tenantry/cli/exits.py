"""What the exit codes of every command mean."""

from typing import Final

OK: Final = 0
PROBLEMS: Final = 1  # the command ran, and found something wrong
USAGE: Final = 2  # the command line is wrong, or a package that the command needs is missing
CONFIGURATION: Final = 3
UPSTREAM: Final = 4  # a credential, a source or OpenAI
INTERRUPTED: Final = 130
