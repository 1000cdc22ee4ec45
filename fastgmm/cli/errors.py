"""What goes wrong on the command line, and the exit status it ends with."""

__all__ = ["EXIT_FAILED", "EXIT_INTERRUPTED", "EXIT_OK", "EXIT_USAGE", "CommandError"]

EXIT_OK = 0
EXIT_FAILED = 1  # arguments and data are fine, the job failed
EXIT_USAGE = 2  # an argument, a file or its content is not valid
EXIT_INTERRUPTED = 130


class CommandError(Exception):
    """A fault to report in one line.

    Parameters
    ----------
    message : str
        What was expected, what came, what to do.
    status : int
        The exit status.
    """

    def __init__(self, message: str, status: int = EXIT_USAGE) -> None:
        super().__init__(message)
        self.status = status
