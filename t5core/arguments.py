"""Command lines that fail in one line."""

import argparse
from typing import NoReturn

from t5core.errors import ConfigError


class OneLineParser(argparse.ArgumentParser):
    """An ArgumentParser that raises ConfigError where argparse prints its usage and leaves."""

    def error(self, message: str) -> NoReturn:
        """Raises ConfigError with argparse's own sentence."""
        raise ConfigError("arguments", message, f"see {self.prog} --help")
