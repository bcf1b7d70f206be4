"""What can go wrong, said in one plain sentence."""

NEEDS_ROOT = 77


class TestbedError(Exception):
    """An error for the person at the terminal; `code` becomes the exit code."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code
